//! What the loader counts. No network.

use worker_kit::{Metrics, StepSeconds, TableGauge};

/// The figures of one load.
#[derive(Clone)]
pub struct LoadMetrics {
    /// Rows that it brings to a table.
    pub rows: TableGauge,
    /// Files of Gold that it copies for a table.
    pub files: TableGauge,
    /// Seconds that a step took.
    pub seconds: StepSeconds,
}

impl LoadMetrics {
    /// Registers the metrics.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            rows: TableGauge::new(metrics, "load_table_rows", "Rows that this load brings to a table"),
            files: TableGauge::new(
                metrics,
                "load_table_files",
                "Files of Gold that this load copies for a table",
            ),
            seconds: StepSeconds::new(metrics, "load_step_seconds", "Seconds that a step of this load took"),
        }
    }
}
