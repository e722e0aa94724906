//! The consumer's limits, checked once. No network.

use medallion_contract::Pointers;
use medallion_crds::launch::{ConsumerSettings, ContractSettings};
use worker_kit::WorkerError;

/// The smallest buffer that holds a few of the largest records.
const SMALLEST_BUFFER: usize = 4 * 1024 * 1024;

/// What bounds the consumer's work and memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Most puts in flight.
    pub in_flight: usize,
    /// Most bytes of records that are being settled; the client library has as much again for what it reads ahead.
    pub settling_bytes: usize,
}

impl Limits {
    /// The limits in the settings, or what is wrong with which field.
    pub fn from_settings(settings: &ConsumerSettings) -> Result<Self, WorkerError> {
        let in_flight = usize::try_from(settings.max_in_flight)
            .ok()
            .filter(|count| *count > 0)
            .ok_or_else(|| bad("maxInFlight", "must be at least 1"))?;
        let buffer = usize::try_from(settings.max_buffer_bytes)
            .ok()
            .filter(|bytes| *bytes >= SMALLEST_BUFFER)
            .ok_or_else(|| {
                bad(
                    "maxBufferBytes",
                    "must be at least 4194304, or a few large records would fill it",
                )
            })?;
        Ok(Self {
            in_flight,
            settling_bytes: buffer / 2,
        })
    }

    /// Kilobytes that the client library may read ahead.
    pub(crate) fn read_ahead_kilobytes(&self) -> usize {
        self.settling_bytes / 1024
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

fn bad(field: &str, problem: &str) -> WorkerError {
    WorkerError::settings("BadSettings", format!("settings file: field worker.{field}: {problem}"))
}
