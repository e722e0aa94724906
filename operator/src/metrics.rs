//! The operator's metrics. No network.

use std::sync::Mutex;
use std::sync::PoisonError;

use medallion_metrics::errors;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::stages::{Look, StageLabels, StateLabels};

/// A label with one of a few words.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct Word {
    /// The word: a result, or a kind of object.
    pub word: &'static str,
}

/// The operator's metrics.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    pub reconciles: Family<Word, Counter>,
    pub reconcile_seconds: Histogram,
    pub writes: Family<Word, Counter>,
    pub failures: Family<Word, Counter>,
    pub watch_errors: Family<Word, Counter>,
    pub polls: Family<Word, Counter>,
    pub pipelines: Gauge,
    stage_age: Family<StageLabels, Gauge>,
    stage_state: Family<StateLabels, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("medallion_operator");
        let metrics = Self {
            reconciles: Family::default(),
            reconcile_seconds: Histogram::new([0.005, 0.02, 0.1, 0.5, 2.0, 10.0]),
            writes: Family::default(),
            failures: Family::default(),
            watch_errors: Family::default(),
            polls: Family::default(),
            pipelines: Gauge::default(),
            stage_age: Family::default(),
            stage_state: Family::default(),
            registry: Mutex::default(),
        };
        registry.register("reconciles", "Reconciles by result", metrics.reconciles.clone());
        registry.register(
            "reconcile_seconds",
            "How long reconciles take",
            metrics.reconcile_seconds.clone(),
        );
        registry.register("writes", "Writes to the Kubernetes API by kind", metrics.writes.clone());
        registry.register(
            "failures",
            "Objects that could not be made, by what is in the way",
            metrics.failures.clone(),
        );
        registry.register(
            "watch_errors",
            "Errors of watches by kind",
            metrics.watch_errors.clone(),
        );
        registry.register(
            "progress_polls",
            "Questions to workers by result",
            metrics.polls.clone(),
        );
        registry.register("pipelines", "Pipelines seen", metrics.pipelines.clone());
        registry.register(
            "stage_age_seconds",
            "Age of the oldest input of a stage that is not processed yet, 0 where nothing waits",
            metrics.stage_age.clone(),
        );
        registry.register(
            "stage_state",
            "What a stage is doing and why, as its status says: 1 for the state that it is in",
            metrics.stage_state.clone(),
        );
        registry.register("log_errors", "Lines of level ERROR in the log", errors());
        *metrics.registry.lock().unwrap_or_else(PoisonError::into_inner) = registry;
        metrics
    }
}

impl Metrics {
    /// Counts one more in a family.
    pub fn count(family: &Family<Word, Counter>, word: &'static str) {
        family.get_or_create(&Word { word }).inc();
    }

    /// All metrics in the OpenMetrics text format, with the stages as they are at this moment.
    pub fn text(&self, stages: Vec<Look>) -> String {
        // Two scrapes at once do not see halves of each other's stages.
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.stage_age.clear();
        self.stage_state.clear();
        for look in stages {
            if let Some(seconds) = look.age_seconds {
                self.stage_age.get_or_create(&look.stage).set(seconds);
            }
            self.stage_state.get_or_create(&look.state()).set(1);
        }
        let mut text = String::new();
        if encode(&mut text, &registry).is_err() {
            tracing::error!("metrics could not be encoded");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use medallion_crds::Reason;
    use medallion_crds::pipeline::StageState;

    use super::*;

    fn seen(stage: &'static str, does: StageState, reason: Option<Reason>, age_seconds: Option<i64>) -> Look {
        Look {
            stage: StageLabels {
                namespace: "shop".to_owned(),
                pipeline: "orders".to_owned(),
                stage,
            },
            state: does,
            reason,
            age_seconds,
        }
    }

    #[test]
    fn ages_are_those_of_the_scrape() {
        let metrics = Metrics::default();
        let running = |stage, seconds| seen(stage, StageState::Running, None, Some(seconds));
        let text = metrics.text(vec![running("silver", 90), running("gold", 0)]);
        let silver = r#"medallion_operator_stage_age_seconds{namespace="shop",pipeline="orders",stage="silver"} 90"#;
        assert!(text.contains(silver), "{text}");
        let text = metrics.text(vec![running("gold", 5)]);
        assert!(
            !text.contains("silver") && text.contains(r#"stage="gold"} 5"#),
            "a pipeline that is gone has no age: {text}"
        );
    }

    #[test]
    fn a_stage_is_in_one_state_and_of_what_is_not_known_there_is_no_age() {
        let metrics = Metrics::default();
        metrics.text(vec![seen("persist", StageState::Running, None, Some(3))]);
        let blocked = seen("persist", StageState::Blocked, Some(Reason::TableThrottled), Some(60));
        let text = metrics.text(vec![blocked, seen("bronze", StageState::Unknown, None, None)]);
        for line in [
            r#"medallion_operator_stage_state{namespace="shop",pipeline="orders",stage="persist",state="Blocked",reason="TableThrottled"} 1"#,
            r#"medallion_operator_stage_state{namespace="shop",pipeline="orders",stage="bronze",state="Unknown",reason=""} 1"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("Running"), "{text}");
        let ages = text.matches("medallion_operator_stage_age_seconds{").count();
        assert_eq!(ages, 1, "{text}");
    }
}
