//! Measures what the consumer's own thread cannot: lag, and the dead letters that wait for a person. Asks the brokers; reads the dead-letter topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kafka_client::{Brokers, Diagnosis, KafkaContext, Need, Renewed, Rights, code_of, rights, serve};
use medallion_crds::Reason;
use medallion_crds::pipeline::{DeadLetterReason, Retention};
use medallion_crds::progress::DeadLetters;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::dead_letter::header;
use crate::ledger::Position;
use crate::needs::Needs;
use crate::retention::{Kept, retention};
use crate::topic::Names;
use crate::waiting::{Acknowledged, Waiting};

/// One question to the brokers.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);
/// Reading the newest dead letters takes no longer than this.
const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// So long the client is served at each look.
const SERVE: Duration = Duration::from_millis(50);
/// How often it is asked what the brokers allow; while a right is missing, or somebody was denied one, at every look.
const RIGHTS_EVERY: Duration = Duration::from_secs(10);
/// So many of the newest are shown.
const NEWEST: usize = 10;
/// The longest message of one that is shown.
const MESSAGE_BYTES: usize = 512;

/// The client of the observer. Its group holds, by committed offsets, up to where a person has acknowledged dead letters.
type Outside = BaseConsumer<KafkaContext>;

/// Looks at the topics from outside the consumer group.
pub(crate) struct Observer {
    client: Arc<Renewed<Outside>>,
    needs: Needs,
    /// What the brokers do not allow on the client's own group: the library says it only once.
    denied: Option<Diagnosis>,
    waiting: Waiting,
    /// Ends of the dead-letter partitions when the newest were last read, and what was read.
    shown: (Vec<Span>, Vec<DeadLetterReason>),
    kept: Kept,
    acknowledged: Acknowledged,
    /// When the brokers were last asked and said of nothing that they do not allow it.
    allowed: Option<Instant>,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Observation {
    /// `None` before the first assignment.
    pub(crate) lag: Option<i64>,
    pub(crate) oldest_pending: Option<Timestamp>,
    /// `None` also if the topic keeps its records for ever.
    pub(crate) retention: Option<Retention>,
    pub(crate) dead_letters: DeadLetters,
    /// Why what is mounted for the brokers cannot be used, although clients made before go on.
    pub(crate) fault: Option<Diagnosis>,
    /// Whether the brokers allow all that the consumer does; `None` if that was not asked, or not answered, at this look.
    pub(crate) passage: Option<Passage>,
}

/// Whether the brokers allow all that the consumer does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Passage {
    /// They say so.
    Free,
    /// Something is missing.
    Barred(Diagnosis),
}

/// The part of a dead-letter partition that nobody has acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Span {
    partition: i32,
    from: i64,
    to: i64,
}

impl Observer {
    pub(crate) fn new(brokers: Brokers, group: &str) -> Self {
        let needs = Needs::of(brokers.settings(), group);
        let own_group = needs.letters_group.clone();
        let client = Renewed::new(brokers.clone(), move |snapshot| {
            snapshot
                .consumer("consumer-observer", &own_group)
                .set("auto.offset.reset", "earliest")
                // Says where a partition ends, also when its last offsets hold no records.
                .set("enable.partition.eof", "true")
                .set("queued.max.messages.kbytes", "2048")
                .create_with_context(snapshot.context())
        });
        Self {
            client: Arc::new(client),
            needs,
            denied: None,
            waiting: Waiting::default(),
            shown: (Vec::new(), Vec::new()),
            kept: Kept::new(brokers),
            acknowledged: Acknowledged::default(),
            allowed: None,
        }
    }

    /// Answers questions about names by the same client.
    pub(crate) fn names(&self) -> Arc<dyn Names> {
        self.client.clone()
    }

