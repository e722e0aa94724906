//! The gateway's metrics. No network.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use worker_kit::Metrics;

use crate::answer::Outcome;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CodeLabels {
    code: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OutcomeLabels {
    outcome: &'static str,
    reason: String,
}

/// Handles on the gateway's metrics.
#[derive(Clone, Debug)]
pub struct GatewayMetrics {
    requests: Family<CodeLabels, Counter>,
    events: Family<OutcomeLabels, Counter>,
    produce_seconds: Histogram,
    in_flight: Gauge,
}

impl GatewayMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        // 1 ms to 16 s: from a broker on loopback to the end of a request's time.
        let buckets = (0..15).map(|power| 0.001 * f64::from(1 << power));
        Self {
            requests: metrics.register("gateway_requests", "Requests by status code", Family::default()),
            events: metrics.register("gateway_events", "Events by outcome and reason", Family::default()),
            produce_seconds: metrics.register(
                "gateway_produce_seconds",
                "Time from handing a request's events to the producer to the last acknowledgement",
                Histogram::new(buckets),
            ),
            in_flight: metrics.register(
                "gateway_requests_in_flight",
                "Requests being worked on",
                Gauge::default(),
            ),
        }
    }

    pub(crate) fn request_begins(&self) {
        self.in_flight.inc();
    }

    pub(crate) fn request_ends(&self, code: Option<u16>) {
        self.in_flight.dec();
        if let Some(code) = code {
            self.requests.get_or_create(&CodeLabels { code }).inc();
        }
    }

    pub(crate) fn event(&self, outcome: &Outcome) {
        let labels = OutcomeLabels {
            outcome: outcome.word(),
            reason: outcome.reason().to_owned(),
        };
        self.events.get_or_create(&labels).inc();
    }

    pub(crate) fn produced(&self, elapsed: Duration) {
        self.produce_seconds.observe(elapsed.as_secs_f64());
    }
}
