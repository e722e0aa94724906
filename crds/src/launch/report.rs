//! What a Job leaves behind: its termination message, JSON of at most 4 KiB. No network.

use serde::{Deserialize, Serialize};

use super::TERMINATION_BYTES;
use crate::pipeline::Dependency;
use crate::reason::Reason;
use crate::stage_run::TableVersion;
use crate::text::cut;

/// How long each message may be at first.
const MESSAGE_BYTES: usize = 1500;

/// The termination message of a Job.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Report {
    /// Of the dbt-runner and the loader.
    Run(RunReport),
    /// Of the provisioner.
    Provision(ProvisionReport),
    /// Of any worker that failed.
    Failure(FailureReport),
}

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
    pub outputs: Vec<TableVersion>,
    /// Rows written by the run.
    pub rows: i64,
}

/// What the provisioner found.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionReport {
    /// Each dependency and its state.
    pub dependencies: Vec<Dependency>,
    /// Version of the contract; absent when the contract is not valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_version: Option<String>,
}

/// Why a worker failed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureReport {
    /// CamelCase word for why: event reason, condition reason and metric label.
    pub reason: Reason,
    /// What, where and what to do; for dbt the node and its message.
    pub message: String,
}

impl Report {
    /// The JSON text, cut to what a termination message may hold: words are shortened, never what must be read back.
    pub fn to_termination_message(&self) -> String {
        let mut limit = MESSAGE_BYTES;
        loop {
            let text = serde_json::to_string(&self.shortened(limit)).unwrap_or_default();
            if text.len() <= TERMINATION_BYTES || limit < 16 {
                return text;
            }
            limit /= 2;
        }
    }

    fn shortened(&self, limit: usize) -> Self {
        match self.clone() {
            Self::Run(mut report) => {
                if limit < MESSAGE_BYTES {
                    report.inputs.clear();
                }
                Self::Run(report)
            }
            Self::Provision(mut report) => {
                for dependency in &mut report.dependencies {
                    // A met dependency needs no words; the room belongs to the others.
                    dependency.message = dependency
                        .message
                        .take()
                        .filter(|_| !dependency.state.is_met())
                        .map(|text| cut(&text, limit));
                }
                Self::Provision(report)
            }
            Self::Failure(report) => Self::Failure(FailureReport {
                reason: cut(report.reason.as_str(), 128).into(),
                message: cut(&report.message, limit.max(64) * 2),
            }),
        }
    }
}
