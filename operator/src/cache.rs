//! What is remembered of a pipeline between looks: only to save calls; losing it costs calls, never correctness. No network.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use medallion_crds::Pipeline;
use medallion_crds::pipeline::ConfigMapKeyRef;
use medallion_plan::{ApplyFailure, Contract};

use crate::backoff;
use crate::failure::Failure;
use crate::key::PipelineKey;

/// A watch that has not shown a write for so long is asked no more: the server is.
pub(crate) const LATE: Duration = Duration::from_secs(30);

/// Caches by pipeline; one of the same name that is another object begins with an empty one.
#[derive(Default)]
pub(crate) struct Caches(Mutex<HashMap<PipelineKey, Entry>>);

struct Entry {
    uid: String,
    cache: Arc<tokio::sync::Mutex<Cache>>,
}

/// What is remembered of one pipeline.
#[derive(Default)]
pub(crate) struct Cache {
    /// Children as they were last written, by `Kind/name`.
    pub written: HashMap<String, Written>,
    /// What is not tried again before its time, by `Kind/name`.
    pub waits: Waits,
    /// What the last write of the status made of the object.
    pub pipeline: Option<OwnWrite>,
    pub status_written: Option<Instant>,
    /// When the server has last said that the pipeline is as it was seen.
    pub confirmed: Option<Instant>,
    /// When the first run was made that the status does not tell of.
    pub run_made: Option<Instant>,
    /// When a run's status was last written, by the run's UID.
    pub run_written: HashMap<String, Instant>,
    pub contract: Option<KnownContract>,
    /// Newest warning events, by the pod's UID.
    pub warnings: HashMap<String, (Instant, Option<String>)>,
    /// Names of what is not made yet, as `name of Kind/name`, that are nobody else's.
    pub free: HashSet<String>,
    /// The resource version of an object that could not be read, once an event has said so.
    pub unreadable: Option<String>,
    /// What could not be applied, as users last read it.
    pub apply_failure: Option<ApplyFailure>,
    /// After looks that failed as a whole.
    pub pause: Option<Pause>,
    /// How many looks in a row were decided on an old picture.
    pub moved: u32,
}

/// The pipeline as this operator has left it, for as long as the watch does not show that.
pub(crate) struct OwnWrite {
    /// The resource versions that it was written over, oldest first: the watch shows these until it has caught up.
    pub over: Vec<Option<String>>,
    pub after: Arc<Pipeline>,
}

/// A child as it was last written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub digest: String,
    pub at: Instant,
    /// What the write made of the object.
    pub after: String,
    /// What the watch had shown before the write: it may be late. `None`: nothing.
    pub before: Option<String>,
    /// The watch has shown the write since, so whatever it shows now is news.
    pub was_shown: bool,
    /// The server has kept labels and annotations as they were written, so that a difference is somebody's doing.
    pub is_kept_whole: bool,
}

/// After a look that failed as a whole, the next one waits, whatever moves meanwhile; a changed wish does not wait.
#[derive(Clone, Debug)]
pub(crate) struct Pause {
    pub until: Instant,
    pub failures: u32,
    /// The wish it failed with.
    pub wish: String,
    pub error: String,
}

impl Pause {
    /// One more failure in a row.
    pub fn after(before: Option<&Self>, wish: String, error: String, now: Instant) -> Self {
        let failures = before.map_or(0, |pause| pause.failures).saturating_add(1);
        Self {
            until: now + backoff::after_failures(failures),
            failures,
            wish,
            error,
        }
    }

    /// How long a look with this wish has to wait.
    pub fn rest(&self, wish: &str, now: Instant) -> Option<Duration> {
        let rest = self.until.checked_duration_since(now)?;
        (self.wish == wish && !rest.is_zero()).then_some(rest)
    }
}

/// Objects that could not be made: each is tried again after a while of its own, however often the pipeline is looked at.
#[derive(Default)]
pub(crate) struct Waits(HashMap<String, Wait>);

struct Wait {
    /// What was tried.
    digest: String,
    failures: u32,
    until: Instant,
    failure: Failure,
}

impl Waits {
    /// Why an object is not tried yet, and for how long.
    pub fn rest(&self, object: &str, digest: &str, now: Instant) -> Option<(Failure, Duration)> {
        let wait = self.0.get(object).filter(|wait| wait.digest == digest)?;
        let rest = wait.until.checked_duration_since(now).filter(|rest| !rest.is_zero())?;
        Some((wait.failure.clone(), rest))
    }

    /// An object could not be made; tells when it is tried again.
    pub fn failed(&mut self, object: &str, digest: &str, failure: Failure, now: Instant) -> Duration {
        let before = self.0.get(object).filter(|wait| wait.digest == digest);
        let failures = before.map_or(0, |wait| wait.failures).saturating_add(1);
        let rest = if matches!(failure, Failure::Leaving { .. }) {
            Duration::from_secs(1)
        } else {
            backoff::after_failures(failures)
        };
        let wait = Wait {
            digest: digest.to_owned(),
            failures,
            until: now + rest,
            failure,
        };
        self.0.insert(object.to_owned(), wait);
        rest
    }

