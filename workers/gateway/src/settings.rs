//! The gateway's limits, checked once. No network.

use std::time::Duration;

use medallion_crds::launch::GatewaySettings;
use worker_kit::{Faults, WorkerError};

/// Most events that a request may be allowed to have: each has its outcome in the answer, which must not outgrow what Lambda takes.
pub(crate) const MOST_EVENTS: usize = 10_000;

/// What bounds the gateway's work and memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Longest body in bytes, also after decompression.
    pub body_bytes: usize,
    /// Most events in one request.
    pub events_per_request: usize,
    /// Bytes of all requests in work; beyond it requests are refused with 503.
    pub buffer_bytes: usize,
    /// From the first byte of the body to the answer.
    pub request: Duration,
    /// Unready but serving before the listener closes.
    pub drain: Duration,
}

impl Limits {
    /// The limits in the settings, or what is wrong with which field.
    pub fn from_settings(settings: &GatewaySettings) -> Result<Self, WorkerError> {
        let mut faults = Faults::default();
        let drain = u64::try_from(settings.drain_seconds).unwrap_or_else(|_| {
            faults.add("worker.drainSeconds", "must not be negative");
            0
        });
        let limits = Self {
            body_bytes: faults.positive("worker.maxBodyBytes", settings.max_body_bytes),
            events_per_request: faults.positive("worker.maxEventsPerRequest", settings.max_events_per_request.into()),
            buffer_bytes: faults.positive("worker.maxBufferBytes", settings.max_buffer_bytes),
            request: Duration::from_secs(
                faults.positive("worker.requestTimeoutSeconds", settings.request_timeout_seconds.into()),
            ),
            drain: Duration::from_secs(drain),
        };
        if settings.max_buffer_bytes > 0 && limits.buffer_bytes < limits.body_bytes {
            let problem = "must be at least maxBodyBytes, or no large request could ever be taken";
            faults.add("worker.maxBufferBytes", problem);
        }
        if limits.events_per_request > MOST_EVENTS {
            let problem = format!("must be at most {MOST_EVENTS}, or answers could be longer than Lambda takes");
            faults.add("worker.maxEventsPerRequest", problem);
        }
        if u32::try_from(limits.buffer_bytes).is_err() {
            faults.add("worker.maxBufferBytes", "must be less than 4 GiB");
        }
        faults.result().map(|()| limits)
    }

    /// How long the producer tries to send an event: less than the request, so that its own answer can still be passed on.
    pub fn delivery_timeout(&self) -> Duration {
        self.request.saturating_sub(self.request / 10)
    }

    /// The share of the request's time in which the body must have arrived; the rest belongs to the broker.
    pub fn body_timeout(&self) -> Duration {
        self.request / 2
    }
}

#[cfg(test)]
mod tests {
    use medallion_crds::launch::{ContractSettings, ContractVersionSettings, KafkaSettings};

    use super::*;

    fn settings(drain: i32, body: i64, events: i32, buffer: i64) -> GatewaySettings {
        GatewaySettings {
            contract: ContractSettings {
                versions: vec![ContractVersionSettings {
                    name: "v1".to_owned(),
                    schema_path: String::new(),
                    digest: String::new(),
                }],
                key: String::new(),
                event_id: String::new(),
                event_time: String::new(),
                event_version: None,
            },
            kafka: KafkaSettings {
                bootstrap_servers: Vec::new(),
                topic: String::new(),
                dead_letter_topic: String::new(),
                ..KafkaSettings::default()
            },
            tokens_path: None,
            drain_seconds: drain,
            max_body_bytes: body,
            max_events_per_request: events,
            request_timeout_seconds: 30,
            max_buffer_bytes: buffer,
        }
    }

    #[test]
    fn every_bad_limit_is_named() {
        let error = Limits::from_settings(&settings(-1, 0, 0, i64::MAX)).expect_err("bad limits");
        for field in ["drainSeconds", "maxBodyBytes", "maxEventsPerRequest", "maxBufferBytes"] {
            assert!(error.message.contains(&format!("field worker.{field}:")), "{error}");
        }
        let error = Limits::from_settings(&settings(0, 10, 1, 9)).expect_err("a buffer too small");
        assert!(error.message.contains("at least maxBodyBytes"), "{error}");
        let error = Limits::from_settings(&settings(0, 10, 10_001, 10)).expect_err("answers too long");
        assert!(
            error
                .message
                .contains("field worker.maxEventsPerRequest: must be at most 10000"),
            "{error}"
        );
        assert!(Limits::from_settings(&settings(0, 10, 10_000, 10)).is_ok());
    }
}
