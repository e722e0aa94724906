//! The gateway's limits, checked once. No network.

use std::time::Duration;

use medallion_contract::Pointers;
use medallion_crds::launch::{ContractSettings, GatewaySettings};
use worker_kit::WorkerError;

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
        let limits = Self {
            body_bytes: positive("maxBodyBytes", settings.max_body_bytes)?,
            events_per_request: positive("maxEventsPerRequest", settings.max_events_per_request.into())?,
            buffer_bytes: positive("maxBufferBytes", settings.max_buffer_bytes)?,
            request: Duration::from_secs(positive(
                "requestTimeoutSeconds",
                settings.request_timeout_seconds.into(),
            )?),
            drain: Duration::from_secs(
                u64::try_from(settings.drain_seconds).map_err(|_| bad("drainSeconds", "must not be negative"))?,
            ),
        };
        if limits.buffer_bytes < limits.body_bytes {
            return Err(bad(
                "maxBufferBytes",
                "must be at least maxBodyBytes, or no large request could ever be taken",
            ));
        }
        if u32::try_from(limits.buffer_bytes).is_err() {
            return Err(bad("maxBufferBytes", "must be less than 4 GiB"));
        }
        Ok(limits)
    }

    /// The share of the request's time in which the body must have arrived; the rest belongs to the broker.
    pub fn body_timeout(&self) -> Duration {
        self.request / 2
    }
}

/// The contract's pointers in the settings.
pub(crate) fn pointers(contract: &ContractSettings) -> Pointers<'_> {
    Pointers {
        key: &contract.key,
        event_id: &contract.event_id,
        event_time: &contract.event_time,
        version: contract.version.as_deref(),
    }
}

fn positive<T: TryFrom<i64>>(field: &str, value: i64) -> Result<T, WorkerError> {
    if value < 1 {
        return Err(bad(field, "must be at least 1"));
    }
    T::try_from(value).map_err(|_| bad(field, "is too large"))
}

fn bad(field: &str, problem: &str) -> WorkerError {
    WorkerError::settings("BadSettings", format!("settings file: field worker.{field}: {problem}"))
}
