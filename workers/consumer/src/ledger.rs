//! What is in flight, per assigned partition: the mark up to which everything is settled, and the memory it takes. No network.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

/// Memory of a record beside its own bytes.
const RECORD_OVERHEAD: usize = 1024;

/// Offsets of one partition since it was assigned.
#[derive(Debug)]
struct Offsets {
    /// The offset after the highest that was begun.
    next: i64,
    /// Begun and not settled, with the record's time.
    unsettled: BTreeMap<i64, Option<Timestamp>>,
}

impl Offsets {
    /// Everything below this offset is settled.
    fn mark(&self) -> i64 {
        self.unsettled.keys().next().copied().unwrap_or(self.next)
    }
}

#[derive(Debug)]
struct Assigned {
    /// Tells this assignment from an earlier one of the same partition.
    generation: u64,
    offsets: Offsets,
    committed: i64,
    cancel: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    assigned: BTreeMap<i32, Assigned>,
    /// Counts assignments and revocations.
    generation: u64,
    bytes: usize,
}

/// Shared by the polling thread, the rebalance callback and the tasks that settle records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    settled: Condvar,
    broken: AtomicBool,
}

/// One record in flight. Dropped without [`Ticket::settled`] it frees its memory, and the mark stays before it.
#[derive(Debug)]
pub(crate) struct Ticket {
    ledger: Ledger,
    partition: i32,
    generation: u64,
    offset: i64,
    bytes: usize,
    /// Cancelled when the partition is taken away.
    pub(crate) cancel: CancellationToken,
}

/// Where one partition stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Position {
    pub(crate) partition: i32,
    pub(crate) mark: i64,
    /// Whether records are in flight.
    pub(crate) in_flight: bool,
    /// Time of the oldest of them, if it has one.
    pub(crate) oldest: Option<Timestamp>,
}

impl Ledger {
    /// A partition is ours from this offset on; what was known of it before is forgotten.
    pub(crate) fn assign(&self, partition: i32, offset: i64) {
        let mut state = self.lock();
        state.generation += 1;
        let assigned = Assigned {
            generation: state.generation,
            offsets: Offsets {
                next: offset,
                unsettled: BTreeMap::new(),
            },
            // As if nothing were committed: the first commit writes the start down, also for a partition without records.
            committed: -1,
            cancel: CancellationToken::new(),
        };
        if let Some(before) = state.assigned.insert(partition, assigned) {
            before.cancel.cancel();
        }
    }

    /// The partitions are no longer ours; what is still in flight is given up.
    pub(crate) fn revoke(&self, partitions: &[i32]) {
        let mut state = self.lock();
        state.generation += 1;
        for partition in partitions {
            if let Some(assigned) = state.assigned.remove(partition) {
                assigned.cancel.cancel();
            }
        }
    }

    /// A record is in flight; `None` if its partition is not ours or the record was begun before.
    pub(crate) fn begin(&self, partition: i32, offset: i64, time: Option<Timestamp>, bytes: usize) -> Option<Ticket> {
        let mut state = self.lock();
        let assigned = state.assigned.get_mut(&partition)?;
        if offset < assigned.offsets.next {
            return None;
        }
        assigned.offsets.next = offset + 1;
        assigned.offsets.unsettled.insert(offset, time);
        let (generation, cancel) = (assigned.generation, assigned.cancel.clone());
        let bytes = bytes + RECORD_OVERHEAD;
        state.bytes += bytes;
        drop(state);
        Some(Ticket {
            ledger: self.clone(),
            partition,
            generation,
            offset,
            bytes,
            cancel,
        })
    }

    /// Marks that have moved since they were committed.
    pub(crate) fn to_commit(&self, partitions: Option<&[i32]>) -> Vec<(i32, i64)> {
        let state = self.lock();
        let wanted = |partition: &i32| partitions.is_none_or(|partitions| partitions.contains(partition));
        state
            .assigned
            .iter()
            .filter(|(partition, _)| wanted(partition))
            .map(|(partition, assigned)| (*partition, assigned.offsets.mark(), assigned.committed))
            .filter(|(_, mark, committed)| mark > committed)
            .map(|(partition, mark, _)| (partition, mark))
            .collect()
    }

