//! Dead letters: the record unchanged, with headers that say why and where from. Produces to Kafka.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use kafka_client::{Brokers, Diagnosis, Fatal, KafkaContext, KafkaProducer, Need, Renewed, code_of};
use medallion_crds::{Reason, Stage};
use rdkafka::Message;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureRecord, Producer};

use crate::needs::Needs;
use crate::verdict::Flaw;

/// Prefix of the headers, as the Kafka project has it for share groups.
pub(crate) const HEADER_PREFIX: &str = "__dlq.errors.";
/// Longest message in a header: enough for a person, never a payload.
const MAX_MESSAGE_BYTES: usize = 512;
/// The broker decides how large a dead letter may be, not the client.
const MAX_RECORD_BYTES: &str = "16777216";

/// A record with the reason why it is dead.
#[derive(Clone, Debug)]
pub struct DeadLetter<'r> {
    /// The record as it was read.
    pub record: &'r OwnedMessage,
    /// Why it is dead.
    pub flaw: &'r Flaw,
}

/// Where dead letters go.
pub trait DeadLetterSink: Send + Sync + 'static {
    /// Ends well only when the letter is stored for good.
    fn send<'a>(&'a self, letter: DeadLetter<'a>) -> BoxFuture<'a, Result<(), Diagnosis>>;
}

/// The dead-letter topic.
pub struct KafkaDeadLetters {
    client: Renewed<KafkaProducer>,
    needs: Needs,
}

impl KafkaDeadLetters {
    /// A producer for the topic; it connects in the background.
    pub fn new(brokers: Brokers, group: &str) -> Self {
        let needs = Needs::of(brokers.settings(), group);
        let client = Renewed::new(brokers, |snapshot| {
            let mut configuration = snapshot.producer("consumer");
            configuration
                .set("message.timeout.ms", "20000")
                .set("message.max.bytes", MAX_RECORD_BYTES);
            KafkaProducer::create(&configuration, snapshot.context())
        });
        Self { client, needs }
    }

    /// Takes up what is mounted for the producer, if that has changed; reads files. Letters under way keep the producer of
    /// before until they are answered.
    pub(crate) fn look(&self) {
        let _ = self.client.look();
    }

    /// Why the producer can never send again, if so. `may_write`: the brokers say that it may write to the topic, so if a
    /// right is missing it is one on the cluster.
    pub(crate) fn fatal(&self, may_write: bool) -> Option<Fatal> {
        let needs = self.needs.to_bury();
        let needs: &[Need<'_>] = if may_write { &[] } else { &needs };
        self.client.get().ok()?.fatal(needs)
    }

    /// Makes a new producer in the place of one that was not let.
    pub(crate) fn renew(&self) {
        let _ = self.client.renew();
    }

    /// Waits until nothing is queued.
    pub(crate) fn flush(&self, timeout: Duration) {
        let flushed = self.client.get().map(|client| client.producer.flush(timeout));
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "dead letters were not all acknowledged; their records will be read again");
        }
    }
}

impl DeadLetterSink for KafkaDeadLetters {
    fn send<'a>(&'a self, letter: DeadLetter<'a>) -> BoxFuture<'a, Result<(), Diagnosis>> {
        let headers = headers(&letter, &self.needs.group);
        async move {
            let client = self.client.get()?;
            let mut record = FutureRecord::<[u8], [u8]>::to(&self.needs.dead_letter_topic).headers(headers);
            record.key = letter.record.key();
            record.payload = letter.record.payload();
            // A full queue is waited for; the message's own time limits the rest.
            match client.producer.send(record, Duration::from_secs(20)).await {
                Ok(_) => Ok(()),
                Err((error, _)) => Err(explain(&client.behind(error), &client.context, &self.needs)),
            }
        }
        .boxed()
    }
}

fn explain(error: &KafkaError, context: &KafkaContext, needs: &Needs) -> Diagnosis {
    if let Some(denied) = context.denial(error, &needs.to_bury()) {
        return denied;
    }
    let topic = &needs.dead_letter_topic;
    let message = match code_of(error) {
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
            format!(
                "dead-letter topic {topic}: the broker does not take a record of this size; raise max.message.bytes of the topic above that of the events' topic"
            )
        }
        _ => format!("dead-letter topic {topic}: {error}; trying again"),
    };
    Diagnosis::new(Reason::DeadLetterTopicUnavailable, message)
}

/// The record's own headers unchanged, then ours. Together with the topic, partition and offset they hold, a letter that
/// a restart has written twice is known as one.
fn headers(letter: &DeadLetter<'_>, group: &str) -> OwnedHeaders {
    let record = letter.record;
    let mut headers = record.headers().cloned().unwrap_or_default();
    let mut message = letter.flaw.message.as_str();
    if message.len() > MAX_MESSAGE_BYTES {
        message = &message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)];
    }
    let (partition, offset) = (record.partition().to_string(), record.offset().to_string());
    let values = [
        ("topic", record.topic()),
        ("partition", &partition),
        ("offset", &offset),
        ("group", group),
        // A record error is not tried again: this delivery decided.
        ("delivery.count", "1"),
        ("message", message),
        ("stage", Stage::Persist.as_str()),
        ("class", letter.flaw.class.as_str()),
    ];
    for (name, value) in values {
        headers = headers.insert(Header {
            key: &format!("{HEADER_PREFIX}{name}"),
            value: Some(value),
        });
    }
    headers
}

/// The newest value of one of our headers.
pub(crate) fn header<'h>(headers: &'h impl Headers, name: &str) -> Option<&'h str> {
    headers
        .iter()
        .filter(|header| header.key.strip_prefix(HEADER_PREFIX) == Some(name))
        .last()
        .and_then(|header| std::str::from_utf8(header.value?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::needs::tests::{context, needs};
    use crate::verdict::tests::record;

    #[test]
    fn a_topic_that_takes_no_letters_is_told_from_one_that_we_may_not_write_to() {
        let explained = |code| explain(&KafkaError::MessageProduction(code), &context(), &needs());
        let late = explained(RDKafkaErrorCode::MessageTimedOut);
        assert_eq!(late.reason, Reason::DeadLetterTopicUnavailable);
        assert!(late.message.contains("dlq.orders"), "{late}");
        let denied = explained(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert_eq!(denied.reason, Reason::TopicAccessDenied);
        assert!(
            denied.message.contains("--operation Write --topic dlq.orders"),
            "{denied}"
        );
    }

    #[test]
    fn the_headers_say_where_it_came_from_and_why() {
        let record = record(Some(b"poison"), Some("v"));
        let flaw = Flaw {
            class: Reason::MalformedJson,
            message: "é".repeat(400),
        };
        let headers = headers(
            &DeadLetter {
                record: &record,
                flaw: &flaw,
            },
            "shop.orders",
        );
        let names: Vec<&str> = headers.iter().map(|header| header.key).collect();
        assert_eq!(
            names,
            [
                "medallion-contract-version",
                "__dlq.errors.topic",
                "__dlq.errors.partition",
                "__dlq.errors.offset",
                "__dlq.errors.group",
                "__dlq.errors.delivery.count",
                "__dlq.errors.message",
                "__dlq.errors.stage",
                "__dlq.errors.class",
            ]
        );
        let value = |name| header(&headers, name).expect("a header");
        assert_eq!(
            (value("topic"), value("partition"), value("offset")),
            ("events", "2", "41")
        );
        assert_eq!(
            (value("group"), value("stage"), value("class")),
            ("shop.orders", "persist", "MalformedJson")
        );
        assert_eq!(value("message").len(), 512);
    }
}
