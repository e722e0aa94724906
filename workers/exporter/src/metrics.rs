//! What the exporter counts. No network.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use worker_kit::Metrics;

/// Counters and gauges behind `/metrics`.
#[derive(Clone, Default)]
pub struct ExporterMetrics {
    /// Records taken from the stream.
    pub records: Counter,
    /// Records that had been taken before and were dropped.
    pub repeated: Counter,
    /// Records of items whose time to live had ended; they are not business deletes and do not reach Bronze.
    pub expired: Counter,
    /// Rows committed.
    pub rows: Counter,
    /// Commits.
    pub commits: Counter,
    /// Answers of the stream or the lake that were no answers.
    pub troubles: Counter,
    /// Bytes read and not committed.
    pub buffered_bytes: Gauge,
    /// Shards that are being read.
    pub shards: Gauge,
    /// Seconds that the last commit took, upload included.
    pub commit_seconds: Gauge<f64, AtomicU64>,
}

impl ExporterMetrics {
    /// Makes them visible.
    pub fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register("exporter_records", "Records taken from the stream", own.records.clone());
        metrics.register(
            "exporter_repeated",
            "Records that had been taken before",
            own.repeated.clone(),
        );
        metrics.register(
            "exporter_expired",
            "Records of expired items, left out of Bronze",
            own.expired.clone(),
        );
        metrics.register("exporter_rows", "Rows committed to Bronze", own.rows.clone());
        metrics.register("exporter_commits", "Commits to Bronze", own.commits.clone());
        metrics.register(
            "exporter_troubles",
            "Answers of the stream or the lake that were none",
            own.troubles.clone(),
        );
        metrics.register(
            "exporter_buffered_bytes",
            "Bytes read and not committed",
            own.buffered_bytes.clone(),
        );
        metrics.register("exporter_shards", "Shards being read", own.shards.clone());
        metrics.register(
            "exporter_commit_seconds",
            "Duration of the last commit",
            own.commit_seconds.clone(),
        );
        own
    }
}
