//! The questions put to librdkafka's mock brokers. Loopback only.

use std::time::{Duration, Instant};

use kafka_admin::topic_id;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::mocking::MockCluster;

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
