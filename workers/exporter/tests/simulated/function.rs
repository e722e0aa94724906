//! What a function takes of a batch, and when it refuses: repeated, partial, beyond the position, out of order, of another stream. No network.

use std::time::Duration;

use exporter::{Arrived, Taken};
use medallion_crds::Reason;
use medallion_crds::pipeline::RunsOn;
use tokio_util::sync::CancellationToken;
use worker_kit::WorkerError;

use crate::log::Outage;
use crate::mapping::{Mapping, batch, done};
use crate::stream::{Event, Fault, KEYS};
use crate::world::World;

/// A world in which the function holds the stream, with so many records in one shard.
pub async fn held(records: u8) -> World {
    let world = World::new(Vec::new(), false);
    hand_over(&world).await;
    for number in 0..records {
        world.stream.happen(Event::Write(number % 4));
    }
    world
}

/// A pod that hands the stream over and goes.
async fn hand_over(world: &World) {
    let shutdown = CancellationToken::new();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        shutdown.cancel();
    };
    let (ended, ()) = tokio::join!(world.pod(RunsOn::Lambda, &shutdown), stop);
    ended.expect("handed over");
}

pub async fn take(world: &World, shard: &str, records: std::ops::Range<usize>) -> Result<Taken, WorkerError> {
    let (all, _) = world.stream.content(shard);
    world.taker(1_000_000).take(&batch(world, shard, &all[records])).await
}

/// As many shards as there are keys, each without a record of its own.
pub fn split_into_many(world: &World) {
    for width in [16, 8, 4, 2] {
        for key in (0..KEYS).step_by(width) {
            world.stream.happen(Event::Split(key));
        }
    }
}

