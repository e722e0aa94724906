//! Asks the stream itself what lies behind a shard's position: whether a batch joins on, a parent has ended, a shard is quiet.
//!
//! A batch cannot say that nothing is missing before it: sequence numbers have gaps. A mapping that began at the newest
//! record, gave records up, or was switched off for a while would else leave a gap that nobody sees.

use jiff::Timestamp;
use medallion_crds::Reason;
use worker_kit::WorkerError;

use crate::lineage::Lineage;
use crate::sequence::Sequence;
use crate::sink::SinkError;
use crate::source::{PAGE_RECORDS, SourceError, StreamSource};
use crate::trouble::{loss, unreadable};

/// Empty answers prove little; after so many there is nothing near.
pub(crate) const NEAR: usize = 30;
/// As far as the invocation's time goes: where a record must be, it is found.
pub(crate) const FAR: usize = 100_000;

/// What lies behind a shard's position.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Behind {
    /// This record is the next one.
    Record(Sequence),
    /// Nothing as far as was asked; the shard goes on.
    Nothing,
    /// The shard's end.
    End,
}

/// Looks behind a shard's position, or from its oldest record if it has none, through so many answers. What the stream has dropped before that is
/// judged as it is for a reader.
pub(crate) async fn behind<S: StreamSource>(
    source: &S,
    lineage: &Lineage,
    shard: &str,
    answers: usize,
    now: Timestamp,
) -> Result<Behind, SinkError> {
    let position = lineage.position(shard).and_then(|position| position.sequence.as_ref());
    let arn = lineage.arn();
    let risk = |risk| SinkError::End(loss(&risk));
    let (mut iterator, mut most) = (None, 1);
    if position.is_some() {
        match source.iterator(arn, shard, position).await {
            Ok(found) => iterator = Some(found),
            Err(SourceError::Trimmed) => most = PAGE_RECORDS,
            Err(error) => return Err(failed(shard, &error)),
        }
    }
    let mut iterator = if let Some(iterator) = iterator {
        iterator
    } else {
        lineage.from_oldest(shard, now).map_err(risk)?;
        let oldest = source.iterator(arn, shard, None).await;
        oldest.map_err(|error| failed(shard, &error))?
    };
    for _ in 0..answers {
        let page = source.page(&iterator, most).await;
        let page = page.map_err(|error| failed(shard, &error))?;
        let next = page
            .records
            .iter()
            .find(|record| position.is_none_or(|position| record.sequence > *position));
        if let Some(record) = next {
            return Ok(Behind::Record(record.sequence.clone()));
        }
        match page.next {
            Some(next) => iterator = next,
            None => return Ok(Behind::End),
        }
    }
    Ok(Behind::Nothing)
}

/// Whether a batch that begins with this record joins on to the shard's position.
pub(crate) fn joins(lineage: &Lineage, shard: &str, first: &Sequence, behind: &Behind) -> Result<(), SinkError> {
    match behind {
        Behind::Record(next) if next == first => Ok(()),
        Behind::Record(next) if next < first => Err(SinkError::End(gap(lineage, shard, next, first))),
        // The stream does not show yet, or no longer, what it has given: both pass, or the position's age says so.
        _ => Err(SinkError::Retry(WorkerError::environment(
            Reason::StreamUnreadable,
            format!("shard {shard}: the stream does not show record {first}, with which the batch begins"),
        ))),
    }
}

fn gap(lineage: &Lineage, shard: &str, next: &Sequence, first: &Sequence) -> WorkerError {
    let position = lineage.position(shard).and_then(|position| position.sequence.as_ref());
    let stands = position.map_or_else(
        || "Bronze has nothing of it".to_owned(),
        |position| format!("Bronze stands at {position}"),
    );
    WorkerError::environment(
        Reason::BatchBeyondPosition,
        format!(
            "shard {shard}: {stands}, the stream goes on with {next}, and the batch begins with {first}: what lies between \
             would be missing. Make the event source mapping anew with starting position TRIM_HORIZON, without a filter and \
             with endless retries; or set stages.bronze.runsOn: Cluster, and the exporter's pod reads it"
        ),
    )
}

/// The parent's records come first, and Lambda gives them first: these have not been given, or not been committed.
pub(crate) fn parent_unread(lineage: &Lineage, parent: &str, child: &str, next: &Sequence) -> WorkerError {
    let position = lineage.position(parent).and_then(|position| position.sequence.as_ref());
    let stands = position.map_or_else(|| "its beginning".to_owned(), ToString::to_string);
    WorkerError::environment(
        Reason::BatchBeyondPosition,
        format!(
            "shard {child} comes from {parent}, of which Bronze stands at {stands} and the stream goes on with {next}: its \
             records must be committed first. If they do not come, make the event source mapping anew with starting position \
             TRIM_HORIZON; or set stages.bronze.runsOn: Cluster, and the exporter's pod reads them"
        ),
    )
}

/// The stream does not answer.
pub(crate) fn failed(shard: &str, error: &SourceError) -> SinkError {
    let mut error = unreadable(error);
    error.message = format!("shard {shard}: {}", error.message);
    SinkError::Retry(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{Committed, Position, StreamPosition};

    fn sequence(number: u64) -> Sequence {
        Sequence::new(number.to_string())
    }

    fn standing_at(number: Option<u64>) -> Lineage {
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().expect("time");
        let position = Position {
            sequence: number.map(sequence),
            closed: false,
        };
        let committed = Committed {
            stream: Some(StreamPosition {
                arn: "arn:1".to_owned(),
                as_of: Some(now),
                since: None,
                holder: medallion_crds::pipeline::RunsOn::Lambda,
            }),
            shards: [("a".to_owned(), position)].into(),
            ..Committed::default()
        };
        Lineage::resume("arn:1", committed, now).expect("no risk")
    }

    #[test]
    fn a_batch_joins_on_if_the_stream_goes_on_with_it() {
        let lineage = standing_at(Some(7));
        let reason = |behind| match joins(&lineage, "a", &sequence(10), &behind) {
            Ok(()) => None,
            Err(SinkError::End(error) | SinkError::Retry(error)) => Some((error.reason, error.message)),
        };
        assert_eq!(reason(Behind::Record(sequence(10))), None);
        let (word, message) = reason(Behind::Record(sequence(9))).expect("a gap");
        assert_eq!(word, Reason::BatchBeyondPosition);
        assert!(
            message.contains("stands at 7") && message.contains("TRIM_HORIZON"),
            "{message}"
        );
        for unclear in [Behind::Record(sequence(11)), Behind::Nothing, Behind::End] {
            let (word, _) = reason(unclear).expect("not proven");
            assert_eq!(word, Reason::StreamUnreadable);
        }
        let nothing_yet = standing_at(None);
        let Err(SinkError::End(error)) = joins(&nothing_yet, "a", &sequence(10), &Behind::Record(sequence(9))) else {
            panic!("a gap before the first record is one");
        };
        assert!(error.message.contains("nothing of it"), "{error}");
    }
}
