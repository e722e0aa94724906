//! Checkpoints of the log, written beside the commits and never in their way. Talks to object storage.

use std::sync::PoisonError;

use crate::snapshot::Snapshot;
use crate::table::Table;

/// A checkpoint is written after this many commits without one. Loading a table reads at most about as many entries.
pub const CHECKPOINT_EVERY: u64 = 50;
/// One that did not come about is made up for after so many further commits.
const AGAIN_AFTER: u64 = 25;
/// So many commits later a checkpoint is there, if it ever will be.
const LOOK_AFTER: u64 = 10;

/// Whether to write a checkpoint, so many commits after the last one that this process knows of.
pub(crate) fn is_due(since: u64) -> bool {
    since >= CHECKPOINT_EVERY && (since - CHECKPOINT_EVERY).is_multiple_of(AGAIN_AFTER)
}

/// Whether to read the log anew, because it should have a checkpoint that this process has not seen.
pub(crate) fn is_behind(since: u64) -> bool {
    since.checked_sub(LOOK_AFTER).is_some_and(is_due)
}

impl Table {
    /// Starts writing a checkpoint of a version, unless one is being written. A failure is logged and made up for by a
    /// later one: readers only need more time without it.
    pub(crate) fn start_checkpoint(&self, snapshot: &Snapshot) {
        let mut last = self.checkpoint().lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let table = self.clone();
        let snapshot = snapshot.clone();
        *last = Some(tokio::task::spawn_blocking(move || {
            match snapshot.kernel().checkpoint(table.engine(), None) {
                Ok(_) => tracing::debug!(
                    table = table.address(),
                    version = snapshot.version(),
                    "checkpoint written"
                ),
                Err(error) => {
                    tracing::warn!(table = table.address(), %error, "checkpoint failed, a later one will do");
                }
            }
        }));
    }

    /// Waits for a checkpoint that is being written. For processes that end after their commits.
    pub async fn settle(&self) {
        let task = self.checkpoint().lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::warn!(table = self.address(), %error, "checkpoint ended without an answer");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_that_did_not_come_about_is_made_up_for_soon() {
        let due: Vec<u64> = (0..=110).filter(|since| is_due(*since)).collect();
        assert_eq!(due, [50, 75, 100]);
        let looked: Vec<u64> = (0..=110).filter(|since| is_behind(*since)).collect();
        assert_eq!(
            looked,
            [60, 85, 110],
            "whether it is there is known before the next try"
        );
    }
}
