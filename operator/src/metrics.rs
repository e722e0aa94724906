//! The operator's metrics. No network.

use std::sync::Mutex;
use std::sync::PoisonError;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

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
        *metrics.registry.lock().unwrap_or_else(PoisonError::into_inner) = registry;
        metrics
    }
}

impl Metrics {
    /// Counts one more in a family.
    pub fn count(family: &Family<Word, Counter>, word: &'static str) {
        family.get_or_create(&Word { word }).inc();
    }

    /// All metrics in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner)).is_err() {
            tracing::error!("metrics could not be encoded");
        }
        text
    }
}
