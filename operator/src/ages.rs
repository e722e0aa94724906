//! How old the oldest input of each stage is that is not processed yet, at the moment of a scrape: status stores times, alarms ask for ages. No network.

use jiff::Timestamp;
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

/// The age in whole seconds, by stage: 0 where nothing waits. A stage of which nothing is known has none.
pub(crate) fn ages(key: &PipelineKey, status: &PipelineStatus, now: Timestamp) -> Vec<(StageLabels, i64)> {
    let known = status.stages.iter().filter(|stage| stage.state != StageState::Unknown);
    known
        .map(|stage| {
            let labels = StageLabels {
                namespace: key.namespace.to_string(),
                pipeline: key.name.to_string(),
                stage: stage.name.as_str(),
            };
            let oldest = stage.oldest_pending_time.as_ref();
            // The clocks of two machines differ.
            let age = oldest.map_or(0, |oldest| now.duration_since(oldest.0).as_secs().max(0));
            (labels, age)
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
                {"name": "silver", "state": "Running", "oldestPendingTime": "2026-01-01T00:00:00Z"},
                {"name": "gold", "state": "Idle", "oldestPendingTime": "2026-01-01T00:02:00Z"},
            ],
        }))
        .unwrap();
        let now = "2026-01-01T00:01:30Z".parse().unwrap();
        let found: Vec<_> = ages(&PipelineKey::new("shop", "orders"), &status, now)
            .into_iter()
            .map(|(labels, age)| (labels.namespace, labels.pipeline, labels.stage, age))
            .collect();
        let of = |stage, age| ("shop".to_owned(), "orders".to_owned(), stage, age);
        assert_eq!(found, [of("bronze", 0), of("silver", 90), of("gold", 0)]);
    }
}
