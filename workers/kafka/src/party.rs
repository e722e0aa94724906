//! Who we are to the brokers, and what a person reads when they do not allow us something: pure words. No network.

use medallion_crds::Reason;
use medallion_crds::launch::KafkaSettings;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::diagnosis::Diagnosis;

/// The name by which access lists know clients that do not say who they are.
const PRINCIPAL: &str = "User:ANONYMOUS";

/// What brokers allow or deny something on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resource<'a> {
    /// A topic, by its name.
    Topic(&'a str),
    /// A consumer group, by its name.
    Group(&'a str),
    /// The cluster.
    Cluster,
}

/// What a client may do with a topic, a group or the cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    /// Read records; of a group: join it and commit offsets. Holds Describe.
    Read,
    /// Write records. Holds Describe.
    Write,
    /// Learn that it is there, and its offsets.
    Describe,
    /// Write as an idempotent producer; brokers since Kafka 3.0 take Write on any topic instead.
    IdempotentWrite,
}

impl Operation {
    /// Its name, as `kafka-acls.sh --operation` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Describe => "Describe",
            Self::IdempotentWrite => "IdempotentWrite",
        }
    }
}

/// What a worker needs on something.
#[derive(Clone, Copy, Debug)]
pub struct Need<'a> {
    /// A topic or a group.
    pub on: Resource<'a>,
    /// What it does with it.
    pub operations: &'a [Operation],
}

impl<'a> Need<'a> {
    /// These operations on a topic.
    pub const fn topic(name: &'a str, operations: &'a [Operation]) -> Self {
        Self {
            on: Resource::Topic(name),
            operations,
        }
    }

    /// These operations on a consumer group.
    pub const fn group(name: &'a str, operations: &'a [Operation]) -> Self {
        Self {
            on: Resource::Group(name),
            operations,
        }
    }
}

fn writes(need: &Need<'_>) -> bool {
    matches!(need.on, Resource::Topic(_)) && need.operations.contains(&Operation::Write)
}

/// Both sides of a connection, by the names that users know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Party {
    servers: String,
}

impl Party {
    /// The pipeline's brokers and we.
    pub fn of(settings: &KafkaSettings) -> Self {
        Self {
            servers: settings.bootstrap_servers.join(","),
        }
    }

    /// What the brokers do not allow, in words.
    pub fn denied(&self, resource: Resource<'_>, operations: &[Operation]) -> Diagnosis {
        let (what, flag) = match resource {
            Resource::Topic(name) => (format!("topic {name}"), format!("--topic {name}")),
            Resource::Group(name) => (format!("consumer group {name}"), format!("--group {name}")),
            Resource::Cluster => ("the cluster".to_owned(), "--cluster".to_owned()),
        };
        let names: Vec<_> = operations.iter().map(|operation| operation.name()).collect();
        let flags = format!(" --operation {}", names.join(" --operation "));
        let message = format!(
            "{what}: the brokers do not allow {PRINCIPAL} to {}: kafka-acls.sh --bootstrap-server {} --add \
             --allow-principal '{PRINCIPAL}'{flags} {flag}; it goes on by itself then",
            names.join(" and "),
            self.servers
        );
        Diagnosis::new(Reason::KafkaRefuses, message)
    }

    /// What the brokers do not allow of what is needed, if that is what the error says.
    pub fn denial(&self, error: &KafkaError, needs: &[Need<'_>]) -> Option<Diagnosis> {
        let of = |is_meant: fn(&Need<'_>) -> bool| {
            let meant = needs.iter().find(|need| is_meant(need))?;
            Some(self.denied(meant.on, meant.operations))
        };
        match code_of(error)? {
            RDKafkaErrorCode::TopicAuthorizationFailed => of(|need| matches!(need.on, Resource::Topic(_))),
            RDKafkaErrorCode::GroupAuthorizationFailed => of(|need| matches!(need.on, Resource::Group(_))),
            RDKafkaErrorCode::ClusterAuthorizationFailed => {
                let cluster = self.denied(Resource::Cluster, &[Operation::IdempotentWrite]);
                // What lets a producer begin.
                let Some(topic) = of(writes) else {
                    return Some(cluster);
                };
                let message = format!(
                    "{}. Brokers before Kafka 3.0 want another one: {}",
                    topic.message, cluster.message
                );
                Some(Diagnosis::new(topic.reason, message))
            }
            _ => None,
        }
    }
}

/// The code of an error, whatever was asked.
pub fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::RDKafkaErrorCode as Code;

    use super::*;

    fn party() -> Party {
        Party::of(&KafkaSettings {
            bootstrap_servers: vec!["one:9092".to_owned(), "two:9092".to_owned()],
            topic: "orders".to_owned(),
            dead_letter_topic: "dlq.orders".to_owned(),
            tls: None,
        })
    }

    const NEEDS: [Need<'static>; 2] = [
        Need::topic("dlq.orders", &[Operation::Read, Operation::Write]),
        Need::group("readers", &[Operation::Read]),
    ];

    fn denial(error: &KafkaError) -> Option<String> {
        let denied = party().denial(error, &NEEDS)?;
        assert_eq!(denied.reason, Reason::KafkaRefuses);
        Some(denied.message)
    }

    #[test]
    fn a_missing_right_is_named_with_what_it_is_on_and_the_command_that_gives_it() {
        let message = denial(&KafkaError::MetadataFetch(Code::TopicAuthorizationFailed)).expect("a denial");
        assert_eq!(
            message,
            "topic dlq.orders: the brokers do not allow User:ANONYMOUS to Read and Write: kafka-acls.sh \
             --bootstrap-server one:9092,two:9092 --add --allow-principal 'User:ANONYMOUS' --operation Read \
             --operation Write --topic dlq.orders; it goes on by itself then"
        );
        let message = denial(&KafkaError::ConsumerCommit(Code::GroupAuthorizationFailed)).expect("a denial");
        assert!(message.starts_with("consumer group readers: "), "{message}");
        assert!(message.contains("--operation Read --group readers"), "{message}");
    }

    #[test]
    fn every_kind_of_question_may_be_denied() {
        for error in [
            KafkaError::AdminOp(Code::TopicAuthorizationFailed),
            KafkaError::MessageConsumption(Code::TopicAuthorizationFailed),
            KafkaError::MessageProduction(Code::TopicAuthorizationFailed),
            KafkaError::OffsetFetch(Code::TopicAuthorizationFailed),
            KafkaError::Global(Code::TopicAuthorizationFailed),
        ] {
            assert!(denial(&error).is_some(), "{error}");
        }
        let error = KafkaError::MetadataFetch(Code::BrokerTransportFailure);
        assert_eq!(denial(&error), None, "another matter");
    }

    #[test]
    fn a_producer_that_may_not_begin_lacks_its_topic_first() {
        let message = denial(&KafkaError::Global(Code::ClusterAuthorizationFailed)).expect("a denial");
        assert!(message.starts_with("topic dlq.orders: "), "{message}");
        assert!(message.contains("--operation IdempotentWrite --cluster"), "{message}");
        let reads = [Need::topic("orders", &[Operation::Read])];
        let error = KafkaError::Global(Code::ClusterAuthorizationFailed);
        let denied = party().denial(&error, &reads).expect("a denial");
        assert!(denied.message.starts_with("the cluster: "), "{denied}");
    }
}
