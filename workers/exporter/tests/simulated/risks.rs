//! When the exporter halts, and when what looks like a risk is none. No network.

use std::time::Duration;

use medallion_crds::launch::ExitCode;
use worker_kit::{ErrorClass, WorkerError};

use crate::stream::Event;
use crate::world::{End, World};

fn writes(count: u8) -> Vec<Event> {
    (0..count).map(|number| Event::Write(number % 4)).collect()
}

async fn exported(world: &World) {
    let (end, _) = world.process().await;
    assert!(matches!(end, End::Stopped), "{end:?}");
    world.check();
}

async fn halted(world: &World) -> WorkerError {
    let (end, _) = tokio::time::timeout(Duration::from_secs(600), world.process())
        .await
        .expect("it halts");
    let End::Failed(error) = end else {
        panic!("it went on over a gap: {end:?}");
    };
    assert_eq!(error.class, ErrorClass::LossRisk);
    assert_eq!(error.class.exit_code(), ExitCode::LossRisk);
    error
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_reports_nothing_waiting() {
    let world = World::new(writes(20), false);
    let (_, work) = world.process().await;
    assert_eq!((work.lag, work.oldest_pending_time), (Some(0), None));
    assert!(work.position.is_some_and(|version| version > 0));
    assert!(work.last_commit_time.is_some());
}

#[tokio::test(start_paused = true)]
async fn another_stream_halts_it_before_anything_is_read_from_it() {
    let world = World::new(writes(20), false);
    exported(&world).await;
    world.stream.replace_stream();
    assert_eq!(halted(&world).await.reason, "StreamReplaced");
}

#[tokio::test(start_paused = true)]
async fn a_break_longer_than_the_streams_memory_halts_it() {
    let world = World::new(writes(20), false);
    exported(&world).await;
    tokio::time::advance(Duration::from_secs(25 * 3600)).await;
    world.stream.happen(Event::Write(1));
    world.stream.trim_everything();
    assert_eq!(halted(&world).await.reason, "StreamRetentionPassed");
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_nobody_knows_halts_it() {
    let world = World::new(writes(20), false);
    exported(&world).await;
    world.stream.happen(Event::Split(0));
    world.stream.happen(Event::Split(0));
    world.stream.hide_shard("shard-1");
    let error = halted(&world).await;
    assert_eq!(error.reason, "ParentShardUnknown");
    assert!(error.message.contains("shard-1"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_vanishes_while_it_is_old_halts_it() {
    let world = World::new(writes(20), false);
    exported(&world).await;
    // The position is young enough to begin with; the shard then stays silent, hidden, and is gone a day later.
    tokio::time::advance(Duration::from_secs(23 * 3600 + 1800)).await;
    world.stream.forget_shard("shard-0");
    assert_eq!(halted(&world).await.reason, "StreamTrimmed");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_calls_a_new_position_trimmed_is_read_from_its_oldest_record() {
    let world = World::new(writes(20), false);
    world.stream.claim_trimmed(1);
    exported(&world).await;
    world.stream.happen(Event::Write(2));
    world.stream.claim_trimmed(1);
    exported(&world).await;
}

#[tokio::test(start_paused = true)]
async fn days_without_a_write_are_no_risk_while_it_runs() {
    let mut world = World::new(writes(5), false);
    world.stays = true;
    let quiet = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(20 * 3600)).await;
            world.stream.happen(Event::Write(1));
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    };
    tokio::select! {
        () = quiet => {}
        ended = world.process() => panic!("{ended:?}"),
    }
    // Restarted after a day and a half without a write, and with every record trimmed that is not new.
    tokio::time::sleep(Duration::from_secs(20 * 3600)).await;
    world.stays = false;
    exported(&world).await;
}