    /// Looks once. `doubted`: somebody was denied something, so rights are asked for now. Blocks for some seconds at most.
    pub(crate) fn observe(
        &mut self,
        positions: &[Position],
        assigned: bool,
        doubted: bool,
    ) -> Result<Observation, Diagnosis> {
        // Whoever still asks by the client of before keeps it until there is an answer.
        let _ = self.client.look();
        let client = self.client.get()?;
        // Errors of outages long over wait in the queue; unread they would fill it and spoil what is read below.
        self.drain(&client);
        let now = Timestamp::now();
        let (lag, oldest_pending) = match self.pending(&client, positions, now) {
            Ok(pending) => pending,
            Err(error) => {
                // What the library has to say of it waits in the queue.
                self.drain(&client);
                return Err(explain(error, &client, &self.needs.to_read(), None));
            }
        };
        let dead_letters = match self.dead_letters(&client) {
            Ok(dead_letters) => dead_letters,
            Err(error) => {
                self.drain(&client);
                return Err(explain(error, &client, &self.needs.to_show(), self.denied.as_ref()));
            }
        };
        self.denied = None;
        client.context().answered();
        Ok(Observation {
            lag: assigned.then_some(lag),
            oldest_pending,
            retention: retention(self.kept.seconds(), oldest_pending, assigned, now),
            dead_letters,
            fault: self.client.fault(),
            passage: self.passage(&client, doubted),
        })
    }

    /// Reads what waits in the queue, nearly all of it about what is long over.
    fn drain(&mut self, client: &Outside) {
        for error in serve(client, SERVE) {
            if code_of(&error) == Some(RDKafkaErrorCode::GroupAuthorizationFailed) {
                self.denied = client.context().denial(&error, &self.needs.to_show());
            }
        }
    }

    /// Whether the brokers allow all that the consumer does, if it is time to ask.
    fn passage(&mut self, client: &Outside, doubted: bool) -> Option<Passage> {
        let is_due = doubted || self.allowed.is_none_or(|last| last.elapsed() >= RIGHTS_EVERY);
        if !is_due {
            return None;
        }
        self.allowed = None;
        match rights(client.client(), client.context(), &self.needs.all(), ASK_TIMEOUT) {
            Ok(Rights::Missing(denied)) => Some(Passage::Barred(denied)),
            Ok(found) => {
                self.allowed = Some(Instant::now());
                (found == Rights::Enough).then_some(Passage::Free)
            }
            Err(error) => {
                tracing::debug!(%error, "the brokers do not say what they allow");
                None
            }
        }
    }

    /// How many records wait, and since when the oldest does.
    fn pending(
        &mut self,
        client: &Outside,
        positions: &[Position],
        now: Timestamp,
    ) -> Result<(i64, Option<Timestamp>), ObserveError> {
        let topic = &self.needs.topic;
        partitions(client, topic)?;
        let mut lag = 0;
        let mut oldest: Option<Timestamp> = None;
        for position in positions {
            let (_, end) = client.fetch_watermarks(topic, position.partition, ASK_TIMEOUT)?;
            lag += (end - position.mark).max(0);
            let pending = self.waiting.since(position, end, now);
            oldest = [oldest, pending].into_iter().flatten().min();
        }
        Ok((lag, oldest))
    }

    fn dead_letters(&mut self, client: &Outside) -> Result<DeadLetters, ObserveError> {
        let spans = self.unacknowledged(client)?;
        let count = spans.iter().map(|span| span.to - span.from).sum();
        if self.shown.0 != spans {
            let (newest, is_whole) = self.newest(client, &spans)?;
            // What was cut off by the time is shown, and read again at the next look.
            self.shown = (if is_whole { spans } else { Vec::new() }, newest);
        }
        Ok(DeadLetters {
            count,
            newest: self.shown.1.clone(),
        })
    }

    /// Of each dead-letter partition, what stands after the acknowledged offset.
    fn unacknowledged(&mut self, client: &Outside) -> Result<Vec<Span>, ObserveError> {
        let topic = &self.needs.dead_letter_topic;
        let mut asked = TopicPartitionList::new();
        for partition in partitions(client, topic)? {
            asked.add_partition(topic, partition);
        }
        let id = client.topic_id(topic)?;
        let committed = client.committed_offsets(asked, ASK_TIMEOUT)?;
        let mut spans = Vec::new();
        for element in committed.elements() {
            element.error()?;
            let partition = element.partition();
            let (first, end) = client.fetch_watermarks(topic, partition, ASK_TIMEOUT)?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            let from = self.acknowledged.from(partition, id.as_deref(), offset, first, end);
            spans.push(Span {
                partition,
                from,
                to: end,
            });
        }
        Ok(spans)
    }

