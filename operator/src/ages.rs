//! How old the oldest input of each stage is that is not processed yet, at the moment of a scrape: status stores times, alarms ask for ages. No network.

use jiff::Timestamp;
use medallion_crds::pipeline::{PipelineStatus, StageState};

use crate::key::PipelineKey;
use crate::lease::leadership::Leadership;
use crate::metrics::StageLabels;
use crate::watch::index::Index;

/// The ages of all pipelines on which this process works. Who stands by knows no more than the last status that another has written: where
/// nobody works, one that says that nothing waits would be believed for ever, while silence is an alarm.
pub(crate) fn all(index: &Index, leadership: &Leadership, now: Timestamp) -> Vec<(StageLabels, i64)> {
    let pipelines = index.pipelines();
    let own = pipelines.iter().filter(|(key, _)| leadership.leads(&key.namespace));
    own.flat_map(|(key, pipeline)| {
        let status = pipeline.0.as_ref().ok().and_then(|pipeline| pipeline.status.as_ref());
        status.map(|status| ages(key, status, now)).unwrap_or_default()
    })
    .collect()
}

/// The age in whole seconds, by stage: 0 where nothing waits. A stage of which nothing is known has none.
fn ages(key: &PipelineKey, status: &PipelineStatus, now: Timestamp) -> Vec<(StageLabels, i64)> {
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
    use std::collections::BTreeSet;
    use std::time::{Duration, Instant};

    use medallion_crds::Pipeline;
    use serde_json::json;

    use super::*;
    use crate::lease::leadership::Position;
    use crate::watch::guard::Guarded;

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

    #[test]
    fn who_does_not_work_on_a_pipeline_says_nothing_of_it() {
        let text = include_str!("../../crds/examples/smallest.yaml");
        let mut pipeline: Pipeline = serde_saphyr::from_str(text).unwrap();
        pipeline.metadata.namespace = Some("shop".to_owned());
        let status = json!({"stages": [{"name": "silver", "state": "Idle"}]});
        pipeline.status = serde_json::from_value(status).unwrap();
        let index = Index::new(|_| None);
        index.put_pipeline(Guarded(Ok(pipeline)));
        let leadership = Leadership::new(&[None]);
        let shown = || all(&index, &leadership, Timestamp::UNIX_EPOCH).len();
        assert_eq!(shown(), 0, "nobody knows yet who leads");

        let leads = |except: &[&str]| Position::Leads {
            since: Instant::now(),
            until: Instant::now() + Duration::from_mins(1),
            except: except.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(),
        };
        leadership.set(&None, leads(&[]));
        assert_eq!(shown(), 1);
        leadership.set(&None, leads(&["shop"]));
        assert_eq!(shown(), 0, "another operator works there");
        leadership.set(&None, Position::Passive("held by another".to_owned()));
        assert_eq!(shown(), 0);
    }
}
