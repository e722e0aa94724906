//! Hands events to the broker and waits for its acknowledgements. Produces to Kafka.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use kafka_client::{
    Brokers, Diagnosis, Fatal, KafkaContext, KafkaProducer, Need, Operation, Renewed, Rights, code_of, rights,
};
use medallion_contract::VERSION_HEADER;
use medallion_crds::Reason;
use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{FutureRecord, Producer};
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

/// What the brokers must allow on the topic.
const OPERATIONS: &[Operation] = &[Operation::Write];

/// A producer that another has taken the place of: what it still holds is waited for, and not handed to the other, which could
/// store it twice.
#[must_use = "its events are still to be acknowledged"]
pub struct Leftover {
    client: Arc<KafkaProducer>,
    timeout: Duration,
}

impl Leftover {
    /// Waits until each event that it holds has its fate. Blocks.
    pub fn wait(self) {
        if let Err(error) = self.client.producer.flush(self.timeout) {
            tracing::debug!(%error, "some events of the producer of before are not acknowledged");
        }
    }
}

/// The Kafka topic.
pub struct KafkaPublisher {
    client: Renewed<KafkaProducer>,
    delivery_timeout: Duration,
    topic: Arc<str>,
    headers: OwnedHeaders,
    /// The brokers have said that we may write to the topic.
    may_write: AtomicBool,
}

impl KafkaPublisher {
    /// A producer for the topic; it connects in the background. If what is mounted for it cannot be used, [`Self::probe`] says
    /// so until it can.
    pub fn new(brokers: Brokers, contract_version: &str, delivery_timeout: Duration, buffer_bytes: usize) -> Self {
        let topic = brokers.settings().topic.as_str().into();
        let client = Renewed::new(brokers, move |snapshot| {
            let mut configuration = snapshot.producer("gateway");
            configuration
                .set("message.timeout.ms", delivery_timeout.as_millis().to_string())
                // A connection that has died without a word, as while a function was frozen, must leave time for another one.
                .set("socket.timeout.ms", patience(delivery_timeout).as_millis().to_string())
                .set("queue.buffering.max.kbytes", (buffer_bytes / 1024).max(1).to_string())
                // The bytes above are those of key and payload only; headers and bookkeeping take about a kilobyte a record.
                .set("queue.buffering.max.messages", (buffer_bytes / 1024).max(1).to_string());
            KafkaProducer::create(&configuration, snapshot.context())
        });
        let header = Header {
            key: VERSION_HEADER,
            value: Some(contract_version),
        };
        Self {
            client,
            delivery_timeout,
            topic,
            headers: OwnedHeaders::new().insert(header),
            may_write: AtomicBool::new(false),
        }
    }

    /// Takes up what is mounted for the producer, if that has changed; reads files.
    pub fn look(&self) -> Option<Leftover> {
        self.client.look().map(|client| self.leftover(client))
    }

    /// Makes a new producer in the place of one that can never send again.
    pub fn renew(&self) -> Option<Leftover> {
        self.client.renew().map(|client| self.leftover(client))
    }

    fn leftover(&self, client: Arc<KafkaProducer>) -> Leftover {
        Leftover {
            client,
            timeout: self.delivery_timeout,
        }
    }

