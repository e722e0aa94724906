//! What the dbt-runner counts. No network.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use worker_kit::Metrics;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TableLabel {
    table: String,
}

/// The figures of one run.
#[derive(Clone)]
pub struct RunMetrics {
    rows: Family<TableLabel, Gauge>,
}

impl RunMetrics {
    /// Registers the metrics.
    pub fn new(metrics: &Metrics) -> Self {
        let rows = metrics.register(
            "run_table_rows",
            "Rows that this run writes to a table",
            Family::default(),
        );
        Self { rows }
    }

    /// Rows that the run writes to a table.
    pub fn table(&self, name: &str, rows: u64) {
        let label = TableLabel { table: name.to_owned() };
        self.rows
            .get_or_create(&label)
            .set(i64::try_from(rows).unwrap_or(i64::MAX));
    }
}
