//! The table of kinds of run: one entry a kind, one file an entry. No network.

mod process;

use jiff::Timestamp;
use medallion_crds::StageRun;
use medallion_crds::launch::RunSettings;
use medallion_crds::launch::report::{Report, RunReport};
use medallion_crds::stage_run::StageRunType;

pub(crate) use process::any as any_process;

/// The kinds of run.
pub(crate) static RUN_TYPES: &[RunType] = &[process::TYPE];

/// Everything that tells one kind of run from another.
pub(crate) struct RunType {
    pub kind: StageRunType,
    /// What an attempt works on: the run, the attempt's number, and the time should the run have none.
    pub launch: fn(&StageRun, i32, Timestamp) -> RunSettings,
    /// What proves that the run's work stands committed.
    pub evidence: fn(&StageRun, Report) -> Option<RunReport>,
    /// Whether what it has consumed is consumed for the stage.
    pub moves_position: bool,
}

/// The kind of a run; `None` for one that this version does not know.
pub(crate) fn of(run: &StageRun) -> Option<&'static RunType> {
    RUN_TYPES.iter().find(|entry| entry.kind == run.spec.kind)
}
