//! The pipelines of the bench and what their workers would say: positions that move when the bench says so. Touches no network.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use medallion_crds::Stage;
use medallion_crds::progress::{DeadLetters, Identity, Progress, Work};
use medallion_crds::stage_run::RunProgress;

/// Version of every Bronze table that the history has consumed.
pub const FIRST_POSITION: i64 = 100;

/// Namespace and name.
pub type Key = (String, String);

#[derive(Default)]
pub struct Fleet {
    pipelines: RwLock<HashMap<Key, Arc<Pipeline>>>,
    /// Dead letters that every consumer counts: what the status must say, too, once the operator has asked it.
    dead_letters: AtomicI64,
    delays: Mutex<Vec<Duration>>,
}

/// What the simulated workers of a pipeline know.
pub struct Pipeline {
    pub uid: String,
    bronze: Mutex<Bronze>,
}

struct Bronze {
    position: i64,
    committed: Timestamp,
    /// A commit whose run has no Job yet.
    waiting: Option<Instant>,
}

/// A simulated pod.
#[derive(Clone)]
pub struct Pod {
    pub uid: String,
    pub pipeline: Arc<Pipeline>,
    pub stage: Option<Stage>,
    pub settings_hash: String,
}

impl Fleet {
    pub fn add(&self, key: Key, uid: String) {
        let pipeline = Pipeline {
            uid,
            bronze: Mutex::new(Bronze {
                position: FIRST_POSITION,
                committed: Timestamp::now(),
                waiting: None,
            }),
        };
        let mut all = self.pipelines.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(key, Arc::new(pipeline));
    }

    pub fn remove(&self, key: &Key) {
        let mut all = self.pipelines.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(key);
    }

    pub fn get(&self, key: &Key) -> Option<Arc<Pipeline>> {
        let all = self.pipelines.read().unwrap_or_else(PoisonError::into_inner);
        all.get(key).cloned()
    }

    /// Sorted, so that each keeps its moment of the minute.
    pub fn keys(&self) -> Vec<Key> {
        let all = self.pipelines.read().unwrap_or_else(PoisonError::into_inner);
        let mut keys: Vec<_> = all.keys().cloned().collect();
        keys.sort();
        keys
    }

    /// One more dead letter everywhere; gives the new count.
    pub fn add_dead_letter(&self) -> i64 {
        self.dead_letters.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A commit of Bronze.
    pub fn commit(&self, key: &Key) {
        if let Some(pipeline) = self.get(key) {
            let mut bronze = pipeline.bronze();
            bronze.position += 1;
            bronze.committed = Timestamp::now();
            // The run takes both: the older one has waited longer.
            bronze.waiting.get_or_insert_with(Instant::now);
        }
    }

    /// A Job of Silver was seen.
    pub fn job_seen(&self, key: &Key) {
        let waited = self.get(key).and_then(|pipeline| pipeline.bronze().waiting.take());
        if let Some(since) = waited {
            self.delays().push(since.elapsed());
        }
    }

    /// From commits to Jobs, since this was asked last; sorted.
    pub fn take_delays(&self) -> Vec<Duration> {
        let mut delays = std::mem::take(&mut *self.delays());
        delays.sort();
        delays
    }

    /// Commits that have no Job yet.
    pub fn waiting(&self) -> usize {
        let all = self.pipelines.read().unwrap_or_else(PoisonError::into_inner);
        all.values()
            .filter(|pipeline| pipeline.bronze().waiting.is_some())
            .count()
    }

    fn delays(&self) -> std::sync::MutexGuard<'_, Vec<Duration>> {
        self.delays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the worker in a pod says now.
    pub fn progress(&self, pod: &Pod) -> Progress {
        Progress {
            identity: Identity {
                pipeline_uid: pod.pipeline.uid.clone(),
                pod_uid: pod.uid.clone(),
                stage: pod.stage,
                settings_hash: pod.settings_hash.clone(),
            },
            time: Timestamp::now(),
            work: self.work(pod),
        }
    }

    fn work(&self, pod: &Pod) -> Work {
        let bronze = pod.pipeline.bronze();
        match pod.stage {
            Some(Stage::Ingest) => Work {
                last_commit_time: Some(bronze.committed),
                ..Work::default()
            },
            Some(Stage::Persist) => Work {
                lag: Some(0),
                last_commit_time: Some(bronze.committed),
                dead_letters: Some(DeadLetters {
                    count: self.dead_letters.load(Ordering::Relaxed),
                    newest: Vec::new(),
                }),
                ..Work::default()
            },
            Some(Stage::Bronze) => Work {
                position: Some(bronze.position),
                lag: Some(0),
                last_commit_time: Some(bronze.committed),
                rows: Some(1000),
                ..Work::default()
            },
            Some(_) => Work {
                run: Some(RunProgress {
                    done: 1,
                    total: 3,
                    current: None,
                }),
                ..Work::default()
            },
            None => Work::default(),
        }
    }
}

impl Pipeline {
    fn bronze(&self) -> std::sync::MutexGuard<'_, Bronze> {
        self.bronze.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        ("bench-00".to_owned(), "p-0000".to_owned())
    }

    #[test]
    fn a_commit_waits_until_its_job_is_seen_and_is_counted_once() {
        let fleet = Fleet::default();
        fleet.add(key(), "uid".to_owned());
        fleet.job_seen(&key());
        assert!(fleet.take_delays().is_empty(), "nothing was committed");
        fleet.commit(&key());
        fleet.commit(&key());
        assert_eq!(fleet.waiting(), 1);
        fleet.job_seen(&key());
        fleet.job_seen(&key());
        assert_eq!(fleet.take_delays().len(), 1);
        assert_eq!(fleet.waiting(), 0);
    }

    #[test]
    fn each_worker_says_what_is_its_own() {
        let fleet = Fleet::default();
        fleet.add(key(), "uid".to_owned());
        fleet.commit(&key());
        let said = |stage| {
            fleet.progress(&Pod {
                uid: "pod".to_owned(),
                pipeline: fleet.get(&key()).unwrap(),
                stage,
                settings_hash: "hash".to_owned(),
            })
        };
        assert_eq!(said(Some(Stage::Bronze)).work.position, Some(FIRST_POSITION + 1));
        assert_eq!(said(Some(Stage::Persist)).work.dead_letters.unwrap().count, 0);
        assert_eq!(fleet.add_dead_letter(), 1);
        assert_eq!(said(Some(Stage::Persist)).work.dead_letters.unwrap().count, 1);
        assert_eq!(said(None).identity.pipeline_uid, "uid");
    }
}
