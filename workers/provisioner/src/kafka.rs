//! The topic and its dead-letter topic: verified, or created. Talks to Kafka.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use medallion_contract::MAX_EVENT_BYTES;
use medallion_crds::launch::KafkaSettings;
use medallion_crds::pipeline::{Dependency, DependencyKind, Management};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::{Instant, sleep, timeout_at};

use crate::finding::{Finding, OR_MANAGED};

/// Lets the broker decide how many replicas a topic has.
const BROKER_DEFAULT: TopicReplication<'static> = TopicReplication::Fixed(-1);
/// Partitions of a dead-letter topic that is created: dead letters are few, and one partition shows them in order.
const DEAD_LETTER_PARTITIONS: i32 = 1;
/// What an event needs beside its own bytes: key, headers and the record's frame.
const RECORD_OVERHEAD: i64 = 16 * 1024;
/// How much longer than the longest record of the topic a dead letter may be: its headers say why and where from.
const DEAD_LETTER_ROOM: i64 = 64 * 1024;
/// Longest record that brokers take if nobody says otherwise.
const KAFKA_DEFAULT: i64 = 1_048_588;
/// How often a topic that is being made is looked at.
const PACE: Duration = Duration::from_millis(250);

const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
const CLEANUP_POLICY: &str = "cleanup.policy";

/// What a topic is like.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Topic {
    partitions: usize,
    /// Whether every partition has a leader.
    led: bool,
    /// Absent if the broker does not tell us.
    settings: BTreeMap<String, String>,
}

impl Topic {
    fn longest_record(&self) -> Option<i64> {
        self.settings.get(MAX_MESSAGE_BYTES)?.parse().ok()
    }
}

/// What a topic must be like.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// `None`: any number.
    partitions: Option<i32>,
    longest_record: i64,
}

/// Verifies both topics, or creates them.
pub async fn check(
    settings: &KafkaSettings,
    partitions: i32,
    management: Management,
    limit: Duration,
) -> [Dependency; 2] {
    let brokers = settings.bootstrap_servers.join(",");
    let [topic, dead_letters] = match Brokers::new(&brokers, management, limit) {
        Ok(brokers) => brokers.check(settings, partitions).await,
        Err(error) => [Finding::Unknown(error.to_string()), Finding::Unknown(error.to_string())],
    };
    [
        topic.of(DependencyKind::Topic, format!("Topic/{}", settings.topic)),
        dead_letters.of(
            DependencyKind::DeadLetterTopic,
            format!("Topic/{}", settings.dead_letter_topic),
        ),
    ]
}

struct Brokers {
    client: Arc<AdminClient<DefaultClientContext>>,
    addresses: String,
    management: Management,
    limit: Duration,
    until: Instant,
}

impl Brokers {
    fn new(addresses: &str, management: Management, limit: Duration) -> Result<Self, KafkaError> {
        let client = ClientConfig::new()
            .set("bootstrap.servers", addresses)
            .set("client.id", "medallion-provisioner")
            .set("socket.timeout.ms", limit.as_millis().to_string())
            .create()?;
        let until = Instant::now() + limit;
        Ok(Self {
            client: Arc::new(client),
            addresses: addresses.to_owned(),
            management,
            limit,
            until,
        })
    }

    async fn check(mut self, settings: &KafkaSettings, partitions: i32) -> [Finding; 2] {
        let least = i64::try_from(MAX_EVENT_BYTES)
            .unwrap_or(i64::MAX)
            .saturating_add(RECORD_OVERHEAD);
        let wanted = Wanted {
            partitions: Some(partitions),
            longest_record: least,
        };
        let topic = self.verify_or_create(&settings.topic, wanted, &[]).await;
        if topic.is_ok() {
            // Brokers that answer get the whole time for the second topic too.
            self.until = Instant::now() + self.limit;
        }
        let longest = topic
            .as_ref()
            .ok()
            .and_then(|(topic, _)| topic.longest_record())
            .unwrap_or(KAFKA_DEFAULT);
        let wanted = Wanted {
            partitions: None,
            longest_record: longest.saturating_add(RECORD_OVERHEAD),
        };
        let bytes = longest.saturating_add(DEAD_LETTER_ROOM).to_string();
        // Dead letters wait for a person, however long that takes.
        let settings_of_new = [
            (MAX_MESSAGE_BYTES, bytes.as_str()),
            ("retention.ms", "-1"),
            (CLEANUP_POLICY, "delete"),
        ];
        let dead_letters = self
            .verify_or_create(&settings.dead_letter_topic, wanted, &settings_of_new)
            .await;
        [finding(topic), finding(dead_letters)]
    }

