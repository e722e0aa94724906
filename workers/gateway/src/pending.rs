//! What is waiting for the broker, for `/progress`: the oldest time, how many, the last acknowledgement and failure. No network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use kafka_client::Diagnosis;

/// Shared by all requests; one entry per request, not per event.
#[derive(Clone, Debug, Default)]
pub struct Pending(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Start and number of events of each request, oldest first.
    requests: BTreeMap<u64, (Timestamp, usize)>,
    last_acknowledged: Option<Timestamp>,
    failure: Option<Diagnosis>,
}

/// What is known at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) events: usize,
    pub(crate) last_acknowledged: Option<Timestamp>,
}

/// Events of one request that wait; dropping it, also when the client has gone, takes them off the list.
#[derive(Debug)]
pub(crate) struct Waiting {
    pending: Pending,
    id: u64,
}

impl Pending {
    pub(crate) fn begin(&self, events: usize, now: Timestamp) -> Waiting {
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        state.requests.insert(id, (now, events));
        drop(state);
        Waiting {
            pending: self.clone(),
            id,
        }
    }

    pub(crate) fn acknowledged(&self, now: Timestamp) {
        self.lock().last_acknowledged = Some(now);
    }

    pub(crate) fn failed(&self, why: Diagnosis) {
        self.lock().failure = Some(why);
    }

    /// The last failure since this was last asked.
    pub(crate) fn take_failure(&self) -> Option<Diagnosis> {
        self.lock().failure.take()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        Snapshot {
            oldest: state.requests.values().next().map(|(time, _)| *time),
            events: state.requests.values().map(|(_, events)| events).sum(),
            last_acknowledged: state.last_acknowledged,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.pending.lock().requests.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_the_oldest_still_waiting() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let pending = Pending::default();
        let first = pending.begin(3, at(1));
        let second = pending.begin(4, at(2));
        assert_eq!(
            pending.snapshot(),
            Snapshot {
                oldest: Some(at(1)),
                events: 7,
                last_acknowledged: None
            }
        );
        drop(first);
        pending.acknowledged(at(9));
        assert_eq!(
            pending.snapshot(),
            Snapshot {
                oldest: Some(at(2)),
                events: 4,
                last_acknowledged: Some(at(9))
            }
        );
        drop(second);
        assert_eq!(pending.snapshot().oldest, None, "nothing waiting is fresh");
    }
}
