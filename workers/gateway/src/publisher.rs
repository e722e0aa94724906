//! Hands events to the broker and waits for its acknowledgements. Produces to Kafka.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use medallion_contract::VERSION_HEADER;
use medallion_crds::launch::KafkaSettings;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use thiserror::Error;

/// Why an event has no acknowledgement.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum PublishError {
    /// The queue to the broker is full; nothing was sent.
    #[error("too many events are waiting for the broker")]
    Full,
    /// The broker does not take a record of this size.
    #[error("the record is larger than the broker takes")]
    TooLarge,
    /// No acknowledgement came; the event may or may not be stored.
    #[error("{0}")]
    Unknown(String),
}

/// Ends when the broker has acknowledged the event or it is sure that it will not be known.
pub type Delivery = BoxFuture<'static, Result<(), PublishError>>;

/// Where events go.
pub trait Publisher: Send + Sync + 'static {
    /// Queues one event without waiting.
    fn publish(&self, key: &str, payload: &[u8]) -> Result<Delivery, PublishError>;
}

/// The Kafka topic.
pub struct KafkaPublisher {
    producer: FutureProducer,
    topic: String,
    headers: OwnedHeaders,
}

impl KafkaPublisher {
    /// A producer for the topic; it connects in the background.
    pub fn new(
        settings: &KafkaSettings,
        contract_version: &str,
        delivery_timeout: Duration,
        buffer_bytes: usize,
    ) -> Result<Self, KafkaError> {
        let producer = kafka_client::producer(settings, "gateway")
            .set("message.timeout.ms", delivery_timeout.as_millis().to_string())
            .set("queue.buffering.max.kbytes", (buffer_bytes / 1024).max(1).to_string())
            // The bytes above are those of key and payload only; headers and bookkeeping take about a kilobyte a record.
            .set("queue.buffering.max.messages", (buffer_bytes / 1024).max(1).to_string())
            .create()?;
        let header = Header {
            key: VERSION_HEADER,
            value: Some(contract_version),
        };
        Ok(Self {
            producer,
            topic: settings.topic.clone(),
            headers: OwnedHeaders::new().insert(header),
        })
    }

    /// Asks the brokers for the topic. Blocks for up to `timeout`.
    pub fn probe(&self, timeout: Duration) -> Result<(), String> {
        let metadata = self
            .producer
            .client()
            .fetch_metadata(Some(&self.topic), timeout)
            .map_err(|error| format!("no broker answers: {error}"))?;
        match metadata
            .topics()
            .first()
            .map(|topic| (topic.error(), topic.partitions().len()))
        {
            Some((None, partitions)) if partitions > 0 => Ok(()),
            Some((Some(error), _)) => Err(format!("topic {}: {:?}", self.topic, RDKafkaErrorCode::from(error))),
            _ => Err(format!("topic {} has no partitions", self.topic)),
        }
    }

    /// Why the producer can never send again, if so.
    pub fn fatal_error(&self) -> Option<String> {
        self.producer
            .client()
            .fatal_error()
            .map(|(code, message)| format!("{code:?}: {message}"))
    }

    /// Waits until nothing is queued. Blocks for up to `timeout`.
    pub fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.producer.flush(timeout)
    }
}

impl Publisher for KafkaPublisher {
    fn publish(&self, key: &str, payload: &[u8]) -> Result<Delivery, PublishError> {
        let record = FutureRecord::to(&self.topic)
            .key(key)
            .payload(payload)
            .headers(self.headers.clone());
        let delivery = self
            .producer
            .send_result(record)
            .map_err(|(error, _)| publish_error(&error))?;
        Ok(delivery
            .map(|result| match result {
                Ok(Ok(_)) => Ok(()),
                Ok(Err((error, _))) => Err(publish_error(&error)),
                Err(_) => Err(PublishError::Unknown("the producer has stopped".to_owned())),
            })
            .boxed())
    }
}

fn publish_error(error: &KafkaError) -> PublishError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => PublishError::Full,
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => PublishError::TooLarge,
        _ => PublishError::Unknown(error.to_string()),
    }
}
