//! The gateway's life on brokers that answer late: ready, asked to stop, gone. Loopback only.

use std::time::{Duration, Instant};

use medallion_crds::Reason;
use medallion_crds::launch::KafkaSettings;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::living::{self, Life, post};
use crate::support::{SCHEMA, event};

const PATIENCE: Duration = Duration::from_mins(1);
/// How late the broker answers.
const LATE: Duration = Duration::from_millis(1500);

/// A gateway on brokers of its own.
async fn live(topic_exists: bool) -> (MockCluster<'static, DefaultProducerContext>, Life) {
    let cluster = MockCluster::new(1).expect("mock brokers");
    if topic_exists {
        cluster.create_topic("purchases", 3, 1).expect("a topic");
    }
    let kafka = KafkaSettings {
        bootstrap_servers: vec![cluster.bootstrap_servers()],
        topic: "purchases".to_owned(),
        dead_letter_topic: "dlq.purchases".to_owned(),
        ..KafkaSettings::default()
    };
    (cluster, living::live(SCHEMA, kafka, 1, 20).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_it_is_unready_at_once_and_answers_what_it_has_taken() {
    let (cluster, mut life) = live(true).await;
    tokio::time::timeout(PATIENCE, life.ready.wait_for(|ready| *ready))
        .await
        .expect("in time")
        .expect("ready");
    assert!(
        post(life.address, event("1"))
            .await
            .expect("an answer")
            .starts_with("HTTP/1.1 200")
    );

    cluster.broker_round_trip_time(1, LATE).expect("late");
    let waiting = tokio::spawn(post(life.address, event("2")));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished(), "the broker is late");
    life.shutdown.cancel();
    let asked = Instant::now();
    tokio::time::timeout(PATIENCE, life.ready.wait_for(|ready| !ready))
        .await
        .expect("in time")
        .expect("unready");
    assert!(asked.elapsed() < LATE / 2, "unready before anything else");
    // While it drains, clients that do not know of it yet are served.
    let during = tokio::spawn(post(life.address, event("3")));
    for answer in [waiting, during] {
        let answer = answer.await.expect("no panic").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let ended = tokio::time::timeout(PATIENCE, life.task).await.expect("an end in time");
    assert_eq!(ended.expect("no panic"), Ok(None));
    assert!(asked.elapsed() >= Duration::from_secs(1), "it has drained");
    assert!(post(life.address, event("4")).await.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_topic_it_is_not_ready_and_says_why() {
    let (_cluster, life) = live(false).await;
    let begun = Instant::now();
    let trouble = loop {
        if let Some(trouble) = life.progress.snapshot().work.trouble {
            break trouble;
        }
        assert!(begun.elapsed() < PATIENCE, "in vain");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(trouble.reason, Reason::TopicMissing);
    assert!(trouble.message.contains("purchases"), "{}", trouble.message);
    assert!(!*life.ready.borrow());
    life.shutdown.cancel();
    let ended = tokio::time::timeout(PATIENCE, life.task).await.expect("an end in time");
    assert_eq!(ended.expect("no panic"), Ok(None));
}