    /// Asks the brokers for the topic, each that leads a partition of it whether it lets us in, and whether we may write to it.
    /// Returns why events of some partitions cannot be sent, if that is so. Blocks for up to a few times `timeout`.
    pub fn probe(&self, timeout: Duration) -> Result<Option<Diagnosis>, Diagnosis> {
        let client = self.client.get()?;
        let (asked, context) = (client.producer.client(), &client.context);
        let topic = &*self.topic;
        let needs = [Need::topic(topic, OPERATIONS)];
        let unanswered = |error: &KafkaError| context.explain(error, &needs, || format!("no broker answers: {error}"));
        let metadata = asked.fetch_metadata(Some(topic), timeout);
        let metadata = metadata.map_err(|error| unanswered(&error))?;
        context.answered();
        let found = metadata.topics().first();
        match found.map(|found| (found.error().map(RDKafkaErrorCode::from), found.partitions().len())) {
            Some((None, partitions)) if partitions > 0 => {}
            Some((Some(code), _)) => return Err(refused(code, context, topic)),
            _ => return Err(Diagnosis::unavailable(format!("topic {topic} has no partitions"))),
        }
        let refusal = found.and_then(|found| refused_by_a_leader(asked, context, found, timeout));
        let found = rights(asked, context, &needs, timeout).map_err(|error| unanswered(&error))?;
        self.may_write.store(found == Rights::Enough, Ordering::Relaxed);
        match found {
            Rights::Missing(denied) => Err(denied),
            Rights::Enough | Rights::Unknown => self.client.fault().map_or(Ok(refusal), Err),
        }
    }

    /// Why the producer can never send again, if so.
    pub fn fatal(&self) -> Option<Fatal> {
        let needs = [Need::topic(&self.topic, OPERATIONS)];
        // Where the topic may be written it is the cluster on which a right is missing.
        let may_write = self.may_write.load(Ordering::Relaxed);
        let needs: &[Need<'_>] = if may_write { &[] } else { &needs };
        self.client.get().ok()?.fatal(needs)
    }

    /// Why the brokers do not let us in, as far as they have said of late. May block for some seconds, to look at a certificate.
    pub fn refusal(&self) -> Option<Diagnosis> {
        self.client.get().map_or_else(Some, |client| client.context.refusal())
    }

    /// Waits until nothing is queued. Blocks for up to `timeout`.
    pub fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.client
            .get()
            .map_or(Ok(()), |client| client.producer.flush(timeout))
    }
}

impl Publisher for KafkaPublisher {
    fn publish(&self, key: &str, payload: &[u8]) -> Result<Delivery, PublishError> {
        let client = self.client.get().map_err(PublishError::Refused)?;
        let record = FutureRecord::to(&self.topic)
            .key(key)
            .payload(payload)
            .headers(self.headers.clone());
        // Not the client itself: whoever lets go of the last one waits for its threads.
        let (context, topic) = (client.context.clone(), Arc::clone(&self.topic));
        let delivery = client
            .producer
            .send_result(record)
            .map_err(|(error, _)| publish_error(&error, &context, &topic))?;
        Ok(delivery
            .map(move |result| match result {
                Ok(Ok(_)) => Ok(()),
                Ok(Err((error, _))) => Err(publish_error(&error, &context, &topic)),
                Err(_) => Err(PublishError::Unknown("the producer has stopped".to_owned())),
            })
            .boxed())
    }
}

/// How long one answer of a broker is waited for.
fn patience(delivery_timeout: Duration) -> Duration {
    (delivery_timeout / 3).max(Duration::from_secs(1))
}

/// Why a broker that leads partitions of the topic refuses us, although another one answers: each is called by the name that
/// it advertises, and has a certificate of its own. One that only does not answer makes events fail, which is named then.
fn refused_by_a_leader<C: ClientContext>(
    client: &Client<C>,
    context: &KafkaContext,
    topic: &MetadataTopic,
    timeout: Duration,
) -> Option<Diagnosis> {
    let mut leaders = BTreeSet::new();
    let mut one_of_each = topic
        .partitions()
        .iter()
        .filter(|partition| partition.leader() >= 0 && leaders.insert(partition.leader()));
    let is_silent =
        one_of_each.any(|partition| client.fetch_watermarks(topic.name(), partition.id(), timeout).is_err());
    is_silent.then(|| context.refusal()).flatten()
}

/// What the brokers say of the topic instead of its partitions.
fn refused(code: RDKafkaErrorCode, context: &KafkaContext, topic: &str) -> Diagnosis {
    let denied = context.denial(&KafkaError::MetadataFetch(code), &[Need::topic(topic, OPERATIONS)]);
    denied.unwrap_or_else(|| match code {
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => Diagnosis::new(
            Reason::TopicMissing,
            format!("topic {topic} does not exist; create it, or correct spec.kafka.topic"),
        ),
        other => Diagnosis::unavailable(format!("topic {topic}: {other}")),
    })
}

