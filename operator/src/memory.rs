//! What is remembered of a pipeline between reconciles: only to save calls; losing it costs calls, never correctness. No network.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use medallion_crds::Pipeline;
use medallion_crds::pipeline::ConfigMapKeyRef;
use medallion_plan::Contract;

use crate::children::Applied;

/// Memories by UID of the pipeline.
#[derive(Default)]
pub(crate) struct Memories(Mutex<HashMap<String, Entry>>);

#[derive(Default)]
struct Entry {
    memory: Arc<tokio::sync::Mutex<Memory>>,
    failures: u32,
}

/// What is remembered of one pipeline.
#[derive(Default)]
pub(crate) struct Memory {
    /// Children as they were last applied, by `Kind/name`.
    pub applied: HashMap<String, Applied>,
    /// The resource version that was seen when the status was last written, and what the write made of the object.
    pub written: Option<(Option<String>, Pipeline)>,
    pub status_written: Option<Instant>,
    /// When a run's status was last written, by the run's UID.
    pub run_written: HashMap<String, Instant>,
    pub contract: Option<KnownContract>,
    /// Newest warning events, by the pod's UID.
    pub warnings: HashMap<String, (Instant, Option<String>)>,
    /// The resource version of an object that could not be read, once that has been told.
    pub unreadable: Option<String>,
    /// What the last pass could not apply.
    pub apply_failure: Option<String>,
}

/// What was last found behind a reference to a contract.
pub(crate) struct KnownContract {
    pub reference: ConfigMapKeyRef,
    pub asked: Instant,
    pub answer: Contract,
}

impl Memory {
    /// Forgets what nothing will ask for again: runs that have ended, children that are not kept.
    pub fn tidy(&mut self, under_way: &HashSet<String>, keep: Option<&BTreeSet<String>>) {
        self.run_written.retain(|uid, _| under_way.contains(uid));
        if let Some(keep) = keep {
            self.applied.retain(|child, _| keep.contains(child));
        }
    }

    /// What is known of a contract: of another than the last one asked about, nothing.
    pub fn contract(&self, reference: &ConfigMapKeyRef) -> Option<&KnownContract> {
        self.contract.as_ref().filter(|known| known.reference == *reference)
    }
}

impl Memories {
    /// The memory of a pipeline.
    pub fn of(&self, uid: &str) -> Arc<tokio::sync::Mutex<Memory>> {
        self.lock().entry(uid.to_owned()).or_default().memory.clone()
    }

    /// One more failure in a row; how many now.
    pub fn failed(&self, uid: &str) -> u32 {
        let mut all = self.lock();
        let entry = all.entry(uid.to_owned()).or_default();
        entry.failures = entry.failures.saturating_add(1);
        entry.failures
    }

    /// The row of failures is over.
    pub fn succeeded(&self, uid: &str) {
        if let Some(entry) = self.lock().get_mut(uid) {
            entry.failures = 0;
        }
    }

    /// Forgets pipelines that are gone.
    pub fn retain(&self, lives: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| lives(uid));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
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
    fn memory_does_not_grow_with_the_runs_that_were() {
        let mut memory = Memory::default();
        for number in 0..1000 {
            memory.run_written.insert(format!("run-{number}"), Instant::now());
            memory.tidy(&HashSet::from(["run-999".to_owned()]), None);
        }
        assert_eq!(memory.run_written.len(), 1);
    }

    #[test]
    fn what_is_known_of_one_contract_says_nothing_of_another() {
        let memory = Memory {
            contract: Some(KnownContract {
                reference: reference("v1"),
                asked: Instant::now(),
                answer: Contract::Missing,
            }),
            ..Memory::default()
        };
        assert!(memory.contract(&reference("v1")).is_some());
        assert!(memory.contract(&reference("v2")).is_none());
    }
}
