//! What `/progress` answers, kept up to date by the worker, and whether its work loop still turns. No network.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use medallion_crds::Reason;
use medallion_crds::pipeline::Retention;
use medallion_crds::progress::{Identity, Progress, Trouble, TroubleClass, Work};
use tokio::time::Instant;

/// A work loop that has not come round for so long does not turn any more. Much longer than any single step may take:
/// an upload of the largest flush with all its retries, a poll with a broker that does not answer.
pub const LONGEST_TURN: Duration = Duration::from_mins(5);

/// Where the time comes from; tests have their own.
pub type Clock = fn() -> Timestamp;

/// A handle on the worker's progress; clones share it.
#[derive(Clone, Debug)]
pub struct ProgressHandle {
    identity: Arc<Identity>,
    known: Arc<Mutex<Known>>,
    clock: Clock,
}

/// What the worker last said, and when.
#[derive(Debug)]
struct Known {
    work: Work,
    time: Timestamp,
    /// When the work loop came round last; none in a worker whose work is no loop, which may take its time.
    turned: Option<Instant>,
}

impl Known {
    fn is_stuck(&self) -> bool {
        self.turned.is_some_and(|turned| turned.elapsed() > LONGEST_TURN)
    }
}

/// What is the matter with a work loop that does not turn, in words.
pub(crate) fn stuck() -> String {
    let seconds = LONGEST_TURN.as_secs();
    format!(
        "the work loop has not come round for {seconds} seconds; /livez fails, so that a new process takes its place"
    )
}

impl ProgressHandle {
    /// An empty progress: everything unknown.
    pub fn new(identity: Identity, clock: Clock) -> Self {
        Self {
            identity: Arc::new(identity),
            known: Arc::new(Mutex::new(Known {
                work: Work::default(),
                time: clock(),
                turned: None,
            })),
            clock,
        }
    }

    /// Changes what is reported. From the first [`Self::beat`] on its time is that of the work loop alone: what other
    /// tasks find out says nothing about whether the work goes on.
    pub fn update(&self, change: impl FnOnce(&mut Work)) {
        let mut known = self.lock();
        change(&mut known.work);
        if known.turned.is_none() {
            known.time = (self.clock)();
        }
    }

    /// The work loop has come round: what is reported still holds. A streaming worker's loop says so at every turn, and
    /// between the parts of a long one; a Job never does.
    pub fn beat(&self) {
        let mut known = self.lock();
        known.time = (self.clock)();
        known.turned = Some(Instant::now());
    }

    /// Whether the work loop has begun to turn and has not come round for longer than [`LONGEST_TURN`].
    pub fn is_stuck(&self) -> bool {
        self.lock().is_stuck()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something outside does not work; repeated calls with the same reason keep the first time.
    pub fn blocked(&self, reason: Reason, message: impl Into<String>) {
        self.trouble(TroubleClass::Environment, reason, message.into());
    }

    /// Data may be lost; the worker has halted.
    pub fn loss_risk(&self, reason: Reason, message: impl Into<String>) {
        self.trouble(TroubleClass::LossRisk, reason, message.into());
    }

    /// Nothing is in the way any more.
    pub fn clear(&self) {
        self.update(|work| work.trouble = None);
    }

    fn trouble(&self, class: TroubleClass, reason: Reason, message: String) {
        let now = (self.clock)();
        self.update(|work| {
            let since = work
                .trouble
                .as_ref()
                .filter(|old| old.class == class && old.reason == reason)
                .map_or(now, |old| old.since);
            work.trouble = Some(Trouble {
                class,
                reason,
                message,
                since,
            });
        });
    }

    /// How much of what its source keeps the worker has used up, if it knows.
    pub(crate) fn retention(&self) -> Option<Retention> {
        self.lock().work.retention
    }

    /// What `/progress` answers now.
    pub fn snapshot(&self) -> Progress {
        let known = self.lock();
        let mut work = known.work.clone();
        if known.is_stuck() {
            work.trouble = Some(Trouble {
                class: TroubleClass::Environment,
                reason: Reason::NotTurning,
                message: stuck(),
                since: known.time,
            });
        }
        Progress {
            identity: (*self.identity).clone(),
            time: known.time,
            work,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    static NOW: AtomicI64 = AtomicI64::new(0);
    static BEGAN: Mutex<Option<Instant>> = Mutex::new(None);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[tokio::test(start_paused = true)]
    async fn a_work_loop_that_stops_turning_is_stuck_and_looks_old() {
        *BEGAN.lock().expect("lock") = Some(Instant::now());
        let progress = ProgressHandle::new(Identity::default(), || {
            let began = BEGAN.lock().expect("lock").expect("a beginning");
            at(i64::try_from(began.elapsed().as_secs()).expect("seconds"))
        });
        tokio::time::advance(2 * LONGEST_TURN).await;
        assert!(!progress.is_stuck(), "a long step of a Job is no loop");

        progress.beat();
        let said = progress.snapshot().time;
        tokio::time::advance(LONGEST_TURN).await;
        progress.update(|work| work.lag = Some(1));
        let snapshot = progress.snapshot();
        assert_eq!(
            (snapshot.time, snapshot.work.lag),
            (said, Some(1)),
            "another task's news do not make the loop look alive"
        );
        assert!(!progress.is_stuck(), "it may take so long");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(progress.is_stuck());
        let trouble = progress.snapshot().work.trouble.expect("a trouble");
        assert_eq!((trouble.reason, trouble.since), (Reason::NotTurning, said));
        progress.beat();
        assert!(!progress.is_stuck());
        assert_eq!(progress.snapshot().work.trouble, None);
        assert!(progress.snapshot().time > said);
    }

    /// One story, for the clock is shared.
    #[test]
    fn times_are_those_of_what_is_said() {
        let pass = || NOW.fetch_add(10, Ordering::SeqCst) + 10;
        let progress = ProgressHandle::new(Identity::default(), || at(NOW.load(Ordering::SeqCst)));
        let said = pass();
        progress.blocked(Reason::TableMissing, "first");
        pass();
        assert_eq!(progress.snapshot().time, at(said), "asking does not make old words new");
        let again = pass();
        progress.blocked(Reason::TableMissing, "second");
        let snapshot = progress.snapshot();
        let trouble = snapshot.work.trouble.expect("a trouble");
        assert_eq!(
            (snapshot.time, trouble.since, trouble.message.as_str()),
            (at(again), at(said), "second")
        );
        progress.blocked(Reason::TableThrottled, "third");
        let trouble = progress.snapshot().work.trouble.expect("a trouble");
        assert_eq!(trouble.since, at(again), "another trouble begins anew");
        progress.clear();
        assert_eq!(progress.snapshot().work.trouble, None);
    }
}
