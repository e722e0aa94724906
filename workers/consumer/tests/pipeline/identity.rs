//! A position is of one topic and one owner: nothing is gone on from that is another's. Loopback only.

use std::sync::Arc;

use consumer::Source;
use kafka_admin::Stamp;
use medallion_crds::Reason;
use worker_kit::{ErrorClass, WorkerError};

use crate::support::{
    Brokers, DEAD_LETTERS, MemoryTable, OWNER, PARTITIONS, Running, SetNames, TOPIC, event, eventually,
};

const OTHER: &str = "0b7c/shop/payments";

fn stamp(owner: &str, topic_id: &str) -> Stamp {
    Stamp {
        owner: owner.to_owned(),
        topic_id: Some(topic_id.to_owned()),
    }
}

fn events(brokers: &Brokers, count: usize) {
    for number in 0..count {
        brokers.produce(0, &event(&number.to_string(), number));
    }
}

fn adopting(brokers: &Brokers, adopt: &str) -> Source {
    Source {
        adopt: vec![adopt.to_owned()],
        ..Running::source(brokers)
    }
}

fn naming(brokers: &Brokers, names: &Arc<SetNames>) -> Source {
    Source {
        names: names.clone(),
        ..Running::source(brokers)
    }
}

fn is_replaced(error: &WorkerError) -> bool {
    (error.class, &error.reason) == (ErrorClass::LossRisk, &Reason::TopicReplaced)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_is_committed_with_its_owner_and_its_topics_id() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    events(&brokers, 3);
    let running = Running::start_from(&brokers, &table, Running::source(&brokers));
    eventually("all is committed", || brokers.committed()[0] == Some(3)).await;
    let expected = Some(stamp(OWNER, &brokers.topic_id()));
    for partition in 0..PARTITIONS {
        assert_eq!(brokers.stamp(TOPIC, partition), expected, "also where nothing was read");
    }
    eventually("the anchor is committed", || brokers.stamp(DEAD_LETTERS, 0) == expected).await;
    running.stop().await.expect("a good end");
    let running = Running::start_from(&brokers, &table, Running::source(&brokers));
    events(&brokers, 5);
    eventually("its successor goes on", || brokers.committed()[0] == Some(8)).await;
    assert_eq!(running.count("duplicate"), 3, "from where the first one stopped");
    running.stop().await.expect("a good end");
}

/// Also with more records than the old topic had, which its offset alone would not show.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_while_nobody_read_halts_until_it_is_accepted_by_its_id() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    events(&brokers, 40);
    brokers.commit_with(TOPIC, 0, 25, &stamp(OWNER, "the-old-one").to_metadata());
    for adopt in ["topic/the-old-one", OWNER] {
        let running = Running::start_from(&brokers, &table, adopting(&brokers, adopt));
        let error = running.end().await.expect_err("it must halt");
        assert!(is_replaced(&error), "{error}");
        let words = format!("medallion.dev/adopt: topic/{}", brokers.topic_id());
        assert!(error.message.contains(&words), "{error}");
    }
    assert_eq!(
        (table.len(), brokers.committed()[0]),
        (0, Some(25)),
        "nothing was begun"
    );

    let accepted = format!("topic/{}", brokers.topic_id());
    let running = Running::start_from(&brokers, &table, adopting(&brokers, &accepted));
    eventually("all of the new topic is stored", || table.len() == 40).await;
    eventually("and committed", || brokers.committed()[0] == Some(40)).await;
    running.stop().await.expect("a good end");
    assert_eq!(brokers.stamp(TOPIC, 0), Some(stamp(OWNER, &brokers.topic_id())));

    let running = Running::start_from(&brokers, &table, adopting(&brokers, &accepted));
    eventually("its successor knows its partitions", || running.is_assigned()).await;
    events(&brokers, 1);
    eventually("and goes on", || brokers.committed()[0] == Some(41)).await;
    assert_eq!(running.count("duplicate"), 1, "the acceptance was for once");
    running.stop().await.expect("a good end");
}

