//! The questions put to librdkafka's mock brokers. Loopback only.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use kafka_admin::{commit_later, topic_id};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::mocking::MockCluster;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, ClientContext};

const PATIENCE: Duration = Duration::from_secs(20);

fn client(servers: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "group")
        .create()
        .expect("a client")
}

#[test]
fn a_topic_keeps_its_id_and_another_has_another() {
    let cluster = MockCluster::new(1).expect("mock brokers");
    for topic in ["orders", "payments"] {
        cluster.create_topic(topic, 2, 1).expect("a topic");
    }
    let client = client(&cluster.bootstrap_servers());
    let id = |topic| {
        topic_id(client.client(), topic, PATIENCE)
            .expect("an answer")
            .expect("an id")
    };
    let (orders, payments) = (id("orders"), id("payments"));
    assert_ne!(orders, payments);
    assert_eq!(orders, id("orders"));
    assert_eq!(orders.len(), 22, "{orders}");
}

#[test]
fn a_topic_that_is_not_there_is_told_and_not_made() {
    let cluster = MockCluster::new(1).expect("mock brokers");
    let client = client(&cluster.bootstrap_servers());
    for _ in 0..2 {
        let error = topic_id(client.client(), "nowhere", PATIENCE).expect_err("there is none");
        let expected = KafkaError::AdminOp(RDKafkaErrorCode::UnknownTopicOrPartition);
        assert_eq!(error, expected);
    }
}

#[test]
fn brokers_that_do_not_answer_keep_nobody_waiting() {
    let client = client("127.0.0.1:1");
    let begun = Instant::now();
    topic_id(client.client(), "orders", Duration::from_secs(1)).expect_err("nobody answers");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_name_that_no_topic_has_is_an_error_and_no_crash() {
    let cluster = MockCluster::new(1).expect("mock brokers");
    let client = client(&cluster.bootstrap_servers());
    for name in ["", "a\0b"] {
        topic_id(client.client(), name, PATIENCE).expect_err("no topic");
    }
}

/// Passes on how commits end.
struct Told(Sender<(KafkaResult<()>, Vec<i64>)>);

impl ClientContext for Told {}

impl ConsumerContext for Told {
    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let elements = offsets.elements();
        let all = elements
            .iter()
            .filter_map(|element| element.offset().to_raw())
            .collect();
        self.0.send((result, all)).expect("somebody listens");
    }
}

fn told(client: &BaseConsumer<Told>, ends: &Receiver<(KafkaResult<()>, Vec<i64>)>) -> (KafkaResult<()>, Vec<i64>) {
    let begun = Instant::now();
    loop {
        if let Ok(end) = ends.try_recv() {
            return end;
        }
        assert!(begun.elapsed() < PATIENCE, "nothing is told");
        // No topic is read, so it brings no record; it is what tells.
        let _ = client.poll(Duration::from_millis(50));
    }
}

#[test]
fn how_a_commit_ends_that_nobody_waits_for_is_told_in_a_poll() {
    let cluster = MockCluster::new(1).expect("mock brokers");
    cluster.create_topic("orders", 1, 1).expect("a topic");
    let (sender, ends) = channel();
    let client: BaseConsumer<Told> = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "group")
        .create_with_context(Told(sender))
        .expect("a client");
    let commit = |offset| {
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset("orders", 0, Offset::Offset(offset))
            .expect("an offset");
        commit_later(&client, &offsets).expect("begun");
    };

    commit(7);
    assert_eq!(told(&client, &ends), (Ok(()), vec![7]));

    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[denied]);
    commit(8);
    let expected = KafkaError::ConsumerCommit(RDKafkaErrorCode::TopicAuthorizationFailed);
    assert_eq!(told(&client, &ends), (Err(expected), vec![8]));
}

#[test]
fn a_consumer_without_a_group_commits_nothing_and_does_not_crash() {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", "127.0.0.1:1")
        .create()
        .expect("a client");
    commit_later(&client, &TopicPartitionList::new()).expect_err("it has no group");
}
