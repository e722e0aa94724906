//! Checkpoints of the log, written beside the commits and never in their way. Talks to object storage.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::task::JoinHandle;

use crate::snapshot::Snapshot;
use crate::table::Table;

/// A checkpoint is written after this many commits without one. Loading a table reads at most about as many entries.
pub const CHECKPOINT_EVERY: u64 = 50;

#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    running: AtomicBool,
    last: Mutex<Option<JoinHandle<()>>>,
}

impl Table {
    /// Starts writing a checkpoint of a version, unless one is being written. A failure is logged and made up for by the
    /// next one: readers only need more time without it.
    pub(crate) fn start_checkpoint(&self, snapshot: &Snapshot) {
        if self.checkpoints().running.swap(true, Ordering::SeqCst) {
            return;
        }
        let table = self.clone();
        let snapshot = snapshot.clone();
        let task = tokio::task::spawn_blocking(move || {
            match snapshot.kernel().checkpoint(table.engine(), None) {
                Ok(_) => tracing::info!(
                    table = table.address(),
                    version = snapshot.version(),
                    "checkpoint written"
                ),
                Err(error) => {
                    tracing::warn!(table = table.address(), %error, "checkpoint failed, the next will do");
                }
            }
            table.checkpoints().running.store(false, Ordering::SeqCst);
        });
        *self.checkpoints().last.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Waits for a checkpoint that is being written. For processes that end after their commits.
    pub async fn settle(&self) {
        let task = self
            .checkpoints()
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::warn!(table = self.address(), %error, "checkpoint ended without an answer");
        }
    }
}
