//! What the dbt-runner counts. No network.

use worker_kit::{Metrics, StepSeconds, TableGauge};

/// The figures of one run.
#[derive(Clone)]
pub struct RunMetrics {
    /// Rows that it writes to a table.
    pub rows: TableGauge,
    /// Seconds that a part of it took.
    pub seconds: StepSeconds,
}

impl RunMetrics {
    /// Registers the metrics.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            rows: TableGauge::new(metrics, "run_table_rows", "Rows that this run writes to a table"),
            seconds: StepSeconds::new(metrics, "run_step_seconds", "Seconds that a part of this run took"),
        }
    }
}