    /// The broker has stored this mark.
    pub(crate) fn committed(&self, partition: i32, mark: i64) {
        if let Some(assigned) = self.lock().assigned.get_mut(&partition) {
            assigned.committed = assigned.committed.max(mark);
        }
    }

    /// The next commit carries every mark, as if nothing were committed.
    pub(crate) fn commit_again(&self) {
        for assigned in self.lock().assigned.values_mut() {
            assigned.committed = -1;
        }
    }

    /// Waits until nothing is in flight in these partitions (`None`: in any); false when the time was over before.
    pub(crate) fn wait_settled(&self, partitions: Option<&[i32]>, timeout: Duration) -> bool {
        self.wait_until(timeout, |state| {
            state
                .assigned
                .iter()
                .filter(|(partition, _)| partitions.is_none_or(|partitions| partitions.contains(partition)))
                .all(|(_, assigned)| assigned.offsets.unsettled.is_empty())
        })
    }

    /// Waits until the records in flight take fewer bytes than this.
    pub(crate) fn wait_below(&self, bytes: usize, timeout: Duration) -> bool {
        self.wait_until(timeout, |state| state.bytes < bytes)
    }

    /// Bytes of all records in flight.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// The group has answered, perhaps with no partition for us.
    pub(crate) fn rebalanced(&self) {
        self.lock().generation += 1;
    }

    /// A task has panicked with a record in hand: its mark would stay where it is for ever.
    pub(crate) fn is_broken(&self) -> bool {
        self.0.broken.load(Ordering::Relaxed)
    }

    /// Changes with every assignment and revocation; 0 before the first.
    pub(crate) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Where each assigned partition stands.
    pub(crate) fn positions(&self) -> Vec<Position> {
        let state = self.lock();
        state
            .assigned
            .iter()
            .map(|(partition, assigned)| Position {
                partition: *partition,
                mark: assigned.offsets.mark(),
                in_flight: !assigned.offsets.unsettled.is_empty(),
                oldest: assigned.offsets.unsettled.values().next().copied().flatten(),
            })
            .collect()
    }

    fn settle(&self, ticket: &Ticket) {
        let mut state = self.lock();
        if let Some(assigned) = state.assigned.get_mut(&ticket.partition)
            && assigned.generation == ticket.generation
        {
            assigned.offsets.unsettled.remove(&ticket.offset);
        }
    }

    fn free(&self, bytes: usize) {
        self.lock().bytes -= bytes;
        self.0.settled.notify_all();
    }

