//! What the dbt-runner counts. No network.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use worker_kit::Metrics;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TableLabel {
    table: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StepLabel {
    step: String,
}

/// The figures of one run.
#[derive(Clone)]
pub struct RunMetrics {
    rows: Family<TableLabel, Gauge>,
    seconds: Family<StepLabel, Gauge<f64, AtomicU64>>,
}

impl RunMetrics {
    /// Registers the metrics.
    pub fn new(metrics: &Metrics) -> Self {
        let rows = metrics.register(
            "run_table_rows",
            "Rows that this run writes to a table",
            Family::default(),
        );
        let seconds = metrics.register(
            "run_step_seconds",
            "Seconds that a part of this run took",
            Family::default(),
        );
        Self { rows, seconds }
    }

    /// Seconds that a part of the run took.
    pub fn step(&self, name: &str, seconds: f64) {
        let label = StepLabel { step: name.to_owned() };
        self.seconds.get_or_create(&label).inc_by(seconds);
    }

    /// Rows that the run writes to a table.
    pub fn table(&self, name: &str, rows: u64) {
        let label = TableLabel { table: name.to_owned() };
        self.rows
            .get_or_create(&label)
            .set(i64::try_from(rows).unwrap_or(i64::MAX));
    }
}
