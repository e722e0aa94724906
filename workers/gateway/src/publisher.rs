//! Hands events to the broker and waits for its acknowledgements. Produces to Kafka.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use kafka_client::{Diagnosis, Need, Operation, Party, Renewed, code_of};
use medallion_contract::VERSION_HEADER;
use medallion_crds::Reason;
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
    /// The broker does not let us; nothing was stored.
    #[error("{}", .0.message)]
    Refused(Diagnosis),
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

/// Why a producer can never send again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fatal {
    /// The brokers do not let it; the next one may be let.
    Denied(Diagnosis),
    /// Something else.
    Broken(String),
}

/// The topic and what the brokers must allow on it. Cheap to clone.
#[derive(Clone)]
struct Target {
    party: Arc<Party>,
    topic: Arc<str>,
}

/// The Kafka topic.
pub struct KafkaPublisher {
    producer: Renewed<FutureProducer>,
    target: Target,
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
        let mut configuration = kafka_client::producer(settings, "gateway");
        configuration
            .set("message.timeout.ms", delivery_timeout.as_millis().to_string())
            .set("queue.buffering.max.kbytes", (buffer_bytes / 1024).max(1).to_string())
            // The bytes above are those of key and payload only; headers and bookkeeping take about a kilobyte a record.
            .set("queue.buffering.max.messages", (buffer_bytes / 1024).max(1).to_string());
        let header = Header {
            key: VERSION_HEADER,
            value: Some(contract_version),
        };
        Ok(Self {
            producer: Renewed::new(move || configuration.create())?,
            target: Target {
                party: Arc::new(Party::of(settings)),
                topic: settings.topic.as_str().into(),
            },
            headers: OwnedHeaders::new().insert(header),
        })
    }

    /// Asks the brokers for the topic. Blocks for up to `timeout`.
    pub fn probe(&self, timeout: Duration) -> Result<(), Diagnosis> {
        let topic = &*self.target.topic;
        let metadata = self.producer.get().client().fetch_metadata(Some(topic), timeout);
        let metadata = metadata.map_err(|error| Diagnosis::unavailable(format!("no broker answers: {error}")))?;
        let found = metadata.topics().first();
        match found.map(|found| (found.error().map(RDKafkaErrorCode::from), found.partitions().len())) {
            Some((None, partitions)) if partitions > 0 => Ok(()),
            Some((Some(code), _)) => Err(self.target.refused(code)),
            _ => Err(Diagnosis::unavailable(format!("topic {topic} has no partitions"))),
        }
    }

    /// Why the producer can never send again, if so.
    pub fn fatal(&self) -> Option<Fatal> {
        let (code, message) = self.producer.get().client().fatal_error()?;
        let denied = self.target.denial(&KafkaError::Global(code));
        Some(denied.map_or_else(|| Fatal::Broken(format!("{code}: {message}")), Fatal::Denied))
    }

    /// Makes a new producer in the place of one that can never send again.
    pub fn renew(&self) -> Result<(), KafkaError> {
        self.producer.renew()
    }

    /// Waits until nothing is queued. Blocks for up to `timeout`.
    pub fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.producer.get().flush(timeout)
    }
}

impl Publisher for KafkaPublisher {
    fn publish(&self, key: &str, payload: &[u8]) -> Result<Delivery, PublishError> {
        let record = FutureRecord::to(&self.target.topic)
            .key(key)
            .payload(payload)
            .headers(self.headers.clone());
        let target = self.target.clone();
        let delivery = self
            .producer
            .get()
            .send_result(record)
            .map_err(|(error, _)| target.publish_error(&error))?;
        Ok(delivery
            .map(move |result| match result {
                Ok(Ok(_)) => Ok(()),
                Ok(Err((error, _))) => Err(target.publish_error(&error)),
                Err(_) => Err(PublishError::Unknown("the producer has stopped".to_owned())),
            })
            .boxed())
    }
}

impl Target {
    /// What the brokers do not allow, if that is what the error says.
    fn denial(&self, error: &KafkaError) -> Option<Diagnosis> {
        let needs = [Need::topic(&self.topic, &[Operation::Write])];
        self.party.denial(error, &needs)
    }

    /// What the brokers say of the topic instead of its partitions.
    fn refused(&self, code: RDKafkaErrorCode) -> Diagnosis {
        let topic = &self.topic;
        if let Some(denied) = self.denial(&KafkaError::MetadataFetch(code)) {
            return denied;
        }
        match code {
            RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => Diagnosis::new(
                Reason::TopicMissing,
                format!("topic {topic} does not exist; create it, or correct spec.kafka.topic"),
            ),
            other => Diagnosis::unavailable(format!("topic {topic}: {other}")),
        }
    }

    fn publish_error(&self, error: &KafkaError) -> PublishError {
        if let Some(denied) = self.denial(error) {
            return PublishError::Refused(denied);
        }
        match code_of(error) {
            Some(RDKafkaErrorCode::QueueFull) => PublishError::Full,
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => PublishError::TooLarge,
            _ => PublishError::Unknown(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn target() -> Target {
        let settings = KafkaSettings {
            bootstrap_servers: vec!["kafka:9092".to_owned()],
            topic: "orders".to_owned(),
            dead_letter_topic: "dlq.orders".to_owned(),
            tls: None,
        };
        Target {
            party: Arc::new(Party::of(&settings)),
            topic: "orders".into(),
        }
    }

    #[rstest]
    #[case::seeing(target().refused(RDKafkaErrorCode::TopicAuthorizationFailed))]
    #[case::beginning(target().denial(&KafkaError::Global(RDKafkaErrorCode::ClusterAuthorizationFailed)).expect("a denial"))]
    fn the_right_that_is_missing_is_named(#[case] why: Diagnosis) {
        assert_eq!(why.reason, Reason::KafkaRefuses);
        assert!(why.message.contains("--operation Write --topic orders;"), "{why}");
    }

    #[test]
    fn an_event_that_we_may_not_write_is_refused_by_name_and_one_without_an_answer_is_unknown() {
        let error = |code| target().publish_error(&KafkaError::MessageProduction(code));
        let PublishError::Refused(why) = error(RDKafkaErrorCode::TopicAuthorizationFailed) else {
            panic!("a denial");
        };
        assert!(why.message.contains("--operation Write --topic orders;"), "{why}");
        assert!(matches!(
            error(RDKafkaErrorCode::MessageTimedOut),
            PublishError::Unknown(_)
        ));
        assert_eq!(error(RDKafkaErrorCode::QueueFull), PublishError::Full);
    }

    #[test]
    fn a_missing_topic_is_no_outage() {
        let reason = |code| target().refused(code).reason;
        assert_eq!(reason(RDKafkaErrorCode::UnknownTopicOrPartition), Reason::TopicMissing);
        assert_eq!(reason(RDKafkaErrorCode::LeaderNotAvailable), Reason::KafkaUnavailable);
    }
}
