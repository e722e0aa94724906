//! The entries of the table of kinds of run: everything that tells one kind from another. No network.

use jiff::Timestamp;
use medallion_crds::StageRun;
use medallion_crds::launch::RunSettings;
use medallion_crds::launch::report::{Report, RunReport};
use medallion_crds::stage_run::StageRunType;

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