    /// An object is made.
    pub fn done(&mut self, object: &str) {
        self.0.remove(object);
    }

    /// Forgets what is no longer tried.
    pub fn retain(&mut self, tried: &HashSet<String>) {
        self.0.retain(|object, _| tried.contains(object));
    }
}

/// What was last found behind a reference to a contract.
pub(crate) struct KnownContract {
    pub reference: ConfigMapKeyRef,
    pub asked: Instant,
    pub answer: Contract,
}

impl Cache {
    /// Forgets what nothing will ask for again: runs that have ended, children that are not kept.
    pub fn tidy(&mut self, under_way: &HashSet<String>, keep: Option<&BTreeSet<String>>) {
        self.run_written.retain(|uid, _| under_way.contains(uid));
        if let Some(keep) = keep {
            self.written.retain(|child, _| keep.contains(child));
        }
    }

    /// How long to wait after one more look that was decided on an old picture.
    pub fn after_moved(&mut self) -> Duration {
        self.moved = self.moved.saturating_add(1);
        backoff::after_moves(self.moved)
    }

    /// What is known of a contract: of another than the last one asked about, nothing.
    pub fn contract(&self, reference: &ConfigMapKeyRef) -> Option<&KnownContract> {
        self.contract.as_ref().filter(|known| known.reference == *reference)
    }
}

impl Caches {
    /// The cache of a pipeline.
    pub fn of(&self, key: &PipelineKey, uid: &str) -> Arc<tokio::sync::Mutex<Cache>> {
        let mut all = self.lock();
        if let Some(entry) = all.get(key).filter(|entry| entry.uid == uid) {
            return entry.cache.clone();
        }
        let cache = Arc::default();
        let entry = Entry {
            uid: uid.to_owned(),
            cache: Arc::clone(&cache),
        };
        all.insert(key.clone(), entry);
        cache
    }

    /// Forgets a pipeline that is gone.
    pub fn forget(&self, key: &PipelineKey) {
        self.lock().remove(key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PipelineKey, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether something that happened then is younger than the limit.
pub(crate) fn is_recent(then: Option<Instant>, limit: Duration) -> bool {
    rest(then, limit).is_some()
}

/// How long until something that happened then reaches the limit; `None` once it has.
pub(crate) fn rest(then: Option<Instant>, limit: Duration) -> Option<Duration> {
    limit.checked_sub(then?.elapsed()).filter(|rest| !rest.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(name: &str) -> ConfigMapKeyRef {
        ConfigMapKeyRef {
            name: name.to_owned(),
            key: "schema.json".to_owned(),
        }
    }

    #[test]
    fn the_cache_does_not_grow_with_the_runs_that_were() {
        let mut cache = Cache::default();
        for number in 0..1000 {
            cache.run_written.insert(format!("run-{number}"), Instant::now());
            cache.tidy(&HashSet::from(["run-999".to_owned()]), None);
        }
        assert_eq!(cache.run_written.len(), 1);
    }

    #[test]
    fn what_is_known_of_one_contract_says_nothing_of_another() {
        let cache = Cache {
            contract: Some(KnownContract {
                reference: reference("v1"),
                asked: Instant::now(),
                answer: Contract::Missing,
            }),
            ..Cache::default()
        };
        assert!(cache.contract(&reference("v1")).is_some());
        assert!(cache.contract(&reference("v2")).is_none());
    }

    #[test]
    fn what_failed_waits_longer_each_time_and_a_changed_object_does_not_wait() {
        let (mut waits, begin) = (Waits::default(), Instant::now());
        let failure = || Failure::Refused("quota".to_owned());
        assert_eq!(waits.failed("Job/a", "1", failure(), begin), Duration::from_millis(500));
        assert_eq!(waits.failed("Job/a", "1", failure(), begin), Duration::from_secs(1));
        let (kept, rest) = waits.rest("Job/a", "1", begin).unwrap();
        assert_eq!((kept, rest), (failure(), Duration::from_secs(1)));
        assert!(waits.rest("Job/a", "2", begin).is_none(), "another object");
        assert!(waits.rest("Job/a", "1", begin + Duration::from_secs(1)).is_none());
        waits.done("Job/a");
        assert_eq!(waits.failed("Job/a", "1", failure(), begin), Duration::from_millis(500));
    }

    #[test]
    fn a_failed_look_is_not_pulled_forward_but_by_a_changed_wish() {
        let now = Instant::now();
        let first = Pause::after(None, "generation 1".to_owned(), "down".to_owned(), now);
        let second = Pause::after(Some(&first), "generation 1".to_owned(), "down".to_owned(), now);
        assert_eq!(second.rest("generation 1", now), Some(Duration::from_secs(1)));
        assert_eq!(second.rest("generation 2", now), None);
        assert_eq!(second.rest("generation 1", now + Duration::from_secs(1)), None);
    }
}