    /// The newest unacknowledged dead letters of all partitions, newest first, and whether all were read in time.
    fn newest(&self, client: &Outside, spans: &[Span]) -> Result<(Vec<DeadLetterReason>, bool), ObserveError> {
        let mut wanted = TopicPartitionList::new();
        let mut open: BTreeMap<i32, i64> = BTreeMap::new();
        for span in spans.iter().filter(|span| span.to > span.from) {
            let from = span.from.max(span.to - i64::try_from(NEWEST).unwrap_or(1));
            wanted.add_partition_offset(&self.needs.dead_letter_topic, span.partition, Offset::Offset(from))?;
            open.insert(span.partition, span.to);
        }
        if open.is_empty() {
            return Ok((Vec::new(), true));
        }
        client.assign(&wanted)?;
        let read = read(client, open);
        client.unassign()?;
        let (mut letters, is_whole) = read?;
        letters.sort_by_key(|letter| std::cmp::Reverse(letter.time.0));
        letters.truncate(NEWEST);
        Ok((letters, is_whole))
    }
}

fn partitions(client: &Outside, topic: &str) -> Result<Vec<i32>, ObserveError> {
    let metadata = client.fetch_metadata(Some(topic), ASK_TIMEOUT)?;
    let found = metadata.topics().first();
    if let Some(error) = found.and_then(MetadataTopic::error).map(RDKafkaErrorCode::from) {
        return Err(match error {
            RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => {
                ObserveError::TopicMissing(topic.to_owned())
            }
            other => ObserveError::Kafka(KafkaError::MetadataFetch(other)),
        });
    }
    let partitions: Vec<i32> = found
        .map(|found| found.partitions().iter().map(MetadataPartition::id).collect())
        .unwrap_or_default();
    if partitions.is_empty() {
        Err(ObserveError::TopicMissing(topic.to_owned()))
    } else {
        Ok(partitions)
    }
}

/// Reads up to the end of each partition, or as long as there is time.
fn read(client: &Outside, mut open: BTreeMap<i32, i64>) -> Result<(Vec<DeadLetterReason>, bool), ObserveError> {
    let deadline = Instant::now() + READ_TIMEOUT;
    let mut letters = Vec::new();
    while !open.is_empty() && Instant::now() < deadline {
        let Some(polled) = client.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = match polled {
            Err(KafkaError::PartitionEOF(partition)) => {
                open.remove(&partition);
                continue;
            }
            polled => polled?,
        };
        let partition = message.partition();
        if open.get(&partition).is_some_and(|end| message.offset() + 1 >= *end) {
            open.remove(&partition);
        }
        letters.push(reason_of(&message));
    }
    Ok((letters, open.is_empty()))
}

fn reason_of(message: &BorrowedMessage<'_>) -> DeadLetterReason {
    let of = |name| {
        message
            .headers()
            .and_then(|headers| header(headers, name))
            .unwrap_or("unknown")
    };
    let mut text = of("message").to_owned();
    text.truncate(text.floor_char_boundary(MESSAGE_BYTES));
    let millis = message.timestamp().to_millis().unwrap_or_default();
    DeadLetterReason {
        reason: Reason::read(of("class")),
        message: text,
        source: format!("{}/{}/{}", of("topic"), of("partition"), of("offset")),
        time: Timestamp::from_millisecond(millis).unwrap_or_default().into(),
    }
}

/// Why nothing was seen.
#[derive(Debug)]
enum ObserveError {
    TopicMissing(String),
    Kafka(KafkaError),
}

impl From<KafkaError> for ObserveError {
    fn from(error: KafkaError) -> Self {
        Self::Kafka(error)
    }
}

