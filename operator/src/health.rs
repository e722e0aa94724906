//! Whether the operator itself works: what its picture of the cluster rests on, and the tasks that must never end. No network.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A watch that has failed for so long, try after try, makes the operator not ready.
const FAILS_FOR_GOOD: Duration = Duration::from_secs(30);
/// Failures further apart than this are separate troubles: the tries of a broken watch come every few seconds.
const APART: Duration = Duration::from_secs(20);

/// What is known of the operator's own work.
#[derive(Default)]
pub(crate) struct Health {
    /// A task that must never end has ended: only a new process helps.
    broken: AtomicBool,
    sources: Mutex<Vec<Source>>,
    filled: Notify,
}

/// Something that the picture of the cluster rests on.
struct Source {
    kind: SourceKind,
    /// The namespace that it tells of; `None`: the whole cluster.
    part: Option<String>,
    filled: bool,
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy)]
enum SourceKind {
    /// The watch of a kind of object.
    Watch(&'static str),
    /// The Lease, which is read and written in turns.
    Lease,
}

impl Source {
    /// Where, unless everywhere.
    fn place(&self) -> String {
        let part = self.part.as_ref();
        part.map_or_else(String::new, |namespace| format!(" in namespace {namespace}"))
    }
}

struct Trouble {
    since: Instant,
    last: Instant,
    error: String,
}

/// One of the sources.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceId(usize);

impl Health {
    /// Takes note of a watch of a namespace, or of the whole cluster, which is not filled yet.
    pub fn watch(&self, kind: &'static str, part: Option<&str>) -> SourceId {
        self.add(SourceKind::Watch(kind), part)
    }

    /// Takes note of the Lease of a namespace, or of the whole cluster, which has not been read yet.
    pub fn lease(&self, part: Option<&str>) -> SourceId {
        self.add(SourceKind::Lease, part)
    }

    fn add(&self, kind: SourceKind, part: Option<&str>) -> SourceId {
        let mut sources = self.lock();
        sources.push(Source {
            kind,
            part: part.map(str::to_owned),
            filled: false,
            trouble: None,
        });
        SourceId(sources.len() - 1)
    }

    /// A watch has listed everything there is, or the Lease has been read and, if it is ours, written. Tells whether this was the last
    /// that the picture of its part of the cluster has waited for.
    pub fn has_filled(&self, id: SourceId) -> bool {
        let is_last = {
            let mut sources = self.lock();
            let Some(source) = sources.get_mut(id.0) else {
                return false;
            };
            source.trouble = None;
            let was_filled = std::mem::replace(&mut source.filled, true);
            let part = source.part.clone();
            !was_filled && is_whole(&sources, part.as_deref())
        };
        self.filled.notify_waiters();
        is_last
    }

    /// A watch has sent something.
    pub fn works(&self, id: SourceId) {
        self.with(id, |source| source.trouble = None);
    }

    /// A try of a watch, or with the Lease, has failed. Tells whether this is a new trouble.
    pub fn failed(&self, id: SourceId, error: &str, now: Instant) -> bool {
        let mut new = false;
        self.with(id, |source| {
            let since = source
                .trouble
                .as_ref()
                .filter(|trouble| now.duration_since(trouble.last) < APART)
                .map(|trouble| trouble.since);
            new = since.is_none();
            source.trouble = Some(Trouble {
                since: since.unwrap_or(now),
                last: now,
                error: error.to_owned(),
            });
        });
        new
    }

    /// Why the picture of the cluster is not to be relied on, if so.
    pub fn obstacle(&self, now: Instant) -> Option<String> {
        let sources = self.lock();
        let failing = sources.iter().find_map(|source| {
            let trouble = source.trouble.as_ref()?;
            let lasts = now.duration_since(trouble.since) >= FAILS_FOR_GOOD && now.duration_since(trouble.last) < APART;
            lasts.then(|| {
                let seconds = now.duration_since(trouble.since).as_secs();
                let place = source.place();
                let what = match source.kind {
                    SourceKind::Watch(kind) => format!("the watch of {kind}{place} has failed"),
                    SourceKind::Lease => format!("the Lease{place} could not be read or written"),
                };
                format!("{what} for {seconds} s: {}", trouble.error)
            })
        });
        failing.or_else(|| {
            let unfilled = || sources.iter().filter(|source| !source.filled);
            let unlisted: Vec<_> = unfilled()
                .filter_map(|source| match source.kind {
                    SourceKind::Watch(kind) => Some(format!("{kind}{}", source.place())),
                    SourceKind::Lease => None,
                })
                .collect();
            if unlisted.is_empty() {
                let lease = unfilled().next();
                lease.map(|source| format!("the Lease{} has not been read yet", source.place()))
            } else {
                Some(format!("not listed yet: {}", unlisted.join(", ")))
            }
        })
    }

    /// Waits until all watches of some part of the cluster have listed everything once, and its Lease has been read.
    pub async fn wait_until_filled(&self) {
        loop {
            let changed = self.filled.notified();
            let is_any_whole = {
                let sources = self.lock();
                sources.iter().any(|source| is_whole(&sources, source.part.as_deref()))
            };
            if is_any_whole {
                return;
            }
            changed.await;
        }
    }

