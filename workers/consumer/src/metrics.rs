//! The consumer's metrics. No network.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use worker_kit::Metrics;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct FateLabels {
    fate: &'static str,
    class: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct PartitionLabels {
    partition: i32,
}

/// Handles on the consumer's metrics.
#[derive(Clone, Debug)]
pub struct ConsumerMetrics {
    records: Family<FateLabels, Counter<u64, AtomicU64>>,
    put_seconds: Histogram,
    pub(crate) bytes_in_flight: Gauge,
    pub(crate) lag: Gauge,
    pub(crate) dead_letters: Gauge,
    committed: Family<PartitionLabels, Gauge>,
}

impl ConsumerMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        // 1 ms to 16 s.
        let buckets = (0..15).map(|power| 0.001 * f64::from(1 << power));
        Self {
            records: metrics.register(
                "consumer_records",
                "Records by fate, dead letters by class",
                Family::default(),
            ),
            put_seconds: metrics.register(
                "consumer_put_seconds",
                "Time of one put with its retries",
                Histogram::new(buckets),
            ),
            bytes_in_flight: metrics.register(
                "consumer_bytes_in_flight",
                "Bytes of records being settled",
                Gauge::default(),
            ),
            lag: metrics.register(
                "consumer_lag_records",
                "Records waiting in the assigned partitions",
                Gauge::default(),
            ),
            dead_letters: metrics.register(
                "consumer_dead_letters",
                "Dead letters not acknowledged by a person",
                Gauge::default(),
            ),
            committed: metrics.register(
                "consumer_committed_offset",
                "Committed offset by partition",
                Family::default(),
            ),
        }
    }

    pub(crate) fn record(&self, fate: &'static str, class: &str) {
        let class = class.to_owned();
        self.records.get_or_create(&FateLabels { fate, class }).inc();
    }

    pub(crate) fn put(&self, elapsed: Duration) {
        self.put_seconds.observe(elapsed.as_secs_f64());
    }

    pub(crate) fn committed(&self, partition: i32, offset: i64) {
        self.committed.get_or_create(&PartitionLabels { partition }).set(offset);
    }
}