    async fn verify_or_create(
        &self,
        name: &str,
        wanted: Wanted,
        settings_of_new: &[(&str, &str)],
    ) -> Result<(Topic, Finding), Finding> {
        if let Some(found) = self.look(name).await? {
            let judged = self.judge(name, &found, wanted);
            return Ok((found, judged));
        }
        let count = wanted.partitions.unwrap_or(DEAD_LETTER_PARTITIONS);
        if self.management == Management::External {
            let options = settings_of_new
                .iter()
                .map(|(name, value)| format!(" --config {name}={value}"));
            return Err(Finding::Missing(format!(
                "the topic is not there: kafka-topics.sh --bootstrap-server {} --create --topic {name} --partitions {count}{}, \
                 {OR_MANAGED}",
                self.addresses,
                options.collect::<String>()
            )));
        }
        let new = settings_of_new
            .iter()
            .fold(NewTopic::new(name, count, BROKER_DEFAULT), |topic, (name, value)| {
                topic.set(name, value)
            });
        let refusal = self.create(new).await;
        // Whatever the answer was (somebody was faster, the answer was lost), the brokers' metadata tells.
        loop {
            match (self.look(name).await?, &refusal) {
                (Some(found), None) if found.led => {
                    let created = match self.judge(name, &found, wanted) {
                        Finding::Exists => Finding::Created(format!("created, partitions: {count}")),
                        other => other,
                    };
                    return Ok((found, created));
                }
                (Some(found), Some(_)) => {
                    let judged = self.judge(name, &found, wanted);
                    return Ok((found, judged));
                }
                (None, Some(refusal)) => {
                    return Err(Finding::Missing(format!("it could not be created: {refusal}")));
                }
                (_, None) if Instant::now() >= self.until => {
                    return Err(Finding::Unknown("it was created, but has no leaders yet".to_owned()));
                }
                (_, None) => sleep(PACE).await,
            }
        }
    }

    /// `None`: created.
    async fn create(&self, topic: NewTopic<'_>) -> Option<String> {
        let options = AdminOptions::new()
            .operation_timeout(Some(self.limit))
            .request_timeout(Some(self.limit));
        match timeout_at(self.until, self.client.create_topics([&topic], &options)).await {
            Ok(Ok(results)) => results
                .into_iter()
                .find_map(Result::err)
                .map(|(_, code)| code.to_string()),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {} s", self.limit.as_secs())),
        }
    }

