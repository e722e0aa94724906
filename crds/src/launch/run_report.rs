//! What a run says that ended well. No network.

use serde::{Deserialize, Serialize};

use crate::stage_run::{OutputTable, TableVersion};

/// A run that ended well: the evidence of what stands committed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// UID of the `StageRun`.
    pub run_uid: String,
    /// The attempt that wrote this.
    pub attempt: i32,
    /// true: everything stood committed before this attempt did anything.
    pub already_committed: bool,
    /// What the layer has consumed now; left out when there is no room for it, because the run's spec says the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<TableVersion>,
    /// All tables of the layer at their versions (for the warehouse: each table at the Gold version it holds).
    pub outputs: Vec<OutputTable>,
    /// Rows written by the run.
    pub rows: i64,
}
