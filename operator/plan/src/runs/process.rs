//! Process: takes what lies between what the stage has consumed and the run's inputs. No network.

use jiff::Timestamp;
use medallion_crds::StageRun;
use medallion_crds::launch::RunSettings;
use medallion_crds::launch::report::{Report, RunReport};
use medallion_crds::stage_run::StageRunType;

use super::kind::RunType;

pub(super) const TYPE: RunType = RunType {
    kind: StageRunType::Process,
    launch,
    evidence,
    moves_position: true,
};

fn launch(run: &StageRun, attempt: i32, now: Timestamp) -> RunSettings {
    RunSettings {
        name: run.metadata.name.clone().unwrap_or_default(),
        uid: run.metadata.uid.clone().unwrap_or_default(),
        attempt,
        // The run's own time, the same in every attempt; only an object the server never stored has none.
        as_of: run.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0),
        inputs: run.spec.inputs().to_vec(),
    }
}

/// The report of this run's commit, from whichever attempt's pod.
fn evidence(run: &StageRun, report: Report) -> Option<RunReport> {
    match report {
        Report::Run(report) if Some(&report.run_uid) == run.metadata.uid.as_ref() => Some(report),
        _ => None,
    }
}

/// What stands for any run: what is left is the same for all runs of a stage.
pub(crate) fn any() -> RunSettings {
    RunSettings {
        name: String::new(),
        uid: String::new(),
        attempt: 0,
        as_of: Timestamp::UNIX_EPOCH,
        inputs: Vec::new(),
    }
}