    /// The topic, `None` if it is not there. All topics are asked for: asking for one by its name may create it.
    async fn look(&self, name: &str) -> Result<Option<Topic>, Finding> {
        let client = Arc::clone(&self.client);
        let wait = self
            .until
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(100));
        let metadata = tokio::task::spawn_blocking(move || client.inner().fetch_metadata(None, wait)).await;
        let metadata = match metadata {
            Ok(Ok(metadata)) => metadata,
            Ok(Err(error)) => return Err(self.unreachable(&error.to_string())),
            Err(error) => return Err(self.unreachable(&error.to_string())),
        };
        let Some(found) = metadata.topics().iter().find(|topic| topic.name() == name) else {
            return Ok(None);
        };
        Ok(Some(Topic {
            partitions: found.partitions().len(),
            led: !found.partitions().is_empty() && found.partitions().iter().all(|partition| partition.leader() >= 0),
            settings: self.settings(name).await?,
        }))
    }

    /// The topic's configuration; empty if we may not read it, for that is no reason not to run.
    async fn settings(&self, name: &str) -> Result<BTreeMap<String, String>, Finding> {
        let options = AdminOptions::new().request_timeout(Some(self.limit));
        let topic = ResourceSpecifier::Topic(name);
        let asked = self.client.describe_configs([&topic], &options);
        let answer = match timeout_at(self.until, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(self.unreachable(&error.to_string())),
            Err(_) => return Err(self.unreachable(&format!("no answer within {} s", self.limit.as_secs()))),
        };
        match answer.into_iter().next() {
            Some(Ok(resource)) => Ok(resource
                .entries
                .into_iter()
                .filter_map(|entry| Some((entry.name, entry.value?)))
                .collect()),
            // The topic is so new that this broker has not heard of it.
            Some(Err(RDKafkaErrorCode::UnknownTopicOrPartition)) | None => Ok(BTreeMap::new()),
            Some(Err(code)) => {
                tracing::warn!(topic = name, %code, "the topic's configuration cannot be read");
                Ok(BTreeMap::new())
            }
        }
    }

    fn unreachable(&self, reason: &str) -> Finding {
        Finding::Unknown(format!(
            "no broker of {} answered within {} s: {reason}; check spec.kafka.bootstrapServers and the brokers",
            self.addresses,
            self.limit.as_secs()
        ))
    }

    /// What a topic that is there is like.
    fn judge(&self, name: &str, found: &Topic, wanted: Wanted) -> Finding {
        if let Some(count) = wanted.partitions
            && usize::try_from(count) != Ok(found.partitions)
        {
            return Finding::Differs(format!(
                "it has {} partitions, spec.kafka.partitions says {count}; the count is never changed, for keys would change \
                 their partition: use another topic, or make the Pipeline anew with partitions: {}",
                found.partitions, found.partitions
            ));
        }
        let alter = |setting: String| {
            format!(
                "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {name} --add-config {setting}",
                self.addresses
            )
        };
        if found
            .settings
            .get(CLEANUP_POLICY)
            .is_some_and(|policy| policy.contains("compact"))
        {
            return Finding::Differs(format!(
                "it is compacted, so records vanish before they are read: {}",
                alter(format!("{CLEANUP_POLICY}=delete"))
            ));
        }
        if let Some(longest) = found.longest_record()
            && longest < wanted.longest_record
        {
            return Finding::Differs(format!(
                "it takes records of at most {longest} bytes, the pipeline needs {}: {}",
                wanted.longest_record,
                alter(format!("{MAX_MESSAGE_BYTES}={}", wanted.longest_record))
            ));
        }
        Finding::Exists
    }
}

fn finding(outcome: Result<(Topic, Finding), Finding>) -> Finding {
    match outcome {
        Ok((_, finding)) | Err(finding) => finding,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn brokers() -> Brokers {
        Brokers::new("localhost:1", Management::External, Duration::from_secs(1)).expect("a client")
    }

    fn topic(partitions: usize, settings: &[(&str, &str)]) -> Topic {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Topic {
            partitions,
            led: true,
            settings,
        }
    }

    const WANTED: Wanted = Wanted {
        partitions: Some(6),
        longest_record: 500_000,
    };

    #[rstest]
    #[case::as_wanted(topic(6, &[(MAX_MESSAGE_BYTES, "1048588"), (CLEANUP_POLICY, "delete")]))]
    #[case::we_may_not_read_its_settings(topic(6, &[]))]
    #[tokio::test]
    async fn a_topic_that_fits_exists(#[case] found: Topic) {
        assert_eq!(brokers().judge("orders", &found, WANTED), Finding::Exists);
    }

    #[rstest]
    #[case::partitions(topic(3, &[]), "it has 3 partitions, spec.kafka.partitions says 6")]
    #[case::compacted(topic(6, &[(CLEANUP_POLICY, "compact,delete")]), "--entity-name orders --add-config cleanup.policy=delete")]
    #[case::too_short(topic(6, &[(MAX_MESSAGE_BYTES, "1000")]), "--add-config max.message.bytes=500000")]
    #[tokio::test]
    async fn what_differs_is_said_with_what_to_do(#[case] found: Topic, #[case] words: &str) {
        let Finding::Differs(message) = brokers().judge("orders", &found, WANTED) else {
            panic!("it differs");
        };
        assert!(message.contains(words), "{message}");
    }

    #[tokio::test]
    async fn brokers_that_are_not_there_leave_both_topics_unknown() {
        let settings = KafkaSettings {
            bootstrap_servers: vec!["127.0.0.1:1".to_owned()],
            topic: "orders".to_owned(),
            dead_letter_topic: "dlq.orders".to_owned(),
            tls: None,
        };
        let found = check(&settings, 6, Management::Managed, Duration::from_secs(1)).await;
        for dependency in found {
            let message = dependency.message.expect("words");
            assert!(message.contains("127.0.0.1:1"), "{message}");
        }
    }
}
