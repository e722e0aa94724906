//! The consumer's limits, checked once. No network.

use medallion_crds::launch::ConsumerSettings;
use worker_kit::{Faults, WorkerError};

/// The smallest buffer that holds a few of the largest records.
const SMALLEST_BUFFER: usize = 4 * 1024 * 1024;

/// A fetch holds at least one record of the size that Kafka allows by itself.
const SMALLEST_FETCH: usize = 1024 * 1024;

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
        let mut faults = Faults::default();
        let in_flight = faults.positive("worker.maxInFlight", settings.max_in_flight.into());
        let buffer = usize::try_from(settings.max_buffer_bytes).unwrap_or_default();
        if buffer < SMALLEST_BUFFER {
            let problem = format!("must be at least {SMALLEST_BUFFER}, or a few large records would fill it");
            faults.add("worker.maxBufferBytes", problem);
        }
        faults.result().map(|()| Self {
            in_flight,
            settling_bytes: buffer / 2,
        })
    }

    /// Kilobytes that the client library may read ahead.
    pub(crate) fn read_ahead_kilobytes(&self) -> usize {
        self.settling_bytes / 1024
    }

    /// Compressed bytes of one fetch; the client library takes no less than the longest record.
    pub(crate) fn fetch_bytes(&self) -> usize {
        (self.settling_bytes / 8).max(SMALLEST_FETCH)
    }
}

#[cfg(test)]
mod tests {
    use medallion_crds::launch::{ContractSettings, ContractVersionSettings, KafkaSettings};

    use super::*;

    fn settings(in_flight: i32, buffer: i64) -> ConsumerSettings {
        ConsumerSettings {
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
            group: String::new(),
            table: String::new(),
            expire_after_days: None,
            max_in_flight: in_flight,
            max_buffer_bytes: buffer,
        }
    }

    #[test]
    fn every_bad_limit_is_named() {
        let error = Limits::from_settings(&settings(0, 4_194_303)).expect_err("bad limits");
        for field in ["maxInFlight", "maxBufferBytes"] {
            assert!(error.message.contains(&format!("field worker.{field}:")), "{error}");
        }
    }

    #[test]
    fn the_buffer_bounds_what_is_read_ahead_and_each_fetch() {
        let limits = Limits::from_settings(&settings(1, 64 << 20)).expect("limits");
        assert_eq!(
            (
                limits.settling_bytes,
                limits.read_ahead_kilobytes(),
                limits.fetch_bytes()
            ),
            (32 << 20, 32 << 10, 4 << 20)
        );
        let limits = Limits::from_settings(&settings(1, 4 << 20)).expect("limits");
        assert_eq!(limits.fetch_bytes(), 1 << 20, "one record of the usual size fits");
    }
}