/// Brokers delete a topic's offsets with it, and would leave a group that looks new.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_is_known_though_its_offsets_went_with_it() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    events(&brokers, 10);
    brokers.commit_with(DEAD_LETTERS, 0, 0, &stamp(OWNER, "the-old-one").to_metadata());
    let running = Running::start_from(&brokers, &table, Running::source(&brokers));
    let error = running.end().await.expect_err("it must halt");
    assert!(is_replaced(&error), "{error}");
    assert_eq!(table.len(), 0);

    let accepted = format!("topic/{}", brokers.topic_id());
    let running = Running::start_from(&brokers, &table, adopting(&brokers, &accepted));
    eventually("all is stored", || table.len() == 10).await;
    let expected = Some(stamp(OWNER, &brokers.topic_id()));
    eventually("the anchor moves on", || brokers.stamp(DEAD_LETTERS, 0) == expected).await;
    running.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_under_a_live_consumer_halts_it_and_its_successors() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    let names = SetNames::new("first");
    events(&brokers, 5);
    let running = Running::start_from(&brokers, &table, naming(&brokers, &names));
    eventually("all is stored", || table.len() == 5).await;
    names.make_anew("second");
    // The client library goes on at the old offset by itself.
    brokers.produce(0, &event("of the second", 7));
    let error = running.end().await.expect_err("it must halt");
    assert!(is_replaced(&error), "{error}");
    let committed = brokers.stamp(TOPIC, 0);
    assert_eq!(
        committed,
        Some(stamp(OWNER, "first")),
        "whatever was read, it is committed as of the first"
    );

    let running = Running::start_from(&brokers, &table, naming(&brokers, &names));
    let error = running.end().await.expect_err("it must halt again");
    assert!(is_replaced(&error), "{error}");

    let source = Source {
        adopt: vec!["topic/second".to_owned()],
        ..naming(&brokers, &names)
    };
    let running = Running::start_from(&brokers, &table, source);
    eventually("everything is read from the beginning", || {
        running.count("duplicate") + running.count("stored") == 6
    })
    .await;
    eventually("and committed as of the second", || {
        brokers.stamp(TOPIC, 0) == Some(stamp(OWNER, "second")) && brokers.committed()[0] == Some(6)
    })
    .await;
    running.stop().await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_another_is_refused_without_joining_it() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    events(&brokers, 3);
    let first = Running::start_from(&brokers, &table, Running::source(&brokers));
    eventually("all is committed", || brokers.committed()[0] == Some(3)).await;
    let assigned = first.generation();
    let source = || Source {
        owner: OTHER.parse().expect("an owner"),
        ..Running::source(&brokers)
    };
    let error = Running::start_from(&brokers, &table, source())
        .end()
        .await
        .expect_err("it must be refused");
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::Record, &Reason::GroupInUse),
        "{error}"
    );
    assert!(error.message.contains(OWNER), "it names the other: {error}");
    assert_eq!(
        first.generation(),
        assigned,
        "the first has kept its partitions all the time"
    );
    first.stop().await.expect("a good end");

    let displacing = Source {
        adopt: vec![OWNER.to_owned()],
        ..source()
    };
    let second = Running::start_from(&brokers, &table, displacing);
    let expected = Some(stamp(OTHER, &brokers.topic_id()));
    eventually("the group is the second's", || brokers.stamp(TOPIC, 0) == expected).await;
    second.stop().await.expect("a good end");
    assert_eq!(
        brokers.committed()[0],
        Some(3),
        "it has gone on where the first stopped"
    );
    let error = Running::start_from(&brokers, &table, Running::source(&brokers))
        .end()
        .await
        .expect_err("now the first is refused");
    assert_eq!(error.reason, Reason::GroupInUse);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_begin_at_once_find_each_other() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    let names = SetNames::new("the topic");
    names
        .owners
        .lock()
        .expect("owners")
        .extend([OWNER.to_owned(), OTHER.to_owned()]);
    let error = Running::start_from(&brokers, &table, naming(&brokers, &names))
        .end()
        .await
        .expect_err("it must end");
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::Record, &Reason::GroupInUse),
        "{error}"
    );
    assert!(error.message.contains(OTHER), "{error}");
}
