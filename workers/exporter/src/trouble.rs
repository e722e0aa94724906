//! What is in the exporter's way, in the words that users read. No network.

use medallion_crds::Reason;
use tokio::task::JoinError;
use worker_kit::WorkerError;

use crate::lineage::LossRisk;
use crate::source::SourceError;

pub(crate) fn unreadable(error: &SourceError) -> WorkerError {
    let reason = if matches!(error, SourceError::Missing(_)) {
        Reason::StreamMissing
    } else {
        Reason::StreamUnreadable
    };
    WorkerError::environment(reason, error.to_string())
}

pub(crate) fn switched_off(arn: &str) -> WorkerError {
    WorkerError::environment(
        Reason::StreamDisabled,
        format!(
            "the stream {arn} has been switched off: what is written to the table now does not reach Bronze; what the \
             stream still has is read on. A stream that is switched on again is another one, with a gap before it"
        ),
    )
}

/// A task that panicked would be missed for ever: its shard would be read no more.
pub(crate) fn task_failed(error: &JoinError) -> WorkerError {
    WorkerError::environment(
        Reason::ReaderFailed,
        format!("a task of the exporter broke down: {error}"),
    )
}

/// Nothing goes on over a gap: a successor of this process would halt again.
pub(crate) fn loss(risk: &LossRisk) -> WorkerError {
    let message = format!("{risk}. There is no backfill yet: start over with a new Pipeline and an empty lake");
    WorkerError::loss_risk(risk.reason(), message)
}
