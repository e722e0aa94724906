//! What the consumer needs to be allowed by the brokers, by what it does. No network.

use kafka_client::{Need, Operation};
use medallion_crds::launch::KafkaSettings;

/// What the consumer works with at the brokers, by name.
#[derive(Clone, Debug)]
pub(crate) struct Needs {
    pub(crate) topic: String,
    pub(crate) dead_letter_topic: String,
    pub(crate) group: String,
    /// The group whose offsets say which dead letters a person has acknowledged.
    pub(crate) letters_group: String,
}

impl Needs {
    pub(crate) fn of(kafka: &KafkaSettings, group: &str) -> Self {
        Self {
            topic: kafka.topic.clone(),
            dead_letter_topic: kafka.dead_letter_topic.clone(),
            group: group.to_owned(),
            letters_group: format!("{group}.dead-letters"),
        }
    }

    /// To read the topic, join the group and commit offsets.
    pub(crate) fn to_read(&self) -> [Need<'_>; 2] {
        [
            Need::topic(&self.topic, &[Operation::Read]),
            Need::group(&self.group, &[Operation::Read]),
        ]
    }

    /// To remember the topic beside the dead-letter topic.
    pub(crate) fn to_remember(&self) -> [Need<'_>; 2] {
        [
            Need::topic(&self.dead_letter_topic, &[Operation::Read]),
            Need::group(&self.group, &[Operation::Read]),
        ]
    }

    /// To write a dead letter.
    pub(crate) fn to_bury(&self) -> [Need<'_>; 1] {
        [Need::topic(&self.dead_letter_topic, &[Operation::Write])]
    }

    /// To look at dead letters. Whoever may not even see the topic may not write to it either.
    pub(crate) fn to_show(&self) -> [Need<'_>; 2] {
        [
            Need::topic(&self.dead_letter_topic, &[Operation::Read, Operation::Write]),
            Need::group(&self.letters_group, &[Operation::Describe]),
        ]
    }

    /// All of it.
    pub(crate) fn all(&self) -> [Need<'_>; 4] {
        let [topic, group] = self.to_read();
        let [dead_letters, letters_group] = self.to_show();
        [topic, group, dead_letters, letters_group]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use kafka_client::{Brokers, KafkaContext};
    use medallion_crds::Reason;
    use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

    use super::*;

    fn kafka() -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: vec!["kafka:9092".to_owned()],
            topic: "orders".to_owned(),
            dead_letter_topic: "dlq.orders".to_owned(),
            ..KafkaSettings::default()
        }
    }

    pub(crate) fn needs() -> Needs {
        Needs::of(&kafka(), "readers")
    }

    /// What every client has, of brokers that want no credentials.
    pub(crate) fn context() -> KafkaContext {
        let brokers = Brokers::without_tokens(&kafka());
        brokers.read().expect("nothing is mounted").context()
    }

    #[test]
    fn the_right_that_is_missing_is_named() {
        let needs = needs();
        let read = needs.to_read().to_vec();
        for (needs, error, reason, right) in [
            (
                read.clone(),
                KafkaError::MessageConsumption(Code::TopicAuthorizationFailed),
                Reason::TopicAccessDenied,
                "--operation Read --topic orders;",
            ),
            (
                read.clone(),
                KafkaError::MessageConsumption(Code::GroupAuthorizationFailed),
                Reason::GroupAccessDenied,
                "--operation Read --group readers;",
            ),
            (
                read,
                KafkaError::ConsumerCommit(Code::TopicAuthorizationFailed),
                Reason::TopicAccessDenied,
                "--operation Read --topic orders;",
            ),
            (
                needs.to_remember().to_vec(),
                KafkaError::ConsumerCommit(Code::TopicAuthorizationFailed),
                Reason::TopicAccessDenied,
                "--operation Read --topic dlq.orders;",
            ),
            (
                needs.to_bury().to_vec(),
                KafkaError::MessageProduction(Code::TopicAuthorizationFailed),
                Reason::TopicAccessDenied,
                "--operation Write --topic dlq.orders;",
            ),
            (
                needs.to_bury().to_vec(),
                KafkaError::Global(Code::ClusterAuthorizationFailed),
                Reason::TopicAccessDenied,
                "--operation Write --topic dlq.orders;",
            ),
            (
                needs.to_show().to_vec(),
                KafkaError::MetadataFetch(Code::TopicAuthorizationFailed),
                Reason::TopicAccessDenied,
                "--operation Read --operation Write --topic dlq.orders;",
            ),
            (
                needs.to_show().to_vec(),
                KafkaError::OffsetFetch(Code::GroupAuthorizationFailed),
                Reason::GroupAccessDenied,
                "--operation Describe --group readers.dead-letters;",
            ),
        ] {
            let denied = context().denial(&error, &needs).expect("a denial");
            assert_eq!(denied.reason, reason);
            assert!(denied.message.contains(right), "{denied}");
        }
    }

    #[test]
    fn an_outage_is_no_denial() {
        let error = KafkaError::MetadataFetch(Code::BrokerTransportFailure);
        assert_eq!(context().denial(&error, &needs().all()), None);
    }
}
