//! In which order a function takes the shards: parents first, and what it makes of parents that are empty, unread or unknown. No network.

use std::time::Duration;

use exporter::Batch;
use medallion_crds::Reason;
use worker_kit::ErrorClass;

use crate::function::{held, take};
use crate::mapping::batch;
use crate::stream::Event;
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn a_child_waits_for_its_parents_last_record_and_then_closes_it() {
    let world = held(6).await;
    take(&world, "shard-0", 0..4).await.expect("taken");
    world.stream.happen(Event::Split(0));
    world.stream.happen(Event::Write(0));
    let error = take(&world, "shard-1", 0..1)
        .await
        .expect_err("two of the parent are missing");
    assert_eq!(error.reason, Reason::BatchBeyondPosition);
    assert!(error.message.contains("shard-0"), "{error}");
    take(&world, "shard-0", 4..6).await.expect("taken");
    take(&world, "shard-1", 0..1).await.expect("its turn");
    let committed = world.log.state.lock().expect("lock").committed.clone();
    assert!(committed.shards["shard-0"].closed);
    assert!(
        committed.shards.contains_key("shard-2"),
        "its sister is known from then on"
    );
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_was_empty_all_its_life_holds_up_nothing() {
    let world = held(2).await;
    take(&world, "shard-0", 0..2).await.expect("taken");
    for key in [0, 0, 0] {
        world.stream.happen(Event::Split(key));
    }
    world.stream.happen(Event::Write(0));
    let last = world
        .stream
        .names()
        .into_iter()
        .find(|shard| !world.stream.content(shard).0.is_empty() && shard != "shard-0");
    take(&world, &last.expect("a grandchild"), 0..1)
        .await
        .expect("its turn");
    world.check();
}

/// A batch of a shard whose parent no listing has.
fn orphaned(world: &World) -> Batch {
    world.stream.happen(Event::Split(0));
    world.stream.happen(Event::Split(0));
    world.stream.happen(Event::Write(0));
    assert_eq!(world.stream.parent("shard-3").as_deref(), Some("shard-1"));
    world.stream.hide_shard("shard-1");
    let (records, _) = world.stream.content("shard-3");
    batch(world, "shard-3", &records)
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_nobody_knows_is_a_risk_to_a_function_too() {
    let world = held(2).await;
    take(&world, "shard-0", 0..2).await.expect("taken");
    let (orphan, mut function) = (orphaned(&world), world.taker(1_000_000));
    let error = function.take(&orphan).await.expect_err("listings may be behind");
    assert_eq!(error.reason, Reason::ShardGone);
    tokio::time::advance(Duration::from_mins(2)).await;
    let error = function.take(&orphan).await.expect_err("its parent does not exist");
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::LossRisk, &Reason::ParentShardUnknown)
    );
    assert!(error.message.contains("shard-1"), "{error}");
    assert_eq!(world.log.state.lock().expect("lock").rows.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_a_later_listing_has_is_none() {
    let world = held(2).await;
    take(&world, "shard-0", 0..2).await.expect("taken");
    let (orphan, mut function) = (orphaned(&world), world.taker(1_000_000));
    let error = function.take(&orphan).await.expect_err("listings may be behind");
    assert_eq!(error.reason, Reason::ShardGone);
    world.stream.hide_nothing();
    tokio::time::advance(Duration::from_mins(2)).await;
    function.take(&orphan).await.expect("its turn");
    world.check();
}
