//! What the loader counts. No network.

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

/// The figures of one load.
#[derive(Clone)]
pub struct LoadMetrics {
    rows: Family<TableLabel, Gauge>,
    files: Family<TableLabel, Gauge>,
    seconds: Family<StepLabel, Gauge<f64, AtomicU64>>,
}

impl LoadMetrics {
    /// Registers the metrics.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            rows: metrics.register(
                "load_table_rows",
                "Rows that this load brings to a table",
                Family::default(),
            ),
            files: metrics.register(
                "load_table_files",
                "Files of Gold that this load copies for a table",
                Family::default(),
            ),
            seconds: metrics.register(
                "load_step_seconds",
                "Seconds that a step of this load took",
                Family::default(),
            ),
        }
    }

    /// What the load brings to a table.
    pub fn table(&self, name: &str, files: usize, rows: u64) {
        let label = TableLabel { table: name.to_owned() };
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        self.rows.get_or_create(&label).set(rows);
        let files = i64::try_from(files).unwrap_or(i64::MAX);
        self.files.get_or_create(&label).set(files);
    }

    /// Seconds that a step took.
    pub fn step(&self, name: &str, seconds: f64) {
        let label = StepLabel { step: name.to_owned() };
        self.seconds.get_or_create(&label).inc_by(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_steps_are_told_apart() {
        let all = Metrics::default();
        let metrics = LoadMetrics::new(&all);
        metrics.table("orders", 2, 10);
        metrics.step("copy", 1.5);
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