/// Never blocks: why brokers do not answer is found out by the next probe.
fn publish_error(error: &KafkaError, context: &KafkaContext, topic: &str) -> PublishError {
    if let Some(denied) = context.denial(error, &[Need::topic(topic, OPERATIONS)]) {
        return PublishError::Refused(denied);
    }
    match code_of(error) {
        Some(RDKafkaErrorCode::QueueFull) => PublishError::Full,
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => PublishError::TooLarge,
        _ => PublishError::Unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use medallion_crds::launch::KafkaSettings;
    use rdkafka::mocking::MockCluster;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_leader_that_refuses_us_is_named_although_another_broker_answers() {
        let cluster = MockCluster::new(2).expect("mock brokers");
        cluster.create_topic("orders", 2, 1).expect("a topic");
        for (partition, leader) in [(0, 1), (1, 2)] {
            let led = cluster.partition_leader("orders", partition, Some(leader));
            led.expect("a leader");
        }
        let brokers = Brokers::without_tokens(&KafkaSettings {
            bootstrap_servers: vec![cluster.bootstrap_servers()],
            topic: "orders".to_owned(),
            dead_letter_topic: "dlq.orders".to_owned(),
            ..KafkaSettings::default()
        });
        let publisher = KafkaPublisher::new(brokers, "v1", Duration::from_secs(2), 1 << 20);
        let probe = || publisher.probe(Duration::from_secs(3)).expect("one answers at least");
        assert_eq!(probe(), None, "both answer");

        // Mock brokers refuse nobody, so the library's words are said for one that is not there.
        cluster.broker_down(2).expect("down");
        tokio::time::sleep(Duration::from_millis(500)).await;
        let context = publisher.client.get().expect("a producer").context.clone();
        context.error(
            KafkaError::Global(RDKafkaErrorCode::Authentication),
            "sasl_ssl://b-2.shop:9096/2: SASL authentication error: invalid credentials (after 3ms in state AUTH_REQ)",
        );
        let why = probe().expect("one refuses us");
        assert_eq!(why.reason, Reason::KafkaCredentialsRefused, "{why}");
        assert!(why.message.contains("b-2.shop:9096"), "{why}");

        cluster.broker_up(2).expect("up");
        let begun = Instant::now();
        while let Some(why) = probe() {
            assert!(begun.elapsed() < Duration::from_secs(30), "{why}");
        }
    }

    fn context() -> KafkaContext {
        let brokers = Brokers::without_tokens(&KafkaSettings {
            bootstrap_servers: vec!["kafka:9092".to_owned()],
            topic: "orders".to_owned(),
            dead_letter_topic: "dlq.orders".to_owned(),
            ..KafkaSettings::default()
        });
        brokers.read().expect("nothing is mounted").context()
    }

    #[test]
    fn a_topic_that_we_may_not_see_is_named_with_the_right_that_is_missing() {
        let why = refused(RDKafkaErrorCode::TopicAuthorizationFailed, &context(), "orders");
        assert_eq!(why.reason, Reason::TopicAccessDenied);
        assert!(why.message.contains("--operation Write --topic orders;"), "{why}");
    }

    #[test]
    fn an_event_that_we_may_not_write_is_refused_by_name_and_one_without_an_answer_is_unknown() {
        let error = |code| publish_error(&KafkaError::MessageProduction(code), &context(), "orders");
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
        let reason = |code| refused(code, &context(), "orders").reason;
        assert_eq!(reason(RDKafkaErrorCode::UnknownTopicOrPartition), Reason::TopicMissing);
        assert_eq!(reason(RDKafkaErrorCode::LeaderNotAvailable), Reason::KafkaUnavailable);
    }
}
