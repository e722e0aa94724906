//! When the exporter halts, and when what looks like a risk is none. No network.

use std::time::Duration;

use medallion_crds::Reason;
use medallion_crds::launch::ExitCode;
use worker_kit::{ErrorClass, LONGEST_TURN, WorkerError};

use crate::log::Outage;
use crate::stream::{Event, Fault};
use crate::warnings;
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
    let (end, _) = tokio::time::timeout(Duration::from_hours(48), world.process())
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
async fn a_commit_of_positions_alone_is_no_news_for_silver() {
    let mut world = World::new(Vec::new(), false);
    world.stays = true;
    let story = world.beside(async {
        while world.log.state.lock().expect("lock").version == 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.work().position, None);
    });
    tokio::time::timeout(Duration::from_hours(2), story)
        .await
        .expect("positions are committed without rows");
    world.stays = false;
    let (_, work) = world.process().await;
    assert_eq!(work.position, None, "nor are they after a restart");
}

#[tokio::test(start_paused = true)]
async fn a_wedged_exporter_is_not_alive_and_does_not_look_fresh() {
    let mut world = World::new(writes(20), false);
    world.stays = true;
    world
        .beside(async {
            world.until_complete().await;
            tokio::time::sleep(LONGEST_TURN * 3).await;
            assert!(!world.progress().is_stuck(), "a quiet stream keeps the loop turning");
            world.commits_meet(Outage::Silent);
            world.stream.happen(Event::Write(1));
            // Until the commit is due, and something more.
            tokio::time::sleep(Duration::from_secs(30)).await;
            let said = world.progress().snapshot().time;
            tokio::time::sleep(LONGEST_TURN).await;
            assert!(world.progress().is_stuck());
            assert_eq!(
                world.progress().snapshot().time,
                said,
                "nobody says that it still holds"
            );
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_lake_that_is_out_of_order_for_long_leaves_it_alive() {
    let mut world = World::new(writes(20), false);
    world.stays = true;
    world.commits_meet(Outage::Refuses);
    world
        .beside(async {
            tokio::time::sleep(LONGEST_TURN * 3).await;
            assert!(!world.progress().is_stuck(), "it tries again");
            let retention = world.work().retention.expect("an age");
            let waited = i64::try_from(LONGEST_TURN.as_secs() * 3).expect("seconds");
            assert_eq!(retention.of_seconds, 24 * 3600);
            assert!(
                (waited - 30..=waited + 30).contains(&retention.used_seconds),
                "{retention:?}"
            );
            world.commits_meet(Outage::None);
            world.until_complete().await;
            tokio::time::sleep(LONGEST_TURN * 3).await;
            let retention = world.work().retention.expect("an age");
            assert!(retention.used_seconds < 600, "all is read and committed: {retention:?}");
        })
        .await;
    world.check();
}

#[tokio::test(start_paused = true)]
async fn another_stream_halts_it_before_anything_is_read_from_it() {
    let world = World::new(writes(20), false);
    exported(&world).await;
    world.stream.replace_stream();
    assert_eq!(halted(&world).await.reason, Reason::StreamReplaced);
}

#[tokio::test(start_paused = true)]
async fn a_break_longer_than_the_streams_memory_halts_it() {
    let world = World::new(writes(20), false);
    exported(&world).await;
    tokio::time::advance(Duration::from_hours(25)).await;
    world.stream.happen(Event::Write(1));
    world.stream.trim_everything();
    assert_eq!(halted(&world).await.reason, Reason::StreamRetentionPassed);
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_nobody_knows_halts_it() {
    let mut world = World::new(writes(20), false);
    exported(&world).await;
    world.stays = true;
    world.stream.happen(Event::Split(0));
    world.stream.happen(Event::Split(0));
    world.stream.hide_shard("shard-1");
    let error = halted(&world).await;
    assert_eq!(error.reason, Reason::ParentShardUnknown);
    assert!(error.message.contains("shard-1"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_vanishes_while_it_is_old_halts_it() {
    let mut world = World::new(writes(20), false);
    exported(&world).await;
    // The position is young enough to begin with; the shard then stays silent, hidden, and is gone a day later.
    tokio::time::advance(Duration::from_mins(23 * 60 + 30)).await;
    world.stream.forget_shard("shard-0");
    world.stays = true;
    assert_eq!(halted(&world).await.reason, Reason::StreamTrimmed);
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
            tokio::time::sleep(Duration::from_hours(20)).await;
            world.stream.happen(Event::Write(1));
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
    };
    world.beside(quiet).await;
    // Restarted after a day and a half without a write, and with every record trimmed that is not new.
    tokio::time::sleep(Duration::from_hours(20)).await;
    world.stays = false;
    exported(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_day_kept_from_reading_halts_it_even_where_nothing_had_been_read() {
    let mut world = World::new(Vec::new(), false);
    world.stays = true;
    let story = async {
        // An empty shard is in the log, and has no record to go on behind.
        tokio::time::sleep(Duration::from_mins(10)).await;
        world.stream.break_with(Fault::Out);
        tokio::time::sleep(Duration::from_hours(1)).await;
        world.stream.happen(Event::Write(1));
        tokio::time::sleep(Duration::from_hours(24)).await;
        world.stream.trim_everything();
        world.stream.heal();
        std::future::pending::<()>().await;
    };
    let error = tokio::select! {
        () = story => panic!("the story does not end"),
        error = halted(&world) => error,
    };
    assert_eq!(error.reason, Reason::StreamRetentionPassed);
}

#[tokio::test(start_paused = true)]
async fn iterators_that_the_stream_has_forgotten_are_replaced() {
    let mut world = World::new(writes(20), false);
    world.stays = true;
    let story = async {
        world.until_complete().await;
        world.stream.break_with(Fault::ForgetsIterators);
        world.stream.happen(Event::Write(1));
        world.until_complete().await;
        assert_eq!(world.work().trouble, None, "it is over");
    };
    world.beside(story).await;
    world.check();
}

#[tokio::test(start_paused = true)]
async fn one_answer_that_a_shard_is_gone_ends_nothing() {
    let mut world = World::new(writes(20), false);
    world.stays = true;
    let story = async {
        world.until_complete().await;
        world.stream.break_with(Fault::DeniesAShard);
        tokio::time::sleep(Duration::from_secs(30)).await;
        world.stream.happen(Event::Write(1));
        world.until_complete().await;
        assert_eq!(world.work().trouble, None);
    };
    world.beside(story).await;
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_switched_off_is_said_and_read_on() {
    let mut world = World::new(writes(20), false);
    world.stays = true;
    let story = async {
        world.until_complete().await;
        world.stream.happen(Event::Write(1));
        world.stream.break_with(Fault::Disabled);
        world.until_complete().await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let trouble = world.work().trouble.expect("nothing more will come");
        assert_eq!(trouble.reason, Reason::StreamDisabled);
        world.stream.heal();
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(world.work().trouble, None);
    };
    world.beside(story).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stays_switched_off_is_logged_once_each_time() {
    let mut world = World::new(writes(20), false);
    world.stays = true;
    warnings::listen();
    let story = async {
        world.until_complete().await;
        for times in 1..=2 {
            world.stream.break_with(Fault::Disabled);
            tokio::time::sleep(Duration::from_mins(5)).await;
            assert_eq!(warnings::count(), times);
            world.stream.heal();
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
    };
    world.beside(story).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_listing_does_not_hold_up_the_data() {
    let world = World::new(writes(200), false);
    world.stream.break_with(Fault::SlowListing);
    // A page per listing would take more than an hour.
    tokio::time::timeout(Duration::from_mins(10), exported(&world))
        .await
        .expect("the data waits for listings");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_breaks_down_ends_the_process() {
    let mut world = World::new(writes(20), false);
    world.stays = true;
    world.stream.break_with(Fault::Panics);
    let (end, _) = tokio::time::timeout(Duration::from_mins(10), world.process())
        .await
        .expect("its shard would never be read again");
    let End::Failed(error) = end else {
        panic!("{end:?}");
    };
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::Environment, &Reason::ReaderFailed)
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_about_what_waits_before_the_stream_has_answered() {
    let mut world = World::new(writes(20), false);
    world.stays = true;
    world.stream.break_with(Fault::Out);
    let story = async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        let work = world.work();
        assert_eq!(work.lag, None, "unknown is not zero");
        assert_eq!(
            work.trouble.map(|trouble| trouble.reason),
            Some(Reason::StreamUnreadable)
        );
        world.stream.heal();
        world.until_complete().await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(world.work().lag, Some(0));
    };
    world.beside(story).await;
}
