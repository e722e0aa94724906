//! One fate for every record, whatever the table does. Loopback only.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use medallion_crds::Reason;
use rdkafka::Message;
use rdkafka::message::Headers;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rstest::rstest;
use worker_kit::ErrorClass;

use crate::support::{Brokers, DEAD_LETTERS, FlakyDeadLetters, MemoryTable, PARTITIONS, Running, event, eventually};

const ROOMY: usize = 8 << 20;
/// Longer than from one commit to the next, be it of marks or of an anchor that was not stored.
const ROUNDS: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_stored_duplicate_or_dead_and_all_offsets_are_committed() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    for number in 0..40 {
        brokers.produce(
            i32::try_from(number).expect("small") % PARTITIONS,
            &event(&number.to_string(), number),
        );
    }
    brokers.produce(0, &event("0", 0));
    brokers.produce(1, "poison");
    brokers.produce(2, &event("0", 0).replace("2024", "2023"));
    let running = Running::start(&brokers, &table, ROOMY);
    eventually("all settled", || {
        running.count("stored") + running.count("duplicate") + running.count("dead_lettered") == 43
    })
    .await;
    let counts = (running.count("stored"), running.count("dead_lettered"));
    running.stop().await.expect("a good end");
    // Of the three with one id, whichever came first is stored; the same data again is a duplicate, other data is dead.
    assert_eq!(counts.0, 40);
    assert_eq!(table.len(), 40);
    assert!((2..=3).contains(&counts.1), "poison, and one or two of the reused id");
    assert_eq!(brokers.committed(), [Some(11), Some(11), Some(11), Some(10)]);
}

#[rstest]
#[case::committing(
    RDKafkaApiKey::OffsetCommit,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    Reason::TopicAccessDenied,
    "--topic events;"
)]
#[case::committing_for_the_group(
    RDKafkaApiKey::OffsetCommit,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
    Reason::GroupAccessDenied,
    "--group "
)]
#[case::fetching(
    RDKafkaApiKey::Fetch,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    Reason::TopicAccessDenied,
    "--topic events;"
)]
#[case::joining(
    RDKafkaApiKey::JoinGroup,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
    Reason::GroupAccessDenied,
    "--group "
)]
#[tokio::test(flavor = "multi_thread")]
async fn what_the_brokers_do_not_allow_is_named_until_they_do(
    #[case] question: RDKafkaApiKey,
    #[case] answer: RDKafkaRespErr,
    #[case] denied: Reason,
    #[case] right: &str,
) {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    brokers.produce(0, &event("1", 1));
    brokers.deny(question, answer);
    let running = Running::start(&brokers, &table, ROOMY);
    eventually("the right is named", || {
        running.trouble_in_words().is_some_and(|(reason, message)| {
            reason == denied && message.contains("--operation Read") && message.contains(right)
        })
    })
    .await;
    brokers.allow(question);
    eventually("it goes on", || table.len() == 1 && running.trouble().is_none()).await;
    running.stop().await.expect("a good end");
    assert_eq!(brokers.committed()[0], Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_may_not_be_committed_are_named_while_records_come() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    brokers.deny(RDKafkaApiKey::OffsetCommit, refused);
    let running = Running::start(&brokers, &table, ROOMY);
    let is_named = || {
        let trouble = running.trouble_in_words();
        trouble.is_some_and(|(_, message)| message.contains("--topic events;"))
    };
    eventually("the right is named", is_named).await;
    for number in 0..20 {
        brokers.produce(0, &event(&number.to_string(), number));
        eventually("the record is stored", || table.len() == number + 1).await;
        assert!(is_named(), "a record says nothing of commits");
    }
    brokers.allow(RDKafkaApiKey::OffsetCommit);
    eventually("all is committed, and nothing is in the way", || {
        running.committed(0) == Some(20) && running.trouble().is_none()
    })
    .await;
    running.stop().await.expect("a good end");
}

/// A member that cannot begin would hold the others up, and end after a minute, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_learn_where_to_begin_stays_out_of_the_group_until_it_may() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    let first = Running::start(&brokers, &table, ROOMY);
    eventually("the first is assigned", || first.is_assigned()).await;
    let generation = first.generation();
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    brokers.deny(RDKafkaApiKey::OffsetFetch, refused);
    let second = Running::start(&brokers, &table, ROOMY);
    eventually("the right is named", || {
        let trouble = second.trouble_in_words();
        trouble.is_some_and(|(reason, message)| {
            reason == Reason::TopicAccessDenied && message.contains("--operation Read --topic events;")
        })
    })
    .await;
    tokio::time::sleep(ROUNDS).await;
    assert_eq!(first.generation(), generation, "the other one is not held up");
    brokers.allow(RDKafkaApiKey::OffsetFetch);
    eventually("it joins", || second.is_assigned() && second.trouble().is_none()).await;
    for running in [first, second] {
        running.stop().await.expect("a good end");
    }
}

