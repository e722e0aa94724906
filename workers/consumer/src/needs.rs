//! What the consumer needs to be allowed by the brokers, and which of it an error says that it lacks. No network.

use kafka_client::{Diagnosis, Need, Operation, Party};
use medallion_crds::launch::KafkaSettings;
use rdkafka::error::KafkaError;

/// What the consumer works with at the brokers, by name.
#[derive(Clone, Debug)]
pub(crate) struct Needs {
    party: Party,
    pub(crate) topic: String,
    pub(crate) dead_letter_topic: String,
    pub(crate) group: String,
    /// The group whose offsets say which dead letters a person has acknowledged.
    pub(crate) letters_group: String,
}

impl Needs {
    pub(crate) fn of(kafka: &KafkaSettings, group: &str) -> Self {
        Self {
            party: Party::of(kafka),
            topic: kafka.topic.clone(),
            dead_letter_topic: kafka.dead_letter_topic.clone(),
            group: group.to_owned(),
            letters_group: format!("{group}.dead-letters"),
        }
    }

    /// What was lacking when the topic was read, the group joined or offsets committed.
    pub(crate) fn to_read(&self, error: &KafkaError) -> Option<Diagnosis> {
        let read = &[Operation::Read];
        let needs = [Need::topic(&self.topic, read), Need::group(&self.group, read)];
        self.party.denial(error, &needs)
    }

    /// What was lacking when the topic was remembered beside the dead-letter topic.
    pub(crate) fn to_remember(&self, error: &KafkaError) -> Option<Diagnosis> {
        let read = &[Operation::Read];
        let needs = [
            Need::topic(&self.dead_letter_topic, read),
            Need::group(&self.group, read),
        ];
        self.party.denial(error, &needs)
    }

    /// What was lacking when a dead letter was written.
    pub(crate) fn to_bury(&self, error: &KafkaError) -> Option<Diagnosis> {
        let needs = [Need::topic(&self.dead_letter_topic, &[Operation::Write])];
        self.party.denial(error, &needs)
    }

    /// What was lacking when dead letters were looked at. Whoever may not even see the topic may not write to it either.
    pub(crate) fn to_show(&self, error: &KafkaError) -> Option<Diagnosis> {
        let needs = [
            Need::topic(&self.dead_letter_topic, &[Operation::Read, Operation::Write]),
            Need::group(&self.letters_group, &[Operation::Describe]),
        ];
        self.party.denial(error, &needs)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use medallion_crds::Reason;
    use rdkafka::error::RDKafkaErrorCode as Code;
    use rstest::rstest;

    use super::*;

    pub(crate) fn needs() -> Needs {
        let kafka = KafkaSettings {
            bootstrap_servers: vec!["kafka:9092".to_owned()],
            topic: "orders".to_owned(),
            dead_letter_topic: "dlq.orders".to_owned(),
            tls: None,
        };
        Needs::of(&kafka, "readers")
    }

    type Ask = fn(&Needs, &KafkaError) -> Option<Diagnosis>;

    #[rstest]
    #[case::fetching(
        Needs::to_read,
        KafkaError::MessageConsumption(Code::TopicAuthorizationFailed),
        "--operation Read --topic orders;"
    )]
    #[case::joining(
        Needs::to_read,
        KafkaError::MessageConsumption(Code::GroupAuthorizationFailed),
        "--operation Read --group readers;"
    )]
    #[case::committing(
        Needs::to_read,
        KafkaError::ConsumerCommit(Code::TopicAuthorizationFailed),
        "--operation Read --topic orders;"
    )]
    #[case::remembering(
        Needs::to_remember,
        KafkaError::ConsumerCommit(Code::TopicAuthorizationFailed),
        "--operation Read --topic dlq.orders;"
    )]
    #[case::burying(
        Needs::to_bury,
        KafkaError::MessageProduction(Code::TopicAuthorizationFailed),
        "--operation Write --topic dlq.orders;"
    )]
    #[case::beginning_to_bury(
        Needs::to_bury,
        KafkaError::Global(Code::ClusterAuthorizationFailed),
        "--operation Write --topic dlq.orders;"
    )]
    #[case::seeing(
        Needs::to_show,
        KafkaError::MetadataFetch(Code::TopicAuthorizationFailed),
        "--operation Read --operation Write --topic dlq.orders;"
    )]
    #[case::acknowledgements(
        Needs::to_show,
        KafkaError::OffsetFetch(Code::GroupAuthorizationFailed),
        "--operation Describe --group readers.dead-letters;"
    )]
    fn the_right_that_is_missing_is_named(#[case] ask: Ask, #[case] error: KafkaError, #[case] right: &str) {
        let denied = ask(&needs(), &error).expect("a denial");
        assert_eq!(denied.reason, Reason::KafkaRefuses);
        assert!(denied.message.contains(right), "{denied}");
    }

    #[test]
    fn an_outage_is_no_denial() {
        let error = KafkaError::MetadataFetch(Code::BrokerTransportFailure);
        for ask in [Needs::to_read, Needs::to_remember, Needs::to_bury, Needs::to_show] {
            assert_eq!(ask(&needs(), &error), None);
        }
    }
}
