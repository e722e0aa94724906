//! The topic and its dead-letter topic: verified, or created. Talks to Kafka.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_admin::{Operation, describe_topic};
use kafka_client::{KafkaContext, Resource, code_of};
use medallion_contract::MAX_EVENT_BYTES;
use medallion_crds::launch::KafkaSettings;
use medallion_crds::pipeline::Management;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use tokio::time::{Instant, sleep, timeout_at};

use crate::finding::{Finding, OR_MANAGED};

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

/// Whether a topic may be described is asked for so long.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
const CLEANUP_POLICY: &str = "cleanup.policy";
const MIN_IN_SYNC: &str = "min.insync.replicas";
/// How a client leaves the copies of a new topic to the cluster.
const THE_CLUSTERS: i32 = -1;
const UNCLEAN_ELECTION: &str = "unclean.leader.election.enable";

/// What a topic is like.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Topic {
    partitions: usize,
    /// Copies of each record, of the partition with the fewest.
    replicas: usize,
    /// Whether every partition has a leader.
    led: bool,
    /// Absent if the broker does not say.
    settings: BTreeMap<String, String>,
    /// Why none of them could be read, if we may not.
    denied: Option<String>,
}

impl Topic {
    fn longest_record(&self) -> Option<i64> {
        self.settings.get(MAX_MESSAGE_BYTES)?.parse().ok()
    }

    fn min_in_sync(&self) -> Option<i32> {
        self.settings.get(MIN_IN_SYNC)?.parse().ok()
    }
}

/// What a topic must be like.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// At least so many; `None`: any number.
    partitions: Option<i32>,
    /// `None`: the cluster decides.
    copies: Option<i32>,
    longest_record: i64,
}

/// With how many copies a record is acknowledged: with all but one, so that one broker may be lost or be away. With fewer
/// than three copies that would be all or one, and then a broker that is away must not stop everything.
const fn min_in_sync(replication_factor: i32) -> i32 {
    if replication_factor >= 3 {
        replication_factor - 1
    } else {
        1
    }
}

/// What a topic that has just been made is like.
fn created(partitions: i32, copies: Option<i32>, found: &Topic) -> String {
    let copies = match copies {
        Some(copies) => format!("{copies}, acknowledged with {}", min_in_sync(copies)),
        None => format!("{}, as the cluster decides", found.replicas),
    };
    format!("created, partitions: {partitions}, copies of each record: {copies}")
}

/// Verifies both topics, or creates them.
pub async fn check(
    client: AdminClient<KafkaContext>,
    kafka: &KafkaSettings,
    partitions: i32,
    copies: Option<i32>,
    management: Management,
    limit: Duration,
) -> [Finding; 2] {
    let brokers = Brokers::new(client, kafka, management, limit);
    brokers.check(kafka, partitions, copies).await
}

struct Brokers {
    client: Arc<AdminClient<KafkaContext>>,
    addresses: String,
    management: Management,
    limit: Duration,
    until: Instant,
}

impl Brokers {
    fn new(client: AdminClient<KafkaContext>, kafka: &KafkaSettings, management: Management, limit: Duration) -> Self {
        Self {
            client: Arc::new(client),
            addresses: kafka.bootstrap_servers.join(","),
            management,
            limit,
            until: Instant::now() + limit,
        }
    }