/// Why nothing was seen, in words. `needs`: what must be allowed for it; `denied`: what the library has said of that before.
fn explain(error: ObserveError, client: &Outside, needs: &[Need<'_>], denied: Option<&Diagnosis>) -> Diagnosis {
    let error = match error {
        ObserveError::TopicMissing(topic) => {
            let message = format!("topic {topic} does not exist; create it, or correct spec.kafka");
            return Diagnosis::new(Reason::TopicMissing, message);
        }
        ObserveError::Kafka(error) => error,
    };
    let context = client.context();
    let denied = context.denial(&error, needs).or_else(|| denied.cloned());
    denied.unwrap_or_else(|| {
        context.explain(&error, needs, || {
            format!("no answer from the brokers: {error}; trying again")
        })
    })
}

#[cfg(test)]
mod tests {
    use medallion_crds::launch::KafkaSettings;
    use rdkafka::ClientConfig;
    use rdkafka::message::{Header, OwnedHeaders};
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
    use rstest::rstest;

    use super::*;

    fn brokers() -> (MockCluster<'static, DefaultProducerContext>, KafkaSettings) {
        let cluster = MockCluster::new(1).expect("mock brokers");
        cluster.create_topic("orders", 2, 1).expect("a topic");
        cluster.create_topic("dlq.orders", 2, 1).expect("a topic");
        let kafka = KafkaSettings {
            bootstrap_servers: vec![cluster.bootstrap_servers()],
            topic: "orders".to_owned(),
            dead_letter_topic: "dlq.orders".to_owned(),
            ..KafkaSettings::default()
        };
        (cluster, kafka)
    }

    fn observer(kafka: &KafkaSettings) -> Observer {
        Observer::new(Brokers::without_tokens(kafka), "readers")
    }

    #[rstest]
    #[case::topic("orders", "--operation Read --topic orders;")]
    #[case::dead_letters("dlq.orders", "--operation Read --operation Write --topic dlq.orders;")]
    fn a_topic_that_the_brokers_do_not_show_us_is_named(#[case] topic: &str, #[case] right: &str) {
        let (cluster, kafka) = brokers();
        cluster
            .topic_error(topic, RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
            .expect("set");
        let why = observer(&kafka).observe(&[], true, false).expect_err("denied");
        assert_eq!(why.reason, Reason::TopicAccessDenied, "{why}");
        assert!(why.message.contains(right), "{why}");
    }

    #[test]
    fn a_group_that_the_brokers_do_not_show_us_is_named() {
        let (cluster, kafka) = brokers();
        let denied = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 100];
        cluster.request_errors(RDKafkaApiKey::FindCoordinator, &denied);
        let mut observer = observer(&kafka);
        for _ in 0..2 {
            let why = observer.observe(&[], true, false).expect_err("denied");
            assert_eq!(why.reason, Reason::GroupAccessDenied, "{why}");
            assert!(why.message.contains("--group readers.dead-letters;"), "{why}");
        }
        cluster.clear_request_errors(RDKafkaApiKey::FindCoordinator);
        let begun = Instant::now();
        while let Err(why) = observer.observe(&[], true, false) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{why}");
        }
    }

    #[test]
    fn the_newest_dead_letters_are_shown_with_their_reasons() {
        let (_cluster, kafka) = brokers();
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &kafka.bootstrap_servers[0])
            .create()
            .expect("a producer");
        let bury = |partition: i32, number: i64| {
            let header = Header {
                key: "__dlq.errors.class",
                value: Some(if number == 30 { "Newest" } else { "Older" }),
            };
            let record = BaseRecord::<(), str>::to("dlq.orders")
                .partition(partition)
                .payload("poison")
                .timestamp(number * 1000)
                .headers(OwnedHeaders::new().insert(header));
            producer.send(record).map_err(|(error, _)| error).expect("queued");
        };
        for number in 1..=30 {
            bury(i32::from(number % 2 == 0), number);
        }
        producer.flush(Duration::from_secs(30)).expect("produced");

        let mut observer = observer(&kafka);
        let seen = observer.observe(&[], false, false).expect("seen");
        assert_eq!((seen.lag, seen.dead_letters.count), (None, 30));
        let reasons: Vec<&str> = seen
            .dead_letters
            .newest
            .iter()
            .map(|letter| letter.reason.as_str())
            .collect();
        assert_eq!(reasons.len(), NEWEST);
        assert_eq!((reasons[0], reasons[1]), ("Newest", "Older"));
        assert_eq!(observer.shown.0.len(), 2, "a whole read is kept");
        assert_eq!(observer.observe(&[], true, false).expect("seen").lag, Some(0));
    }
}
