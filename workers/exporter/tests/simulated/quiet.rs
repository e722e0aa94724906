//! How a function looks after shards that nothing comes from: by a schedule, beside a busy shard's batches, or not at all. No network.

use std::time::Duration;

use exporter::Taken;
use jiff::SignedDuration;
use medallion_crds::Reason;

use crate::function::{held, split_into_many, take};
use crate::mapping::Mapping;
use crate::stream::Event;
use crate::world::{End, World};

/// One shard has a record an hour, and nobody but its batches looks at the others.
async fn busy_for_forty_hours(world: &World) {
    let (mut mapping, mut function) = (Mapping::default(), world.taker(1_000_000));
    for _ in 0..40 {
        tokio::time::advance(Duration::from_hours(1)).await;
        world.stream.happen(Event::Write(0));
        mapping.round(world, &mut function, 10).await;
    }
    assert_eq!(mapping.refused, [], "the others have had nothing for forty hours");
    world.check();
}

/// A schedule invokes the function every hour, for so many; how old what it has said is then.
async fn scheduled_for(world: &World, hours: usize) -> SignedDuration {
    let mut function = world.taker(1_000_000);
    for _ in 0..hours {
        tokio::time::advance(Duration::from_hours(1)).await;
        function.look().await.expect("looked");
    }
    let state = world.log.state.lock().expect("lock").committed.stream.clone();
    let as_of = state.and_then(|stream| stream.as_of).expect("a time");
    (world.clock)().duration_since(as_of)
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_quiet_for_days_is_no_risk_while_a_schedule_looks() {
    let world = held(4).await;
    take(&world, "shard-0", 0..4).await.expect("taken");
    let age = scheduled_for(&world, 60).await;
    assert!(age < SignedDuration::from_hours(2), "{age}");
    world.stream.trim_everything();
    world.stream.happen(Event::Write(1));
    take(&world, "shard-0", 4..5).await.expect("taken");
    world.check();
}

#[tokio::test(start_paused = true)]
async fn every_quiet_shard_has_its_turn_however_many_there_are() {
    let world = held(2).await;
    take(&world, "shard-0", 0..2).await.expect("taken");
    split_into_many(&world);
    let age = scheduled_for(&world, 60).await;
    assert!(age < SignedDuration::from_hours(2), "{age}");
    world.check();
}

#[tokio::test(start_paused = true)]
async fn the_quiet_shards_of_a_busy_one_have_their_turn_one_after_the_other() {
    let world = held(2).await;
    take(&world, "shard-0", 0..2).await.expect("taken");
    split_into_many(&world);
    busy_for_forty_hours(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_table_at_which_nobody_looks_for_a_day_is_one() {
    let world = held(4).await;
    take(&world, "shard-0", 0..4).await.expect("taken");
    tokio::time::advance(Duration::from_hours(26)).await;
    world.stream.happen(Event::Write(1));
    let error = take(&world, "shard-0", 4..5)
        .await
        .expect_err("something may have been dropped");
    assert_eq!(error.reason, Reason::StreamRetentionPassed);
}

#[tokio::test(start_paused = true)]
async fn a_busy_shard_looks_after_a_quiet_one() {
    let world = held(2).await;
    take(&world, "shard-0", 0..2).await.expect("taken");
    world.stream.happen(Event::Split(0));
    busy_for_forty_hours(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_schedule_does_nothing_while_another_holds_the_stream() {
    let world = World::new(vec![Event::Write(1)], false);
    let taken = world.taker(1_000).look().await.expect("no concern of this one");
    assert_eq!(taken, Taken::default());
    let (end, _) = world.process().await;
    assert!(matches!(end, End::Stopped), "{end:?}");
    tokio::time::advance(Duration::from_hours(3)).await;
    let taken = world.taker(1_000).look().await.expect("no concern of this one");
    assert_eq!(taken, Taken::default());
}
