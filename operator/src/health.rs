//! Whether the operator itself works: its watches and the tasks that must never end. No network.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A watch that has failed for so long, try after try, is told by /readyz.
const FAILS_FOR_GOOD: Duration = Duration::from_secs(30);
/// Failures further apart than this are separate troubles: the tries of a broken watch come every few seconds.
const APART: Duration = Duration::from_secs(20);

/// What is known of the operator's own work.
#[derive(Default)]
pub(crate) struct Health {
    /// A task that must never end has ended: only a new process helps.
    broken: AtomicBool,
    watches: Mutex<Vec<Watch>>,
    filled: Notify,
}

struct Watch {
    kind: &'static str,
    filled: bool,
    trouble: Option<Trouble>,
}

struct Trouble {
    since: Instant,
    last: Instant,
    error: String,
}

/// One watch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WatchId(usize);

impl Health {
    /// Takes note of a watch, which is not filled yet.
    pub fn watch(&self, kind: &'static str) -> WatchId {
        let mut watches = self.lock();
        watches.push(Watch {
            kind,
            filled: false,
            trouble: None,
        });
        WatchId(watches.len() - 1)
    }

    /// A watch has listed everything there is.
    pub fn has_filled(&self, id: WatchId) {
        self.with(id, |watch| {
            watch.filled = true;
            watch.trouble = None;
        });
        self.filled.notify_waiters();
    }

    /// A watch has sent something.
    pub fn works(&self, id: WatchId) {
        self.with(id, |watch| watch.trouble = None);
    }

    /// A try of a watch has failed. Tells whether this is a new trouble.
    pub fn failed(&self, id: WatchId, error: &str, now: Instant) -> bool {
        let mut new = false;
        self.with(id, |watch| {
            let since = watch
                .trouble
                .as_ref()
                .filter(|trouble| now.duration_since(trouble.last) < APART)
                .map(|trouble| trouble.since);
            new = since.is_none();
            watch.trouble = Some(Trouble {
                since: since.unwrap_or(now),
                last: now,
                error: error.to_owned(),
            });
        });
        new
    }

    /// Why the picture of the cluster is not to be relied on, if so.
    pub fn obstacle(&self, now: Instant) -> Option<String> {
        let watches = self.lock();
        let failing = watches.iter().find_map(|watch| {
            let trouble = watch.trouble.as_ref()?;
            let lasts = now.duration_since(trouble.since) >= FAILS_FOR_GOOD && now.duration_since(trouble.last) < APART;
            lasts.then(|| {
                let seconds = now.duration_since(trouble.since).as_secs();
                format!(
                    "the watch of {} has failed for {seconds} s: {}",
                    watch.kind, trouble.error
                )
            })
        });
        failing.or_else(|| {
            let unfilled: Vec<_> = watches
                .iter()
                .filter(|watch| !watch.filled)
                .map(|watch| watch.kind)
                .collect();
            (!unfilled.is_empty()).then(|| format!("not listed yet: {}", unfilled.join(", ")))
        })
    }

    /// Waits until every watch has listed everything once: a decision on half a picture would repeat what stands.
    pub async fn wait_until_filled(&self) {
        loop {
            let changed = self.filled.notified();
            if self.lock().iter().all(|watch| watch.filled) {
                return;
            }
            changed.await;
        }
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

    fn with(&self, id: WatchId, change: impl FnOnce(&mut Watch)) {
        if let Some(watch) = self.lock().get_mut(id.0) {
            change(watch);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Watch>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_watch_that_fails_for_good_makes_the_operator_not_ready() {
        let (health, begin) = (Health::default(), Instant::now());
        let jobs = health.watch("Job");
        assert_eq!(health.obstacle(begin).unwrap(), "not listed yet: Job");
        health.has_filled(jobs);
        for try_ in 0..8 {
            let new = health.failed(jobs, "forbidden", begin + seconds(try_ * 5));
            assert_eq!(new, try_ == 0, "told once");
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
        let jobs = health.watch("Job");
        health.has_filled(jobs);
        for try_ in 0..8 {
            assert!(health.failed(jobs, "timed out", begin + seconds(try_ * 290)));
        }
        assert_eq!(health.obstacle(begin + seconds(7 * 290)), None);
    }

    #[test]
    fn an_idle_watch_that_was_broken_for_long_is_trusted_once_its_tries_end() {
        let (health, begin) = (Health::default(), Instant::now());
        let jobs = health.watch("Job");
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
}