fn rows(world: &World) -> usize {
    world.log.state.lock().expect("lock").rows.len()
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_taken_once_however_often_it_comes() {
    let world = held(12).await;
    let taken = take(&world, "shard-0", 0..8).await.expect("taken");
    assert_eq!((taken.rows, taken.repeated, taken.rest), (8, 0, None));
    let again = take(&world, "shard-0", 0..8).await.expect("done");
    assert_eq!((again.rows, again.repeated, again.version), (0, 8, None));
    let overlapping = take(&world, "shard-0", 4..12).await.expect("taken");
    assert_eq!((overlapping.rows, overlapping.repeated), (4, 4));
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_batch_beyond_the_position_is_refused_and_one_that_joins_on_is_not() {
    let world = held(12).await;
    let error = take(&world, "shard-0", 2..6).await.expect_err("two are missing");
    assert_eq!(error.reason, Reason::BatchBeyondPosition);
    take(&world, "shard-0", 0..4).await.expect("taken");
    let error = take(&world, "shard-0", 5..8).await.expect_err("one is missing");
    assert_eq!(error.reason, Reason::BatchBeyondPosition);
    assert!(error.message.contains("shard-0"), "{error}");
    let (all, _) = world.stream.content("shard-0");
    let overlapping = batch(&world, "shard-0", &[all[2].clone(), all[3].clone(), all[6].clone()]);
    let error = world
        .taker(1_000_000)
        .take(&overlapping)
        .await
        .expect_err("two are missing");
    assert_eq!(error.reason, Reason::BatchBeyondPosition);
    assert_eq!(rows(&world), 4);
    take(&world, "shard-0", 4..12).await.expect("taken");
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_mapping_that_began_at_the_newest_record_is_helped_by_the_pod() {
    let world = held(10).await;
    let (mut mapping, mut function) = (Mapping::behind("shard-0", 10), world.taker(1_000_000));
    world.stream.happen(Event::Write(1));
    mapping.round(&world, &mut function, 10).await;
    assert_eq!(mapping.refused, [Reason::BatchBeyondPosition]);
    let (end, _) = world.process().await;
    assert!(matches!(end, crate::world::End::Stopped), "{end:?}");
    hand_over(&world).await;
    world.stream.happen(Event::Write(2));
    mapping.round(&world, &mut function, 10).await;
    assert_eq!(mapping.refused.len(), 1);
    world.check();
}

#[tokio::test(start_paused = true)]
async fn what_is_too_much_for_one_commit_is_left_for_the_next() {
    let world = held(20).await;
    let (all, _) = world.stream.content("shard-0");
    let whole = batch(&world, "shard-0", &all);
    let mut function = world.taker(500);
    let taken = function.take(&whole).await.expect("a part");
    assert_eq!((taken.rows, done(&whole, &taken)), (5, 5));
    assert_eq!(taken.rest.as_deref(), Some(all[5].sequence.as_str()));
    let one = world.taker(1).take(&whole).await.expect("one record always");
    assert_eq!((one.rows, one.repeated), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_waits_with_all_behind_it() {
    let world = held(6).await;
    let (all, _) = world.stream.content("shard-0");
    let mut bad = batch(&world, "shard-0", &all);
    bad.records[2].record = Err("a record without the item".to_owned());
    let mut function = world.taker(1_000_000);
    let taken = function.take(&bad).await.expect("what is before it");
    assert_eq!(taken.rows, 2);
    assert_eq!(taken.rest.as_deref(), Some(all[2].sequence.as_str()));
    assert!(taken.unreadable.is_some());
    bad.records.drain(..2);
    let taken = function.take(&bad).await.expect("nothing more");
    assert_eq!((taken.rows, taken.version), (0, None));
    bad.records[0] = Arrived {
        id: None,
        record: Err("nothing".to_owned()),
    };
    let error = function.take(&bad).await.expect_err("nobody could ask for it again");
    assert_eq!(error.reason, Reason::StreamUnreadable);
    assert_eq!(rows(&world), 2);
    take(&world, "shard-0", 2..6).await.expect("a better answer");
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_batch_out_of_order_is_refused_and_one_that_repeats_itself_is_not() {
    let world = held(6).await;
    let (all, _) = world.stream.content("shard-0");
    let picked = |numbers: &[usize]| {
        let records: Vec<_> = numbers.iter().map(|number| all[*number].clone()).collect();
        batch(&world, "shard-0", &records)
    };
    let mut function = world.taker(1_000_000);
    let error = function
        .take(&picked(&[0, 2, 1, 3]))
        .await
        .expect_err("one would be passed over");
    assert_eq!(error.reason, Reason::BatchUnreadable);
    assert_eq!(rows(&world), 0, "{error}");
    let taken = function.take(&picked(&[0, 1, 0, 1, 2])).await.expect("all in order");
    assert_eq!((taken.rows, rows(&world)), (3, 3));
    let taken = function
        .take(&picked(&[1, 0, 3, 4, 5]))
        .await
        .expect("what Bronze has may come in any order");
    assert_eq!(taken.rows, 3);
    world.check();
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_has_committed_meanwhile_does_not_come_along_with_positions() {
    let world = held(2).await;
    take(&world, "shard-0", 0..2).await.expect("taken");
    split_into_many(&world);
    // More quiet shards than one invocation looks at beside its batch, so that the loser has something to commit.
    tokio::time::advance(Duration::from_hours(2)).await;
    world.taker(1_000_000).look().await.expect("looked");
    tokio::time::advance(Duration::from_hours(2)).await;
    world.stream.happen(Event::Write(0));
    world.stream.happen(Event::Write(0));
    let has_two = |shard: &String| shard != "shard-0" && world.stream.content(shard).0.len() == 2;
    let leaf = world
        .stream
        .names()
        .into_iter()
        .find(has_two)
        .expect("a shard of the key");
    let (records, _) = world.stream.content(&leaf);
    let mut bad = batch(&world, &leaf, &records);
    bad.records[1].record = Err("a record without the item".to_owned());
    let (mut one, mut other) = (world.taker(1_000_000), world.taker(1_000_000));
    let pair = tokio::join!(one.take(&bad), other.take(&bad));
    assert!(pair.0.is_ok() && pair.1.is_ok(), "{pair:?}");
    take(&world, &leaf, 1..2).await.expect("a better answer");
    world.check();
}

#[tokio::test(start_paused = true)]
async fn commits_of_two_shards_at_once_are_both_made() {
    let world = held(2).await;
    take(&world, "shard-0", 0..2).await.expect("taken");
    world.stream.happen(Event::Split(0));
    for key in 0..16 {
        world.stream.happen(Event::Write(key));
    }
    for number in 0..8 {
        let pair = tokio::join!(
            take(&world, "shard-1", number..number + 1),
            take(&world, "shard-2", number..number + 1)
        );
        assert!(pair.0.is_ok() && pair.1.is_ok(), "{pair:?}");
    }
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_lake_that_does_not_answer_leaves_the_batch_for_later() {
    let world = held(4).await;
    let (all, _) = world.stream.content("shard-0");
    let whole = batch(&world, "shard-0", &all);
    let mut function = world.taker(1_000_000);
    world.commits_meet(Outage::Refuses);
    let error = function.take(&whole).await.expect_err("refused");
    assert_eq!(error.reason, Reason::LakeUnavailable);
    // Lambda cuts an invocation off: its rows must not stay in the sandbox.
    world.commits_meet(Outage::Silent);
    let cut = tokio::time::timeout(Duration::from_secs(30), function.take(&whole)).await;
    assert!(cut.is_err());
    world.commits_meet(Outage::None);
    assert_eq!(function.take(&whole).await.expect("taken").rows, 4);
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_answer_proves_nothing() {
    let world = held(4).await;
    world.stream.break_with(Fault::Out);
    let error = take(&world, "shard-0", 0..4).await.expect_err("not proven");
    assert_eq!(error.reason, Reason::StreamUnreadable);
    world.stream.heal();
    take(&world, "shard-0", 0..4).await.expect("taken");
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_another_stream_is_a_risk() {
    let world = held(4).await;
    take(&world, "shard-0", 0..2).await.expect("taken");
    world.stream.replace_stream();
    let error = take(&world, "shard-0", 0..2)
        .await
        .expect_err("the same names in another stream");
    assert_eq!(error.reason, Reason::StreamReplaced);
}
