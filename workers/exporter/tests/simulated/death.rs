//! The death of a process at any of its calls. No network.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Counts calls and ends the process at one of them. Clones belong to the same process.
#[derive(Clone)]
pub struct Death {
    inner: Arc<Inner>,
}

struct Inner {
    calls: AtomicU64,
    at: AtomicU64,
    came: Notify,
}

impl Death {
    pub fn never() -> Self {
        Self {
            inner: Arc::new(Inner {
                calls: AtomicU64::new(0),
                at: AtomicU64::new(u64::MAX),
                came: Notify::new(),
            }),
        }
    }

    /// The process dies so many calls from now.
    pub fn after(&self, calls: u64) {
        self.inner
            .at
            .store(self.inner.calls.load(Ordering::SeqCst) + calls, Ordering::SeqCst);
    }

    /// A call of the process. At its death it never returns.
    pub async fn step(&self) {
        if self.inner.calls.fetch_add(1, Ordering::SeqCst) == self.inner.at.load(Ordering::SeqCst) {
            self.inner.came.notify_one();
            std::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
    }

    pub async fn came(&self) {
        self.inner.came.notified().await;
    }
}
