//! How each stage is at the moment of a scrape: its state, and how old the oldest input is that is not processed yet. Status stores times, alarms ask for ages. No network.

use jiff::Timestamp;
use medallion_crds::Reason;
use medallion_crds::pipeline::{PipelineStatus, StageState};
use prometheus_client::encoding::EncodeLabelSet;

use crate::key::PipelineKey;

/// A stage of a pipeline.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct StageLabels {
    pub namespace: String,
    pub pipeline: String,
    pub stage: &'static str,
}

/// A stage of a pipeline and what it is doing.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct StateLabels {
    pub namespace: String,
    pub pipeline: String,
    pub stage: &'static str,
    pub state: &'static str,
    /// Empty where the state says it all.
    pub reason: String,
}

/// A stage as it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Look {
    pub stage: StageLabels,
    pub state: StageState,
    pub reason: Option<Reason>,
    /// Of its oldest input that is not processed, in whole seconds: 0 where nothing waits, none where nothing is known.
    pub age_seconds: Option<i64>,
}

impl Look {
    /// Its labels with what it is doing.
    pub fn state(&self) -> StateLabels {
        let StageLabels {
            namespace,
            pipeline,
            stage,
        } = self.stage.clone();
        StateLabels {
            namespace,
            pipeline,
            stage,
            state: word(self.state),
            reason: self.reason.as_ref().map(Reason::to_string).unwrap_or_default(),
        }
    }
}

/// As the API spells it.
const fn word(state: StageState) -> &'static str {
    match state {
        StageState::Pending => "Pending",
        StageState::Running => "Running",
        StageState::Idle => "Idle",
        StageState::Blocked => "Blocked",
        StageState::Failed => "Failed",
        StageState::Suspended => "Suspended",
        StageState::Unknown => "Unknown",
    }
}

/// The stages of a pipeline.
pub(crate) fn looks(key: &PipelineKey, status: &PipelineStatus, now: Timestamp) -> Vec<Look> {
    status
        .stages
        .iter()
        .map(|stage| {
            let oldest = stage.oldest_pending_time.as_ref();
            // The clocks of two machines differ.
            let age = oldest.map_or(0, |oldest| now.duration_since(oldest.0).as_secs().max(0));
            Look {
                stage: StageLabels {
                    namespace: key.namespace.to_string(),
                    pipeline: key.name.to_string(),
                    stage: stage.name.as_str(),
                },
                state: stage.state,
                reason: stage.reason.clone(),
                age_seconds: (stage.state != StageState::Unknown).then_some(age),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_waits_has_an_age_and_what_is_not_known_has_none() {
        let status: PipelineStatus = serde_json::from_value(json!({
            "stages": [
                {"name": "persist", "state": "Unknown"},
                {"name": "bronze", "state": "Running"},
                {"name": "silver", "state": "Blocked", "reason": "LakeUnavailable", "oldestPendingTime": "2026-01-01T00:00:00Z"},
                {"name": "gold", "state": "Idle", "oldestPendingTime": "2026-01-01T00:02:00Z"},
            ],
        }))
        .unwrap();
        let now = "2026-01-01T00:01:30Z".parse().unwrap();
        let found: Vec<_> = looks(&PipelineKey::new("shop", "orders"), &status, now)
            .into_iter()
            .map(|look| {
                let StateLabels {
                    namespace,
                    stage,
                    state,
                    reason,
                    ..
                } = look.state();
                assert_eq!((namespace.as_str(), look.stage.pipeline.as_str()), ("shop", "orders"));
                (stage, state, reason, look.age_seconds)
            })
            .collect();
        let of = |stage, state, reason: &str, age| (stage, state, reason.to_owned(), age);
        assert_eq!(
            found,
            [
                of("persist", "Unknown", "", None),
                of("bronze", "Running", "", Some(0)),
                of("silver", "Blocked", "LakeUnavailable", Some(90)),
                of("gold", "Idle", "", Some(0)),
            ]
        );
    }

    #[test]
    fn states_are_spelt_as_in_the_api() {
        for state in [
            StageState::Pending,
            StageState::Running,
            StageState::Idle,
            StageState::Blocked,
            StageState::Failed,
            StageState::Suspended,
            StageState::Unknown,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), word(state));
        }
    }
}