    /// Whether everything has been listed once that a look at a namespace's pipelines rests on: a decision on half a picture would repeat
    /// what stands. Each watched namespace stands for itself: one that is deleted, and the rights in it with it, stops no other.
    pub fn is_filled(&self, namespace: &str) -> bool {
        let sources = self.lock();
        is_whole(&sources, Some(namespace)) && is_whole(&sources, None)
    }

    /// Whether only a new process helps.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Runs a task that must never end. If it does all the same, the operator would go on with a picture that stands still.
    pub fn for_ever(self: &Arc<Self>, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let (health, task) = (self.clone(), tokio::spawn(task));
        tokio::spawn(async move {
            let ended = task.await;
            tracing::error!(
                what,
                ?ended,
                "a task has ended that never must; the process has to be started anew"
            );
            health.broken.store(true, Ordering::Relaxed);
        });
    }

    fn with(&self, id: SourceId, change: impl FnOnce(&mut Source)) {
        if let Some(source) = self.lock().get_mut(id.0) {
            change(source);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether everything of a part of the cluster has been listed once.
fn is_whole(sources: &[Source], part: Option<&str>) -> bool {
    let mut own = sources.iter().filter(|source| source.part.as_deref() == part);
    own.all(|source| source.filled)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_watch_that_fails_for_good_makes_the_operator_not_ready() {
        let (health, begin) = (Health::default(), Instant::now());
        let jobs = health.watch("Job", None);
        assert_eq!(health.obstacle(begin).unwrap(), "not listed yet: Job");
        health.has_filled(jobs);
        for try_ in 0..8 {
            let new = health.failed(jobs, "forbidden", begin + seconds(try_ * 5));
            assert_eq!(new, try_ == 0, "new once");
        }
        assert_eq!(health.obstacle(begin + seconds(10)), None, "it may still heal");
        let obstacle = health.obstacle(begin + seconds(36)).unwrap();
        assert_eq!(obstacle, "the watch of Job has failed for 36 s: forbidden");
        health.works(jobs);
        assert_eq!(health.obstacle(begin + seconds(37)), None);
    }

    #[test]
    fn a_watch_that_is_renewed_now_and_then_is_no_trouble() {
        let (health, begin) = (Health::default(), Instant::now());
        let jobs = health.watch("Job", None);
        health.has_filled(jobs);
        for try_ in 0..8 {
            assert!(health.failed(jobs, "timed out", begin + seconds(try_ * 290)));
        }
        assert_eq!(health.obstacle(begin + seconds(7 * 290)), None);
    }

    #[test]
    fn an_idle_watch_that_was_broken_for_long_is_trusted_once_its_tries_end() {
        let (health, begin) = (Health::default(), Instant::now());
        let jobs = health.watch("Job", None);
        health.has_filled(jobs);
        for try_ in 0..20 {
            health.failed(jobs, "refused", begin + seconds(try_ * 5));
        }
        assert!(health.obstacle(begin + seconds(96)).is_some());
        assert_eq!(
            health.obstacle(begin + seconds(95 + 21)),
            None,
            "nothing to send is no failure"
        );
    }

    #[test]
    fn the_lease_is_reported_in_words_of_its_own() {
        let (health, begin) = (Health::default(), Instant::now());
        let lease = health.lease(None);
        assert_eq!(health.obstacle(begin).unwrap(), "the Lease has not been read yet");
        let jobs = health.watch("Job", None);
        assert_eq!(health.obstacle(begin).unwrap(), "not listed yet: Job");
        health.has_filled(jobs);
        for try_ in 0..8 {
            health.failed(lease, "forbidden", begin + seconds(try_ * 5));
        }
        let obstacle = health.obstacle(begin + seconds(36)).unwrap();
        assert_eq!(obstacle, "the Lease could not be read or written for 36 s: forbidden");
    }

    #[test]
    fn each_watched_namespace_is_listed_for_itself() {
        let (health, begin) = (Health::default(), Instant::now());
        let parts = ["shop", "gone"].map(|part| (health.watch("Job", Some(part)), health.lease(Some(part))));
        let (jobs, lease) = parts[0];
        assert!(!health.has_filled(jobs), "the Lease has not been read");
        assert!(!health.is_filled("shop"));
        assert!(health.has_filled(lease), "that was all");
        assert!(!health.has_filled(jobs), "listed again");
        assert!(health.is_filled("shop") && !health.is_filled("gone"));
        let obstacle = health.obstacle(begin).unwrap();
        assert_eq!(obstacle, "not listed yet: Job in namespace gone");
        for try_ in 0..8 {
            health.failed(parts[1].0, "forbidden", begin + seconds(try_ * 5));
        }
        let obstacle = health.obstacle(begin + seconds(36)).unwrap();
        assert_eq!(
            obstacle,
            "the watch of Job in namespace gone has failed for 36 s: forbidden"
        );
    }

    #[tokio::test]
    async fn the_work_begins_where_everything_is_listed() {
        let health = Health::default();
        health.watch("Job", Some("gone"));
        let jobs = health.watch("Job", Some("shop"));
        assert!(health.wait_until_filled().now_or_never().is_none());
        health.has_filled(jobs);
        assert!(health.wait_until_filled().now_or_never().is_some());
    }
}
