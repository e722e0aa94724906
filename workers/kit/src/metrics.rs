//! The registry behind `/metrics`. No network.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Metric, Registry};

use crate::progress::ProgressHandle;

/// A handle on the worker's metrics; clones share one registry. Names get the prefix `medallion_`.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Default for Metrics {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Registry::with_prefix("medallion"))))
    }
}

impl Metrics {
    /// Adds a metric and gives it back; the metric types share their value among clones.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register(name, help, metric.clone());
        metric
    }

    /// Shows how much of what its source keeps the worker has used up, as its progress tells it: not at all while that is not known.
    pub fn show_retention(&self, progress: ProgressHandle) {
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(RetentionGauges(progress)));
    }

    /// All metrics in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        if encode(&mut text, &registry).is_err() {
            tracing::error!("metrics could not be encoded");
        }
        text
    }
}

/// The retention that `/progress` shows, as gauges: the two cannot differ.
#[derive(Debug)]
struct RetentionGauges(ProgressHandle);

impl Collector for RetentionGauges {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let Some(retention) = self.0.retention() else {
            return Ok(());
        };
        for (name, help, seconds) in [
            (
                "retention_used_seconds",
                "Age of the oldest unread input in the worker's source",
                retention.used_seconds,
            ),
            (
                "retention_of_seconds",
                "How long the worker's source keeps unread input",
                retention.of_seconds,
            ),
        ] {
            let gauge = ConstGauge::new(seconds);
            let of_it = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(of_it)?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TableLabel {
    table: String,
}

/// A figure of each table that a run is about, under the label `table`.
#[derive(Clone)]
pub struct TableGauge(Family<TableLabel, Gauge>);

impl TableGauge {
    /// Registers it.
    pub fn new(metrics: &Metrics, name: &str, help: &str) -> Self {
        Self(metrics.register(name, help, Family::default()))
    }

    /// Sets the figure of a table.
    pub fn set(&self, table: &str, figure: impl TryInto<i64>) {
        let table = table.to_owned();
        let figure = figure.try_into().unwrap_or(i64::MAX);
        self.0.get_or_create(&TableLabel { table }).set(figure);
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StepLabel {
    step: String,
}

/// Seconds that each step of a run took, under the label `step`.
#[derive(Clone)]
pub struct StepSeconds(Family<StepLabel, Gauge<f64, AtomicU64>>);

impl StepSeconds {
    /// Registers it.
    pub fn new(metrics: &Metrics, name: &str, help: &str) -> Self {
        Self(metrics.register(name, help, Family::default()))
    }

    /// Adds what a step took; one that is done again adds up.
    pub fn add(&self, step: &str, seconds: f64) {
        let step = step.to_owned();
        self.0.get_or_create(&StepLabel { step }).inc_by(seconds);
    }
}

#[cfg(test)]
mod tests {
    use medallion_crds::pipeline::Retention;
    use medallion_crds::progress::Identity;

    use super::*;

    #[test]
    fn retention_is_a_metric_while_it_is_known() {
        let metrics = Metrics::default();
        let progress = ProgressHandle::new(Identity::default(), jiff::Timestamp::now);
        metrics.show_retention(progress.clone());
        assert!(!metrics.text().contains("retention"));
        progress.update(|work| {
            work.retention = Some(Retention {
                used_seconds: 70_000,
                of_seconds: 86_400,
            });
        });
        let text = metrics.text();
        for line in [
            "# TYPE medallion_retention_used_seconds gauge\n",
            "\nmedallion_retention_used_seconds 70000\n",
            "\nmedallion_retention_of_seconds 86400\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        progress.update(|work| work.retention = None);
        assert!(!metrics.text().contains("retention"), "not the last value for ever");
    }

    #[test]
    fn tables_and_steps_are_told_apart() {
        let metrics = Metrics::default();
        let rows = TableGauge::new(&metrics, "load_table_rows", "Rows");
        rows.set("orders", 10);
        rows.set("daily_sales", 3);
        let seconds = StepSeconds::new(&metrics, "load_step_seconds", "Seconds");
        seconds.add("copy", 1.5);
        seconds.add("copy", 0.5);
        let text = metrics.text();
        for line in [
            r#"medallion_load_table_rows{table="orders"} 10"#,
            r#"medallion_load_table_rows{table="daily_sales"} 3"#,
            r#"medallion_load_step_seconds{step="copy"} 2.0"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
