//! What `/progress` answers, kept up to date by the worker. No network.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use medallion_crds::Reason;
use medallion_crds::progress::{Identity, Progress, Trouble, TroubleClass, Work};

/// Where the time comes from; tests have their own.
pub type Clock = fn() -> Timestamp;

/// A handle on the worker's progress; clones share it.
#[derive(Clone)]
pub struct ProgressHandle {
    identity: Arc<Identity>,
    known: Arc<Mutex<Known>>,
    clock: Clock,
}

/// What the worker last said, and when.
struct Known {
    work: Work,
    time: Timestamp,
}

impl ProgressHandle {
    /// An empty progress: everything unknown.
    pub fn new(identity: Identity, clock: Clock) -> Self {
        Self {
            identity: Arc::new(identity),
            known: Arc::new(Mutex::new(Known {
                work: Work::default(),
                time: clock(),
            })),
            clock,
        }
    }

    /// Changes what is reported, or says that it still holds.
    pub fn update(&self, change: impl FnOnce(&mut Work)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut known.work);
        known.time = (self.clock)();
    }

    /// Something outside does not work; repeated calls with the same reason keep the first time.
    pub fn blocked(&self, reason: &str, message: impl Into<String>) {
        self.trouble(TroubleClass::Environment, reason, message.into());
    }

    /// Data may be lost; the worker has halted.
    pub fn loss_risk(&self, reason: &str, message: impl Into<String>) {
        self.trouble(TroubleClass::LossRisk, reason, message.into());
    }

    /// Nothing is in the way any more.
    pub fn clear(&self) {
        self.update(|work| work.trouble = None);
    }

    fn trouble(&self, class: TroubleClass, reason: &str, message: String) {
        let now = (self.clock)();
        self.update(|work| {
            let since = work
                .trouble
                .as_ref()
                .filter(|old| old.class == class && old.reason == Reason::from(reason))
                .map_or(now, |old| old.since);
            work.trouble = Some(Trouble {
                class,
                reason: reason.into(),
                message,
                since,
            });
        });
    }

    /// What `/progress` answers now.
    pub fn snapshot(&self) -> Progress {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Progress {
            identity: (*self.identity).clone(),
            time: known.time,
            work: known.work.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    static NOW: AtomicI64 = AtomicI64::new(0);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// One story, for the clock is shared.
    #[test]
    fn times_are_those_of_what_is_said() {
        let pass = || NOW.fetch_add(10, Ordering::SeqCst) + 10;
        let progress = ProgressHandle::new(Identity::default(), || at(NOW.load(Ordering::SeqCst)));
        let said = pass();
        progress.blocked("TableMissing", "first");
        pass();
        assert_eq!(progress.snapshot().time, at(said), "asking does not make old words new");
        let again = pass();
        progress.blocked("TableMissing", "second");
        let snapshot = progress.snapshot();
        let trouble = snapshot.work.trouble.expect("a trouble");
        assert_eq!(
            (snapshot.time, trouble.since, trouble.message.as_str()),
            (at(again), at(said), "second")
        );
        progress.blocked("TableThrottled", "third");
        let trouble = progress.snapshot().work.trouble.expect("a trouble");
        assert_eq!(trouble.since, at(again), "another trouble begins anew");
        progress.clear();
        assert_eq!(progress.snapshot().work.trouble, None);
    }
}