    async fn check(mut self, settings: &KafkaSettings, partitions: i32, copies: Option<i32>) -> [Finding; 2] {
        let least = i64::try_from(MAX_EVENT_BYTES)
            .unwrap_or(i64::MAX)
            .saturating_add(RECORD_OVERHEAD);
        let wanted = Wanted {
            partitions: Some(partitions),
            copies,
            longest_record: least,
        };
        let in_sync = copies.map(|copies| min_in_sync(copies).to_string());
        let in_sync = in_sync.as_deref().map(|count| (MIN_IN_SYNC, count));
        let settings_of_new = Vec::from_iter(in_sync);
        let topic = self.verify_or_create(&settings.topic, wanted, &settings_of_new).await;
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
            copies,
            longest_record: longest.saturating_add(RECORD_OVERHEAD),
        };
        let bytes = longest.saturating_add(DEAD_LETTER_ROOM).to_string();
        // Dead letters wait for a person, however long that takes.
        let mut settings_of_new = vec![
            (MAX_MESSAGE_BYTES, bytes.as_str()),
            ("retention.ms", "-1"),
            (CLEANUP_POLICY, "delete"),
        ];
        settings_of_new.extend(in_sync);
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
                "the topic is not there: kafka-topics.sh --bootstrap-server {} --create --topic {name} --partitions {count}{}{}, \
                 {OR_MANAGED}",
                self.addresses,
                wanted
                    .copies
                    .map(|copies| format!(" --replication-factor {copies}"))
                    .unwrap_or_default(),
                options.collect::<String>()
            )));
        }
        let copies = TopicReplication::Fixed(wanted.copies.unwrap_or(THE_CLUSTERS));
        let new = settings_of_new
            .iter()
            .fold(NewTopic::new(name, count, copies), |topic, (name, value)| {
                topic.set(name, value)
            });
        let refusal = self.create(new).await;
        // Whatever the answer was (somebody was faster, the answer was lost), the brokers' metadata says.
        loop {
            match (self.look(name).await?, &refusal) {
                (Some(found), None) if found.led => {
                    // A broker that does not know the new topic yet has no settings of it either.
                    let known = Topic {
                        denied: None,
                        ..found.clone()
                    };
                    let created = match self.judge(name, &known, wanted) {
                        Finding::Exists => Finding::Created(created(count, wanted.copies, &found)),
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
            Ok(Ok(results)) => results.into_iter().find_map(Result::err).map(|(_, code)| match code {
                RDKafkaErrorCode::InvalidReplicationFactor => format!(
                    "{code}: there are fewer brokers than copies; add brokers, or say in spec.kafka.replicationFactor \
                         with how many copies records are safe enough, 1 for a single broker that may be lost"
                ),
                RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => {
                    self.denied(topic.name, Operation::Create)
                }
                code => code.to_string(),
            }),
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
            return self.describable(name).await.map(|()| None);
        };
        let mut topic = Topic {
            partitions: found.partitions().len(),
            replicas: found
                .partitions()
                .iter()
                .map(|partition| partition.replicas().len())
                .min()
                .unwrap_or_default(),
            led: !found.partitions().is_empty() && found.partitions().iter().all(|partition| partition.leader() >= 0),
            ..Topic::default()
        };
        (topic.settings, topic.denied) = self.settings(name).await?;
        Ok(Some(topic))
    }

    /// Brokers list no topic that we may not describe, so one that is not listed may be there all the same.
    async fn describable(&self, name: &str) -> Result<(), Finding> {
        let (client, topic) = (Arc::clone(&self.client), name.to_owned());
        let wait = self.limit.min(DESCRIBE_TIMEOUT);
        let asked = tokio::task::spawn_blocking(move || describe_topic(client.inner(), &topic, wait)).await;
        match asked {
            Ok(Err(error)) if code_of(&error) == Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                Err(Finding::Unknown(self.denied(name, Operation::Describe)))
            }
            _ => Ok(()),
        }
    }

    fn denied(&self, name: &str, operation: Operation) -> String {
        let context = self.client.inner().context();
        context.denied(Resource::Topic(name), &[operation]).to_string()
    }

    /// The topic's configuration; empty if we may not read it, and why then, for that is no reason not to run.
    async fn settings(&self, name: &str) -> Result<(BTreeMap<String, String>, Option<String>), Finding> {
        let options = AdminOptions::new().request_timeout(Some(self.limit));
        let topic = ResourceSpecifier::Topic(name);
        let asked = self.client.describe_configs([&topic], &options);
        let answer = match timeout_at(self.until, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(self.unreachable(&error.to_string())),
            Err(_) => return Err(self.unreachable(&format!("no answer within {} s", self.limit.as_secs()))),
        };
        let denied = || Some(self.denied(name, Operation::DescribeConfigs));
        match answer.into_iter().next() {
            // The library keeps a refusal to itself, and a topic that may be read has settings.
            Some(Ok(resource)) if resource.entries.is_empty() => Ok((BTreeMap::new(), denied())),
            Some(Ok(resource)) => {
                let entries = resource.entries.into_iter();
                let settings = entries.filter_map(|entry| Some((entry.name, entry.value?)));
                Ok((settings.collect(), None))
            }
            // The topic is so new that this broker does not know it yet.
            Some(Err(RDKafkaErrorCode::UnknownTopicOrPartition)) | None => Ok((BTreeMap::new(), None)),
            Some(Err(RDKafkaErrorCode::TopicAuthorizationFailed)) => Ok((BTreeMap::new(), denied())),
            Some(Err(code)) => {
                tracing::warn!(topic = name, %code, "the topic's configuration cannot be read");
                Ok((BTreeMap::new(), None))
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
        let mut notes = Vec::new();
        if let Some(count) = wanted.partitions {
            match found.partitions.cmp(&usize::try_from(count).unwrap_or_default()) {
                Ordering::Less => {
                    return Finding::Differs(format!(
                        "it has {} partitions, spec.kafka.partitions says {count}; the count is never changed, for keys \
                         would change their partition: use another topic, or make the Pipeline anew with partitions: {}",
                        found.partitions, found.partitions
                    ));
                }
                Ordering::Greater => notes.push(format!(
                    "it has {} partitions, spec.kafka.partitions says {count}: all are read; where they were added later, \
                     events of one key from before and after may pass each other",
                    found.partitions
                )),
                Ordering::Equal => {}
            }
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
        if let Some(copies) = wanted.copies {
            notes.extend(safety(found, copies, &alter));
        }
        notes.extend(
            found
                .denied
                .iter()
                .map(|denied| format!("its settings are not checked: {denied}")),
        );
        Finding::with_notes(&notes)
    }
}

/// What somebody should know about how safe an acknowledged record is; nothing where the spec asks for one copy.
fn safety(found: &Topic, replication_factor: i32, alter: &impl Fn(String) -> String) -> Vec<String> {
    if replication_factor < 2 {
        return Vec::new();
    }
    let copies = i32::try_from(found.replicas).unwrap_or(i32::MAX);
    if copies == 1 {
        return vec![format!(
            "it has one copy of each record, spec.kafka.replicationFactor says {replication_factor}: what is acknowledged is \
             lost with its broker; give it more by kafka-reassign-partitions.sh, or say replicationFactor: 1"
        )];
    }
    let mut notes = Vec::new();
    if copies < replication_factor {
        notes.push(format!(
            "it has {copies} copies of each record, spec.kafka.replicationFactor says {replication_factor}: fewer brokers may \
             be lost or be away than is asked for; give it more by kafka-reassign-partitions.sh, or say replicationFactor: \
             {copies}"
        ));
    }
    // Of the copies that there are: more than fit beside a broker that is away would stop everything.
    let wanted = min_in_sync(replication_factor.min(copies));
    if let Some(acknowledged_with) = found.min_in_sync().filter(|count| *count < wanted) {
        notes.push(format!(
            "it acknowledges a record when {acknowledged_with} of {copies} brokers have it, so what is acknowledged can be \
             lost with one: {}",
            alter(format!("{MIN_IN_SYNC}={wanted}"))
        ));
    }
    if found
        .settings
        .get(UNCLEAN_ELECTION)
        .is_some_and(|value| value == "true")
    {
        notes.push(format!(
            "it lets a broker lead that does not have all records, so what is acknowledged can be lost when others are away: {}",
            alter(format!("{UNCLEAN_ELECTION}=false"))
        ));
    }
    notes
}

fn finding(outcome: Result<(Topic, Finding), Finding>) -> Finding {
    match outcome {
        Ok((_, finding)) | Err(finding) => finding,
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rstest::rstest;

    use super::*;

    fn kafka() -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: vec!["127.0.0.1:1".to_owned()],
            topic: "orders".to_owned(),
            dead_letter_topic: "dlq.orders".to_owned(),
            ..KafkaSettings::default()
        }
    }

    fn client(kafka: &KafkaSettings) -> AdminClient<KafkaContext> {
        let brokers = kafka_client::Brokers::without_tokens(kafka);
        let snapshot = brokers.read().expect("nothing is mounted");
        snapshot.admin(&snapshot.client("provisioner")).expect("a client")
    }

    fn brokers() -> Brokers {
        Brokers::new(client(&kafka()), &kafka(), Management::External, Duration::from_secs(1))
    }

    fn topic(partitions: usize, settings: &[(&str, &str)]) -> Topic {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Topic {
            partitions,
            replicas: 3,
            led: true,
            settings,
            denied: None,
        }
    }

    const WANTED: Wanted = Wanted {
        partitions: Some(6),
        copies: Some(3),
        longest_record: 500_000,
    };

    #[rstest]
    #[case::as_wanted(topic(6, &[(MAX_MESSAGE_BYTES, "1048588"), (CLEANUP_POLICY, "delete")]))]
    #[case::the_broker_says_nothing_of_its_settings(topic(6, &[]))]
    #[tokio::test]
    async fn a_topic_that_fits_exists(#[case] found: Topic) {
        assert_eq!(brokers().judge("orders", &found, WANTED), Finding::Exists);
    }

    #[rstest]
    #[case::more_partitions(topic(9, &[]), 3, "it has 9 partitions, spec.kafka.partitions says 6")]
    #[case::acknowledged_by_one(topic(6, &[(MIN_IN_SYNC, "1")]), 3, "--add-config min.insync.replicas=2")]
    #[case::one_copy(Topic { replicas: 1, ..topic(6, &[(MIN_IN_SYNC, "1")]) }, 3, "replicationFactor: 1")]
    #[case::both(topic(7, &[(MIN_IN_SYNC, "1")]), 3, "min.insync.replicas=2")]
    #[case::led_by_any(topic(6, &[(UNCLEAN_ELECTION, "true")]), 3, "--add-config unclean.leader.election.enable=false")]
    #[case::five_copies(Topic { replicas: 5, ..topic(6, &[(MIN_IN_SYNC, "2")]) }, 5, "min.insync.replicas=4")]
    #[case::three_of_five(topic(6, &[(MIN_IN_SYNC, "1")]), 5, "min.insync.replicas=2")]
    #[case::two_of_three(Topic { replicas: 2, ..topic(6, &[(MIN_IN_SYNC, "1")]) }, 3, "replicationFactor: 2")]
    #[case::we_may_not_read_its_settings(
        Topic { denied: Some("TopicAccessDenied: why".to_owned()), ..topic(6, &[]) },
        3,
        "its settings are not checked: TopicAccessDenied: why"
    )]
    #[case::two_of_three_in_sync(Topic { replicas: 2, ..topic(6, &[(MIN_IN_SYNC, "2")]) }, 3, "it has 2 copies")]
    #[tokio::test]
    async fn what_somebody_should_know_is_told_and_stops_nothing(
        #[case] found: Topic,
        #[case] replication_factor: i32,
        #[case] words: &str,
    ) {
        let wanted = Wanted {
            copies: Some(replication_factor),
            ..WANTED
        };
        let finding = brokers().judge("orders", &found, wanted);
        let Finding::Noted(message) = finding else {
            panic!("{finding:?}");
        };
        assert!(message.contains(words), "{message}");
    }

    /// With one of two brokers away it would acknowledge nothing.
    #[tokio::test]
    async fn nobody_is_told_to_let_a_single_broker_stop_everything() {
        let found = Topic {
            replicas: 2,
            ..topic(6, &[(MIN_IN_SYNC, "1")])
        };
        let Finding::Noted(message) = brokers().judge("orders", &found, WANTED) else {
            panic!("a copy is missing");
        };
        assert!(message.contains("spec.kafka.replicationFactor says 3"), "{message}");
        assert!(!message.contains(MIN_IN_SYNC), "{message}");
    }

    #[rstest]
    #[case::two_of_three(topic(6, &[(MIN_IN_SYNC, "2")]), 3)]
    #[case::three_of_three(topic(6, &[(MIN_IN_SYNC, "3")]), 3)]
    #[case::led_by_who_has_all(topic(6, &[(MIN_IN_SYNC, "2"), (UNCLEAN_ELECTION, "false")]), 3)]
    #[case::a_single_broker_that_always_leads(Topic { replicas: 1, ..topic(6, &[(UNCLEAN_ELECTION, "true")]) }, 1)]
    #[case::one_of_two(topic(6, &[(MIN_IN_SYNC, "1")]), 2)]
    #[case::a_single_broker_that_is_said(Topic { replicas: 1, ..topic(6, &[(MIN_IN_SYNC, "1")]) }, 1)]
    #[tokio::test]
    async fn a_topic_that_is_as_safe_as_is_asked_needs_no_words(#[case] found: Topic, #[case] replication_factor: i32) {
        let wanted = Wanted {
            copies: Some(replication_factor),
            ..WANTED
        };
        assert_eq!(brokers().judge("orders", &found, wanted), Finding::Exists);
    }

    #[rstest]
    #[case::one_copy(Topic { replicas: 1, ..topic(6, &[(MIN_IN_SYNC, "1")]) })]
    #[case::acknowledged_by_one(topic(6, &[(MIN_IN_SYNC, "1"), (UNCLEAN_ELECTION, "true")]))]
    #[tokio::test]
    async fn what_the_cluster_decides_is_not_judged(#[case] found: Topic) {
        let wanted = Wanted { copies: None, ..WANTED };
        assert_eq!(brokers().judge("orders", &found, wanted), Finding::Exists);
        let compacted = topic(6, &[(CLEANUP_POLICY, "compact")]);
        assert!(
            matches!(brokers().judge("orders", &compacted, wanted), Finding::Differs(_)),
            "the rest is"
        );
    }

    #[test]
    fn a_new_topic_survives_the_loss_of_one_broker_where_it_can() {
        assert_eq!([1, 2, 3, 4].map(min_in_sync), [1, 1, 2, 3]);
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

    /// What a person is to run makes the topics that we would make.
    #[rstest]
    #[case::of_three_copies(3, 2)]
    #[case::of_five_copies(5, 4)]
    #[case::of_two_copies(2, 1)]
    #[case::of_one_copy(1, 1)]
    #[tokio::test(flavor = "multi_thread")]
    async fn topics_that_are_missing_are_to_be_as_safe_as_is_asked(#[case] copies: i32, #[case] in_sync: i32) {
        let cluster = MockCluster::new(1).expect("mock brokers");
        let kafka = KafkaSettings {
            bootstrap_servers: vec![cluster.bootstrap_servers()],
            ..kafka()
        };
        let limit = Duration::from_secs(20);
        let found = check(client(&kafka), &kafka, 6, Some(copies), Management::External, limit).await;
        for (finding, topic) in found
            .into_iter()
            .zip(["orders --partitions 6", "dlq.orders --partitions 1"])
        {
            let Finding::Missing(message) = finding else {
                panic!("{finding:?}");
            };
            for words in [
                format!("--create --topic {topic} --replication-factor {copies} "),
                format!("--config min.insync.replicas={in_sync}"),
            ] {
                assert!(message.replace(',', " ").contains(&words), "{words}: {message}");
            }
        }
    }

    #[tokio::test]
    async fn brokers_that_are_not_there_leave_both_topics_unknown() {
        let found = check(
            client(&kafka()),
            &kafka(),
            6,
            Some(3),
            Management::Managed,
            Duration::from_secs(1),
        )
        .await;
        for finding in found {
            let Finding::Unknown(message) = finding else {
                panic!("{finding:?}");
            };
            assert!(message.contains("127.0.0.1:1"), "{message}");
        }
    }
}
