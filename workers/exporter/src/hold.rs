//! Who may commit to Bronze: the exporter's pod or a function, as the table's log names it. No network.
//!
//! Only the pod changes it, at its start and to what its settings say, for it is the one that the operator's wish reaches.
//! A function obeys. Every commit of both carries the hold among its positions, so a commit that was begun under one hold
//! conflicts with a change of it, and nothing is committed.

use medallion_crds::Reason;
use medallion_crds::pipeline::RunsOn;
use worker_kit::WorkerError;

use crate::position::Committed;

/// Whether the log lets this one commit; if not, why its work must wait.
pub fn check(committed: &Committed, own: RunsOn) -> Result<(), WorkerError> {
    let Some(stream) = &committed.stream else {
        return Err(waits(
            "Bronze's log names nobody who holds the stream yet; the exporter's pod hands it over at its start",
        ));
    };
    if stream.holder == own {
        return Ok(());
    }
    Err(waits(&format!(
        "Bronze's log says that {} holds the stream, not {own}; stages.bronze.runsOn decides, and the exporter's pod hands \
         the stream over at its start",
        stream.holder
    )))
}

/// There is no table that could name anybody.
pub(crate) fn nobodys(table: &str) -> WorkerError {
    waits(&format!(
        "there is no table {table} yet; the exporter's pod makes it, and hands the stream over in its log"
    ))
}

/// Somebody has committed between the look at the log and the commit that takes the stream over.
pub(crate) fn contested(own: RunsOn) -> WorkerError {
    waits(&format!(
        "somebody has committed to Bronze while {own} took the stream over; it is tried again on top of that"
    ))
}

/// The log names another than the one that this process has handed the stream to.
pub(crate) fn taken_back(found: Option<RunsOn>) -> WorkerError {
    let found = found.map_or("nobody", RunsOn::as_str);
    WorkerError::fenced(
        Reason::AnotherExporter,
        format!("another exporter has changed who holds the stream: Bronze's log says {found}; this one ends"),
    )
}

fn waits(message: &str) -> WorkerError {
    WorkerError::environment(Reason::StreamHeldElsewhere, message)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::position::StreamPosition;

    fn held_by(holder: Option<RunsOn>) -> Committed {
        let stream = holder.map(|holder| StreamPosition {
            arn: "arn:1".to_owned(),
            as_of: None,
            since: None,
            holder,
        });
        Committed {
            stream,
            ..Committed::default()
        }
    }

    #[rstest]
    #[case::its_own(Some(RunsOn::Lambda), RunsOn::Lambda, None)]
    #[case::the_pods(Some(RunsOn::Cluster), RunsOn::Lambda, Some("Cluster holds the stream"))]
    #[case::the_functions(Some(RunsOn::Lambda), RunsOn::Cluster, Some("Lambda holds the stream"))]
    #[case::nobodys(None, RunsOn::Lambda, Some("names nobody"))]
    fn the_log_says_who_may_commit(#[case] named: Option<RunsOn>, #[case] own: RunsOn, #[case] refused: Option<&str>) {
        match (check(&held_by(named), own), refused) {
            (Ok(()), None) => {}
            (Err(error), Some(words)) => {
                assert_eq!(error.reason, Reason::StreamHeldElsewhere);
                assert!(error.message.contains(words), "{error}");
            }
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }
}
