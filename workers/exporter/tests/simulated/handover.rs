//! The stream handed over between pod and function, under load and with both at work, whatever fails. No network.

use std::time::Duration;

use medallion_crds::Reason;
use medallion_crds::pipeline::RunsOn;
use proptest::prelude::*;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use worker_kit::{ErrorClass, WorkerError};

use crate::mapping::{Function, Mapping, batch};
use crate::stream::{Event, Fault, KEYS};
use crate::world::World;

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![8 => (0..KEYS).prop_map(Event::Write), 1 => (0..KEYS).prop_map(Event::Split)];
    prop::collection::vec(event, 20..160)
}

fn writes(count: u8) -> Vec<Event> {
    (0..count).map(|number| Event::Write(number % KEYS)).collect()
}

/// A pod for so long. It may be overtaken by one with another wish, and by nothing else.
async fn stands(world: &World, holder: RunsOn, seconds: u64) {
    let shutdown = CancellationToken::new();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        shutdown.cancel();
    };
    let (ended, ()) = tokio::join!(world.pod(holder, &shutdown), stop);
    match ended {
        Ok(())
        | Err(WorkerError {
            class: ErrorClass::Fenced,
            ..
        }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Pods one after the other, each beginning before the last has ended, while a mapping invokes all the time.
fn hand_over(events: Vec<Event>, unreliable: bool, wishes: &[(RunsOn, u64)]) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("runtime");
    runtime.block_on(async {
        let world = World::new(events, unreliable);
        let (mut mapping, mut function) = (Mapping::default(), world.taker(1_000));
        let pods = async {
            let mut begin = 0_u64;
            let pods = wishes.iter().map(|(holder, seconds)| {
                let after = begin;
                begin += seconds;
                let world = &world;
                async move {
                    tokio::time::sleep(Duration::from_secs(after)).await;
                    stands(world, *holder, seconds + 3).await;
                }
            });
            futures::future::join_all(pods).await;
            // Whoever came last keeps it.
            let last = wishes.last().map(|(holder, _)| *holder).expect("a wish");
            let shutdown = CancellationToken::new();
            let complete = async {
                while !world.is_complete() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                shutdown.cancel();
            };
            let (ended, ()) = tokio::join!(world.pod(last, &shutdown), complete);
            ended.expect("nobody else wants it");
        };
        tokio::select! {
            () = mapping.run(&world, &mut function) => unreachable!("it invokes for ever"),
            ended = tokio::time::timeout(Duration::from_hours(6), pods) => ended.expect("Bronze stands still"),
        }
        world.check();
        let by_gap = mapping
            .refused
            .iter()
            .filter(|reason| **reason == Reason::BatchBeyondPosition);
        assert_eq!(by_gap.count(), 0, "what the pod takes is no gap");
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_twice_however_often_the_stream_is_handed_over(
        events in events(),
        unreliable: bool,
        seconds in prop::collection::vec(1_u64..9, 2..7),
        first: bool,
    ) {
        let holder = |number: usize| if number.is_multiple_of(2) == first { RunsOn::Cluster } else { RunsOn::Lambda };
        let wishes: Vec<_> = seconds.into_iter().enumerate().map(|(number, seconds)| (holder(number), seconds)).collect();
        hand_over(events, unreliable, &wishes);
    }
}

/// A function that has been handed the stream, and the pod that observes it, beside the story.
async fn observed(world: &World, story: impl Future<Output = ()>) {
    let shutdown = CancellationToken::new();
    tokio::select! {
        () = story => {}
        ended = world.pod(RunsOn::Lambda, &shutdown) => panic!("{ended:?}"),
    }
}

async fn a_while() {
    tokio::time::sleep(Duration::from_secs(10)).await;
}

/// A function that has been handed the stream and has taken all that there is, and its mapping; the pod has gone.
async fn handed_over(world: &World) -> (Mapping, Function) {
    let (mut mapping, mut function) = (Mapping::default(), world.taker(10_000));
    observed(world, async {
        a_while().await;
        while !world.is_complete() {
            mapping.round(world, &mut function, 4).await;
        }
    })
    .await;
    (mapping, function)
}

fn version(world: &World) -> u64 {
    world.log.state.lock().expect("lock").version
}

#[tokio::test(start_paused = true)]
async fn a_function_waits_until_it_is_handed_the_stream() {
    let world = World::new(writes(20), false);
    let (mut mapping, mut function) = (Mapping::default(), world.taker(10_000));
    for _ in 0..15 {
        mapping.round(&world, &mut function, 10).await;
    }
    assert!(!mapping.refused.is_empty());
    assert!(
        mapping
            .refused
            .iter()
            .all(|reason| *reason == Reason::StreamHeldElsewhere)
    );
    assert_eq!(version(&world), 0, "nothing is committed by whom the log does not name");
    observed(&world, async {
        a_while().await;
        assert_eq!(version(&world), 1, "the hand-over is a commit of its own");
        while !world.is_complete() {
            mapping.round(&world, &mut function, 10).await;
        }
    })
    .await;
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_observes_commits_nothing_and_says_what_waits() {
    let world = World::new(Vec::new(), false);
    observed(&world, async {
        a_while().await;
        for number in 0..20 {
            world.stream.happen(Event::Write(number % KEYS));
        }
        a_while().await;
        let work = world.work();
        assert_eq!((work.lag, work.held_by), (Some(20), Some(RunsOn::Lambda)));
        let oldest = work.oldest_pending_time.expect("something waits");
        assert!((world.clock)().duration_since(oldest).as_secs() >= 10, "{oldest}");
        assert_eq!((version(&world), work.position), (1, None));
        tokio::time::sleep(Duration::from_hours(3)).await;
        assert_eq!(version(&world), 1, "and hours later neither");
        let retention = world.work().retention.expect("an age");
        assert!(retention.used_seconds >= 3 * 3600, "{retention:?}");

        let (mut mapping, mut function) = (Mapping::default(), world.taker(10_000));
        while !world.is_complete() {
            mapping.round(&world, &mut function, 7).await;
        }
        a_while().await;
        let work = world.work();
        assert_eq!((work.lag, work.oldest_pending_time), (Some(0), None));
        assert_eq!(work.position, i64::try_from(version(&world)).ok());
        assert!(work.last_commit_time.is_some());
        assert_eq!(work.trouble, None);
    })
    .await;
    world.check();
}

#[tokio::test(start_paused = true)]
async fn what_the_pod_has_committed_is_done_for_the_mapping() {
    let world = World::new(writes(40), false);
    let (end, _) = world.process().await;
    assert!(matches!(end, crate::world::End::Stopped), "{end:?}");
    let (mut mapping, mut function) = (Mapping::default(), world.taker(10_000));
    let before = version(&world);
    for _ in 0..10 {
        mapping.round(&world, &mut function, 7).await;
    }
    assert_eq!(
        mapping.refused,
        [],
        "nothing grows old in the mapping while the pod works"
    );
    assert_eq!(version(&world), before);
    world.stream.happen(Event::Write(3));
    mapping.round(&world, &mut function, 7).await;
    assert_eq!(
        mapping.refused,
        [Reason::StreamHeldElsewhere],
        "what is new waits for the pod"
    );
    let (end, _) = world.process().await;
    assert!(matches!(end, crate::world::End::Stopped), "{end:?}");
    mapping.round(&world, &mut function, 7).await;
    assert_eq!(mapping.refused.len(), 1);
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_was_begun_before_the_hand_over_is_not_made() {
    let world = World::new(writes(12), false);
    let (mut mapping, mut function) = handed_over(&world).await;
    // Both at once, step by step: one of the two has each record, and the pod has the last word.
    let shutdown = CancellationToken::new();
    let invoked = async {
        while !mapping.refused.contains(&Reason::StreamHeldElsewhere) {
            world.stream.happen(Event::Write(5));
            mapping.round(&world, &mut function, 1).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.until_complete().await;
        shutdown.cancel();
    };
    let (ended, ()) = tokio::join!(world.pod(RunsOn::Cluster, &shutdown), invoked);
    ended.expect("the function gives way");
    assert_eq!(world.work().held_by, Some(RunsOn::Cluster));
    world.check();
}

#[tokio::test(start_paused = true)]
async fn a_pod_takes_the_stream_over_however_often_the_function_commits() {
    let world = World::new(writes(4), false);
    let (_, mut function) = handed_over(&world).await;
    // A commit a second, while to list the stream takes a minute.
    world.stream.break_with(Fault::SlowListing);
    let shutdown = CancellationToken::new();
    let invoked = async {
        let refused = loop {
            world.stream.happen(Event::Write(5));
            let (all, _) = world.stream.content("shard-0");
            let newest = batch(&world, "shard-0", &all[all.len() - 1..]);
            if let Err(error) = function.take(&newest).await {
                break error;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        assert_eq!(refused.reason, Reason::StreamHeldElsewhere);
        world.stream.heal();
        world.until_complete().await;
        shutdown.cancel();
    };
    let both = async { tokio::join!(world.pod(RunsOn::Cluster, &shutdown), invoked) };
    let (ended, ()) = tokio::time::timeout(Duration::from_mins(50), both)
        .await
        .expect("the pod never comes to it");
    ended.expect("the function gives way");
    world.check();
}