/// Whatever were committed once more would be refused, and that be named.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_known_and_not_committed_again() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    for number in 0..3 {
        brokers.produce(0, &event(&number.to_string(), number));
    }
    let running = Running::start(&brokers, &table, ROOMY);
    eventually("what the brokers have stored is known", || {
        running.committed(0) == Some(3) && (1..PARTITIONS).all(|partition| running.committed(partition) == Some(0))
    })
    .await;
    eventually("the anchor is committed", || brokers.stamp(DEAD_LETTERS, 0).is_some()).await;
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    brokers.deny(RDKafkaApiKey::OffsetCommit, refused);
    let begun = Instant::now();
    eventually("many commits would have been due", || {
        assert_eq!(running.trouble(), None, "nothing is to be committed");
        begun.elapsed() > ROUNDS
    })
    .await;
    brokers.produce(0, &event("3", 3));
    eventually("news are committed", || {
        running
            .trouble_in_words()
            .is_some_and(|(reason, _)| reason == Reason::TopicAccessDenied)
    })
    .await;
    brokers.allow(RDKafkaApiKey::OffsetCommit);
    eventually("until they are", || {
        running.committed(0) == Some(4) && running.trouble().is_none()
    })
    .await;
    running.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_that_may_not_be_committed_is_named_until_it_may() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    // The first commit writes the marks down, the second one is the anchor's.
    let stored = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    brokers.cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[stored]);
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    brokers.deny(RDKafkaApiKey::OffsetCommit, refused);
    let running = Running::start(&brokers, &table, ROOMY);
    eventually("the right is named", || {
        running.trouble_in_words().is_some_and(|(reason, message)| {
            reason == Reason::TopicAccessDenied && message.contains("--operation Read --topic dlq.events;")
        })
    })
    .await;
    assert_eq!(brokers.stamp(DEAD_LETTERS, 0), None);
    brokers.allow(RDKafkaApiKey::OffsetCommit);
    eventually("it is committed, and nothing is in the way", || {
        brokers.stamp(DEAD_LETTERS, 0).is_some() && running.trouble().is_none()
    })
    .await;
    running.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_keeps_the_record_and_says_why() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    brokers.produce(3, &event("1", 1));
    brokers.produce(3, "poison");
    brokers.produce(3, &event("1", 1).replace("2024", "2023"));
    let running = Running::start(&brokers, &table, ROOMY);
    eventually("the poison is dead-lettered", || running.count("dead_lettered") == 2).await;
    running.stop().await.expect("a good end");
    let letters = brokers.dead_letters();
    let header = |letter: &rdkafka::message::OwnedMessage, name: &str| {
        let headers = letter.headers().expect("headers");
        let found = headers
            .iter()
            .find(|header| header.key == name)
            .and_then(|header| header.value);
        String::from_utf8(found.expect(name).to_vec()).expect("text")
    };
    assert_eq!(letters.len(), 2);
    let poison = letters
        .iter()
        .find(|letter| letter.payload() == Some(b"poison"))
        .expect("the poison");
    assert_eq!(poison.key(), Some(b"a key".as_slice()));
    assert_eq!(header(poison, "trace"), "t1");
    assert_eq!(header(poison, "__dlq.errors.class"), "MalformedJson");
    assert_eq!(
        (
            header(poison, "__dlq.errors.partition"),
            header(poison, "__dlq.errors.offset")
        ),
        ("3".into(), "1".into())
    );
    let classes: Vec<String> = letters
        .iter()
        .map(|letter| header(letter, "__dlq.errors.class"))
        .collect();
    assert!(classes.contains(&"EventIdReused".to_owned()), "{classes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_down_blocks_and_nothing_is_dead_lettered() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    table.down.store(true, Ordering::SeqCst);
    for number in 0..5 {
        brokers.produce(0, &event(&number.to_string(), number));
    }
    let running = Running::start(&brokers, &table, ROOMY);
    eventually("it says that it is blocked", || {
        running.trouble().as_deref() == Some("TableUnavailable")
    })
    .await;
    eventually("it tries again", || table.puts.load(Ordering::SeqCst) > 20).await;
    assert_eq!(
        brokers.committed()[0].unwrap_or(0),
        0,
        "nothing is settled, so nothing is committed"
    );
    table.down.store(false, Ordering::SeqCst);
    eventually("it goes on by itself", || running.count("stored") == 5).await;
    eventually("and says so", || running.trouble().is_none()).await;
    running.stop().await.expect("a good end");
    assert_eq!(brokers.dead_letters().len(), 0);
    assert_eq!(brokers.committed()[0], Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_dead_only_when_its_letter_is_acknowledged() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    let dead_letters = FlakyDeadLetters::new(&brokers);
    dead_letters.down.store(true, Ordering::SeqCst);
    brokers.produce(0, "poison");
    brokers.produce(0, &event("1", 1));
    let running = Running::start_with(&brokers, &table, ROOMY, dead_letters.clone());
    eventually("it says that it is blocked", || {
        running.trouble().as_deref() == Some("DeadLetterTopicUnavailable")
    })
    .await;
    eventually("the good record behind it is stored", || running.count("stored") == 1).await;
    // One commit is about all partitions: what another one shows was said of this one too.
    brokers.produce(1, &event("2", 2));
    eventually("another partition is committed", || brokers.committed()[1] == Some(1)).await;
    assert_eq!(
        brokers.committed()[0].unwrap_or(0),
        0,
        "the poison is not settled, so nothing is committed"
    );
    assert_eq!(running.count("dead_lettered"), 0);
    dead_letters.down.store(false, Ordering::SeqCst);
    eventually("all is committed", || brokers.committed()[0] == Some(2)).await;
    eventually("and nothing is in the way", || running.trouble().is_none()).await;
    running.stop().await.expect("a good end");
    assert_eq!(brokers.dead_letters().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_the_worker_instead_of_stopping_a_partition_in_silence() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    brokers.produce(0, &event("1", 1));
    brokers.produce(1, &event("2", 2));
    let running = Running::start(&brokers, &table, ROOMY);
    eventually("all are stored", || table.len() == 2).await;
    table.broken.store(true, Ordering::SeqCst);
    brokers.produce(0, &event("3", 3));
    let error = running.end().await.expect_err("it must end");
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::Environment, &Reason::RecordTaskPanicked)
    );
    assert_eq!(brokers.committed()[0], Some(1), "the record is read again");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_offset_is_committed_past_a_record_in_flight() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    table.held.lock().expect("held").push("3".to_owned());
    for number in 0..10 {
        brokers.produce(0, &event(&number.to_string(), number));
    }
    let running = Running::start(&brokers, &table, ROOMY);
    eventually("all others are stored", || running.count("stored") == 9).await;
    eventually("the settled prefix is committed", || brokers.committed()[0] == Some(3)).await;

    table.release();
    eventually("all are stored", || table.len() == 10).await;
    eventually("all is committed", || brokers.committed()[0] == Some(10)).await;
    running.stop().await.expect("a good end");
    assert_eq!(brokers.dead_letters().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_within_its_bounds_and_everything_arrives() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    table.down.store(true, Ordering::SeqCst);
    let padded = |number: usize| format!("{}{}", event(&number.to_string(), number), " ".repeat(100_000));
    for number in 0..40 {
        brokers.produce(0, &padded(number));
    }
    let running = Running::start(&brokers, &table, 1 << 20);
    eventually("it is blocked", || running.trouble().is_some()).await;
    let bytes = || {
        let text = running.metrics.text();
        let line = text
            .lines()
            .find(|line| line.starts_with("medallion_consumer_bytes_in_flight "))
            .expect("a gauge")
            .to_owned();
        line.rsplit(' ')
            .next()
            .expect("a value")
            .parse::<usize>()
            .expect("a number")
    };
    eventually("the bound is reached", || bytes() >= 1 << 20).await;
    assert!(bytes() < (1 << 20) + 200_000, "{} bytes in flight", bytes());
    table.down.store(false, Ordering::SeqCst);
    eventually("everything arrives", || table.len() == 40).await;
    running.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_offset_lies_beyond_the_log_halts_as_loss_risk() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    brokers.produce(1, &event("1", 1));
    brokers.commit(1, 500);
    let error = Running::start(&brokers, &table, ROOMY)
        .end()
        .await
        .expect_err("it must halt");
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::LossRisk, &Reason::OffsetsLost)
    );
    assert!(
        error.message.contains("partition 1") && error.message.contains("500"),
        "{error}"
    );
    assert!(
        error.message.contains("delete this pod"),
        "it says how to go on: {error}"
    );
    assert_eq!(table.len(), 0, "nothing was skipped and nothing was begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_dead_letter_topic_is_not_made_by_asking_for_it() {
    let brokers = Brokers::without_dead_letters();
    let table = Arc::new(MemoryTable::default());
    brokers.produce(0, "poison");
    let running = Running::start(&brokers, &table, ROOMY);
    eventually("it says that it is blocked", || {
        running.trouble().as_deref() == Some("DeadLetterTopicUnavailable")
    })
    .await;
    assert_eq!(running.count("dead_lettered"), 0);
    running.stop().await.expect("a good end");
}
