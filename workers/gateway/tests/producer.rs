//! The producer against librdkafka's own mock brokers. Loopback only.

use std::time::{Duration, Instant};

use gateway::{KafkaPublisher, PublishError, Publisher};
use kafka_client::{Brokers, Fatal};
use medallion_crds::Reason;
use medallion_crds::launch::KafkaSettings;
use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

fn cluster() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).expect("mock brokers");
    cluster.create_topic("purchases", 3, 1).expect("a topic");
    cluster
}

fn publisher(cluster: &MockCluster<'static, DefaultProducerContext>, buffer_bytes: usize) -> KafkaPublisher {
    let settings = KafkaSettings {
        bootstrap_servers: vec![cluster.bootstrap_servers()],
        topic: "purchases".to_owned(),
        dead_letter_topic: "dlq.purchases".to_owned(),
        ..KafkaSettings::default()
    };
    let brokers = Brokers::without_tokens(&settings);
    KafkaPublisher::new(brokers, "v1", Duration::from_secs(2), buffer_bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_event_stands_in_the_topic_with_key_and_contract() {
    let cluster = cluster();
    let publisher = publisher(&cluster, 1 << 20);
    publisher.probe(Duration::from_secs(5)).expect("the topic is there");
    let deliveries: Vec<_> = (0..100)
        .map(|number| publisher.publish(&format!("k{number}"), b"{\"a\": 1}").expect("queued"))
        .collect();
    for delivery in deliveries {
        delivery.await.expect("acknowledged");
    }

    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "test")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    consumer.subscribe(&["purchases"]).expect("subscribed");
    let mut keys = std::collections::BTreeSet::new();
    let begun = Instant::now();
    while keys.len() < 100 {
        assert!(begun.elapsed() < Duration::from_secs(30), "records in vain");
        // A poll also ends without a record when the group has news.
        let Some(message) = consumer.poll(Duration::from_secs(1)) else {
            continue;
        };
        let message = message.expect("a record");
        assert_eq!(message.payload(), Some(b"{\"a\": 1}".as_slice()));
        let header = message.headers().expect("headers").get(0);
        assert_eq!(
            (header.key, header.value),
            ("medallion-contract-version", Some(b"v1".as_slice()))
        );
        keys.insert(message.key().expect("a key").to_vec());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_makes_events_unknown_within_their_time() {
    let cluster = cluster();
    let publisher = publisher(&cluster, 1 << 20);
    publisher
        .publish("k", b"{}")
        .expect("queued")
        .await
        .expect("acknowledged");
    cluster.broker_down(1).expect("down");
    let begun = Instant::now();
    let outcome = publisher.publish("k", b"{}").expect("queued").await;
    assert!(matches!(outcome, Err(PublishError::Unknown(_))), "{outcome:?}");
    // By itself librdkafka tries for five minutes; a machine that does other things too may be some seconds late.
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(publisher.probe(Duration::from_millis(500)).is_err());
    cluster.broker_up(1).expect("up");
    publisher
        .publish("k", b"{}")
        .expect("queued")
        .await
        .expect("acknowledged after the broker is back");
    assert_eq!(publisher.fatal(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_produce_is_acknowledged_once() {
    let cluster = cluster();
    let publisher = publisher(&cluster, 1 << 20);
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        ],
    );
    publisher
        .publish("k", b"{}")
        .expect("queued")
        .await
        .expect("acknowledged after retries");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_says_so_at_once() {
    let cluster = cluster();
    cluster.broker_down(1).expect("down");
    let publisher = publisher(&cluster, 64 * 1024);
    let payload = vec![b' '; 16 * 1024];
    let refused = (0..10).find_map(|_| publisher.publish("k", &payload).err());
    assert_eq!(refused, Some(PublishError::Full));
}

#[tokio::test(flavor = "multi_thread")]
async fn small_events_fill_the_queue_by_their_number() {
    let cluster = cluster();
    cluster.broker_down(1).expect("down");
    let publisher = publisher(&cluster, 64 * 1024);
    let taken = (0..1000).take_while(|_| publisher.publish("k", b"{}").is_ok()).count();
    assert_eq!(taken, 64, "one for each kilobyte of the buffer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_may_not_begin_says_why_and_the_next_one_may() {
    let cluster = cluster();
    let denied = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED; 3];
    cluster.request_errors(RDKafkaApiKey::InitProducerId, &denied);
    let publisher = publisher(&cluster, 1 << 20);
    let begun = Instant::now();
    let fatal = loop {
        if let Some(fatal) = publisher.fatal() {
            break fatal;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "in vain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let Fatal::Denied(why) = fatal else {
        panic!("{fatal:?}");
    };
    assert_eq!(why.reason, Reason::TopicAccessDenied);
    assert!(why.message.contains("--operation Write --topic purchases;"), "{why}");
    cluster.clear_request_errors(RDKafkaApiKey::InitProducerId);
    publisher.renew().expect("the producer of before").wait();
    publisher
        .publish("k", b"{}")
        .expect("queued")
        .await
        .expect("acknowledged");
    assert_eq!(publisher.fatal(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_we_may_not_write_to_is_named() {
    let cluster = cluster();
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::Produce, &[denied; 10]);
    let publisher = publisher(&cluster, 1 << 20);
    let outcome = publisher.publish("k", b"{}").expect("queued").await;
    let Err(PublishError::Refused(why)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(why.message.contains("--operation Write --topic purchases;"), "{why}");
    cluster.topic_error("purchases", denied).expect("set");
    let error = publisher.probe(Duration::from_secs(5)).expect_err("denied");
    assert_eq!(error.reason, Reason::TopicAccessDenied, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_is_not_made_by_asking_for_it() {
    let cluster = MockCluster::new(1).expect("mock brokers");
    let publisher = publisher(&cluster, 1 << 20);
    for _ in 0..2 {
        let error = publisher.probe(Duration::from_secs(5)).expect_err("missing");
        assert!(error.message.contains("purchases"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_is_named() {
    let cluster = cluster();
    cluster
        .topic_error("purchases", RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        .expect("topic error");
    let error = publisher(&cluster, 1 << 20)
        .probe(Duration::from_secs(5))
        .expect_err("missing");
    assert!(error.message.contains("purchases"), "{error}");
}
