//! Worker to operator: the JSON of `GET /progress` on the admin port, polled every few seconds per pod. No network.
//!
//! What a worker does not know is absent, never zero.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::pipeline::{DeadLetterReason, Retention, RunsOn};
use crate::reason::Reason;
use crate::stage::Stage;
use crate::stage_run::RunProgress;

/// Path on the admin port.
pub const PATH: &str = "/progress";

/// How a worker is getting on.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Who speaks; the operator discards what does not match.
    pub identity: Identity,
    /// When the worker's loop last said so: a loop that no longer turns does not look fresh.
    pub time: Timestamp,
    /// The worker's own part.
    #[serde(flatten)]
    pub work: Work,
}

/// Who speaks.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// UID of the Pipeline.
    pub pipeline_uid: String,
    /// UID of the pod.
    pub pod_uid: String,
    /// Stage, absent for the provisioner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Digest of the settings the worker runs with.
    pub settings_hash: String,
}

/// What the worker reports.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// Set while the worker waits for something outside, or has halted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// Version of the layer's table since which it has no new rows (exporter); absent until it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// Records waiting in this worker's share of its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<i64>,
    /// Time of the oldest input not processed yet; absent when nothing waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_pending_time: Option<Timestamp>,
    /// Age of the oldest unread input beside how long its source keeps it (consumer, exporter).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Who holds the stream, as Bronze's log names it (exporter).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<RunsOn>,
    /// Id of the topic that is read (consumer).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<String>,
    /// When data was last made visible to the next stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_commit_time: Option<Timestamp>,
    /// Rows of the last commit that had any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// Dead letters (consumer).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<DeadLetters>,
    /// Steps of the run (Jobs).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunProgress>,
}

/// Something is in the worker's way.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// Whether it heals by itself.
    pub class: TroubleClass,
    /// CamelCase word for why.
    pub reason: Reason,
    /// What, where and what to do.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// Kinds of trouble.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum TroubleClass {
    /// Data may be lost; the worker has halted until somebody decides.
    LossRisk,
    /// Something outside does not work; the worker tries again and goes on by itself. So is read what another version says.
    #[serde(other)]
    Environment,
}

/// Dead letters as the consumer measures them.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetters {
    /// Records in the dead-letter topic less those acknowledged.
    pub count: i64,
    /// The newest, newest first, at most ten.
    pub newest: Vec<DeadLetterReason>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn trouble_of_a_class_of_another_version_is_read() {
        let class = |word: &str| {
            let said = json!({"class": word, "reason": "Any", "message": "m", "since": "2026-01-01T00:00:00Z"});
            serde_json::from_value::<Trouble>(said).unwrap().class
        };
        assert_eq!(class("FromTheFuture"), TroubleClass::Environment);
        for known in [TroubleClass::LossRisk, TroubleClass::Environment] {
            assert_eq!(class(&format!("{known:?}")), known);
        }
    }
}
