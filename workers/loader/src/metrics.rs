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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_steps_are_told_apart() {
        let all = Metrics::default();
        let metrics = LoadMetrics::new(&all);
        metrics.files.set("orders", 2);
        metrics.rows.set("orders", 10);
        metrics.seconds.add("copy", 1.5);
        let text = all.text();
        for line in [
            r#"medallion_load_table_rows{table="orders"} 10"#,
            r#"medallion_load_table_files{table="orders"} 2"#,
            r#"medallion_load_step_seconds{step="copy"} 1.5"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