    fn wait_until(&self, timeout: Duration, mut done: impl FnMut(&State) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self
                .0
                .settled
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The record has met its fate: stored, known as a duplicate, or dead-lettered, and acknowledged as such.
    pub(crate) fn settled(self) {
        self.ledger.settle(&self);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.ledger.0.broken.store(true, Ordering::Relaxed);
        }
        self.ledger.free(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NO_TIME: Duration = Duration::ZERO;

    fn mark(ledger: &Ledger) -> i64 {
        ledger.positions()[0].mark
    }

    #[test]
    fn the_first_commit_writes_the_start_down_and_then_only_news_are_committed() {
        let ledger = Ledger::default();
        ledger.assign(3, 10);
        assert_eq!(ledger.to_commit(None), [(3, 10)]);
        ledger.committed(3, 10);
        assert_eq!(ledger.to_commit(None), []);
        let ticket = ledger.begin(3, 10, None, 1).expect("ours");
        assert_eq!(ledger.to_commit(None), []);
        ticket.settled();
        assert_eq!(ledger.to_commit(None), [(3, 11)]);
        assert_eq!(ledger.to_commit(Some(&[4])), []);
    }

    #[test]
    fn what_was_in_flight_before_a_revocation_counts_for_nothing_after_it() {
        let ledger = Ledger::default();
        ledger.assign(0, 0);
        let old = ledger.begin(0, 0, None, 1).expect("ours");
        ledger.revoke(&[0]);
        assert!(old.cancel.is_cancelled());
        assert!(ledger.to_commit(None).is_empty(), "what is not ours is never committed");
        assert!(ledger.begin(0, 1, None, 1).is_none());

        ledger.assign(0, 0);
        let new = ledger.begin(0, 0, None, 1).expect("ours again");
        old.settled();
        assert_eq!(
            mark(&ledger),
            0,
            "the same offset of the new assignment is still in flight"
        );
        new.settled();
        assert_eq!(mark(&ledger), 1);
        assert_eq!(ledger.bytes(), 0);
    }

    #[test]
    fn a_record_that_is_given_up_holds_the_mark_and_frees_its_memory() {
        let ledger = Ledger::default();
        ledger.assign(0, 0);
        let given_up = ledger.begin(0, 0, None, 100).expect("ours");
        ledger.begin(0, 1, None, 100).expect("ours").settled();
        drop(given_up);
        assert_eq!(mark(&ledger), 0);
        assert!(ledger.wait_below(1, NO_TIME));
        assert!(!ledger.wait_settled(None, NO_TIME));
        assert!(ledger.wait_settled(Some(&[7]), NO_TIME));
    }

    #[test]
    fn a_panic_with_a_record_in_hand_is_noticed() {
        let ledger = Ledger::default();
        ledger.assign(0, 0);
        drop(ledger.begin(0, 0, None, 1).expect("ours"));
        assert!(!ledger.is_broken(), "a record given up is none");
        let ticket = ledger.begin(0, 1, None, 1).expect("ours");
        let task = std::thread::spawn(move || {
            let _ticket = ticket;
            panic!("on purpose");
        });
        assert!(task.join().is_err());
        assert!(ledger.is_broken());
    }

    #[test]
    fn a_record_delivered_twice_is_begun_once() {
        let ledger = Ledger::default();
        ledger.assign(0, 5);
        ledger.begin(0, 5, None, 1).expect("ours").settled();
        assert!(ledger.begin(0, 5, None, 1).is_none());
        assert!(ledger.begin(0, 4, None, 1).is_none());
    }

    #[test]
    fn waiting_ends_when_the_last_record_is_settled() {
        let ledger = Ledger::default();
        ledger.assign(0, 0);
        let ticket = ledger.begin(0, 0, None, 1).expect("ours");
        let waiter = std::thread::spawn({
            let ledger = ledger.clone();
            move || ledger.wait_settled(None, Duration::from_secs(30))
        });
        ticket.settled();
        assert!(waiter.join().expect("a thread"));
    }

    #[test]
    fn the_oldest_is_the_time_of_the_record_at_the_mark() {
        let at = |second| Timestamp::from_second(second).ok();
        let ledger = Ledger::default();
        ledger.assign(0, 0);
        assert!(!ledger.positions()[0].in_flight);
        let first = ledger.begin(0, 0, at(100), 1).expect("ours");
        let _second = ledger.begin(0, 1, at(50), 1).expect("ours");
        assert_eq!(ledger.positions()[0].oldest, at(100));
        first.settled();
        assert_eq!(ledger.positions()[0].oldest, at(50));
    }

    proptest! {
        /// Records with gaps between their offsets, settled in any order, some never: the mark never passes one that is
        /// not settled, and reaches the end when all are.
        #[test]
        fn the_mark_never_passes_a_gap(
            gaps in prop::collection::vec(1_i64..4, 1..60),
            order in prop::collection::vec(any::<prop::sample::Index>(), 60),
            lost in prop::collection::vec(prop::bool::weighted(0.1), 60),
        ) {
            let ledger = Ledger::default();
            ledger.assign(0, 0);
            let mut offset = 0;
            let mut open = Vec::new();
            for gap in gaps {
                offset += gap;
                open.push((offset, ledger.begin(0, offset, None, 1).expect("ours")));
            }
            let last = offset;
            let mut given_up = Vec::new();
            for (index, is_lost) in order.into_iter().zip(lost) {
                if open.is_empty() {
                    break;
                }
                let (offset, ticket) = open.remove(index.index(open.len()));
                if is_lost {
                    given_up.push(offset);
                    drop(ticket);
                } else {
                    ticket.settled();
                }
                let unsettled = open.iter().map(|(offset, _)| *offset).chain(given_up.iter().copied()).min();
                prop_assert_eq!(mark(&ledger), unsettled.unwrap_or(last + 1));
            }
        }
    }
}
