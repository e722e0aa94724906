//! Members come and go: nothing is lost, nothing is stored twice. Loopback only.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::support::{Brokers, MemoryTable, PARTITIONS, Running, event, eventually};

const ROOMY: usize = 8 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn members_that_join_and_leave_lose_and_double_nothing() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    let mut produced = 0;
    let mut send = |count: usize| {
        for _ in 0..count {
            brokers.produce(
                i32::try_from(produced).expect("small") % PARTITIONS,
                &event(&produced.to_string(), produced),
            );
            produced += 1;
        }
        produced
    };
    let first = Running::start(&brokers, &table, ROOMY);
    let total = send(50);
    eventually("the first works alone", || table.len() == total).await;
    let second = Running::start(&brokers, &table, ROOMY);
    send(50);
    let total = {
        eventually("the second has its share", || {
            second.count("stored") > 0 || send(4) > 400
        })
        .await;
        send(0)
    };
    eventually("together they store everything", || table.len() == total).await;
    first.stop().await.expect("a good end");
    let total = send(50);
    eventually("the second goes on alone", || table.len() == total).await;
    second.stop().await.expect("a good end");

    let stored: BTreeSet<String> = table
        .items
        .lock()
        .expect("items")
        .keys()
        .map(|(_, id)| id.clone())
        .collect();
    assert_eq!(stored.len(), total);
    let committed: i64 = brokers.committed().into_iter().flatten().sum();
    assert_eq!(
        usize::try_from(committed).expect("small"),
        total,
        "every offset is committed"
    );
    assert_eq!(brokers.dead_letters().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_given_back_with_what_was_settled_committed() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    table.held.lock().expect("held").push("7".to_owned());
    for number in 0..20 {
        brokers.produce(0, &event(&number.to_string(), number));
    }
    let first = Running::start(&brokers, &table, ROOMY);
    eventually("all but the held one are stored", || table.len() == 19).await;
    // It is asked to stop with one put in flight: it waits its time, commits up to there, and leaves.
    first.stop().await.expect("a good end");
    assert_eq!(brokers.committed()[0], Some(7));
    table.release();
    let second = Running::start(&brokers, &table, ROOMY);
    eventually("the next owner stores it", || table.len() == 20).await;
    eventually("and knows the others", || {
        second.count("duplicate") + second.count("stored") == 13
    })
    .await;
    second.stop().await.expect("a good end");
    assert_eq!(brokers.committed()[0], Some(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_without_a_partition_knows_that_nothing_waits_for_it() {
    let (brokers, table) = (Brokers::new(), Arc::new(MemoryTable::default()));
    let members: Vec<Running> = (0..=PARTITIONS)
        .map(|_| Running::start(&brokers, &table, ROOMY))
        .collect();
    eventually("every member has its answer, one of them with nothing in it", || {
        members.iter().all(Running::is_assigned)
    })
    .await;
    for member in members {
        member.stop().await.expect("a good end");
    }
}
