//! Random lineages, an unreliable stream, and a kill at every call. No network.

use std::time::Duration;

use proptest::prelude::*;
use tokio::runtime::Builder;

use crate::stream::{Event, KEYS};
use crate::world::{End, World};

fn events(most: usize) -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..KEYS).prop_map(Event::Write),
        2 => (0..KEYS).prop_map(Event::Expire),
        1 => (0..KEYS).prop_map(Event::Split),
    ];
    prop::collection::vec(event, 1..most)
}

/// Runs processes, one after the other, each killed after so many calls; the last one lives.
fn survive(events: Vec<Event>, unreliable: bool, deaths: &[u64]) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("runtime");
    runtime.block_on(async {
        let world = World::new(events, unreliable);
        for calls in deaths {
            world.death.after(*calls);
            match world.process().await.0 {
                End::Killed => {}
                End::Stopped => break,
                End::Failed(error) => panic!("{error}"),
            }
        }
        world.death.after(u64::MAX / 2);
        let last = tokio::time::timeout(Duration::from_hours(6), async {
            while !world.is_complete() {
                if let (End::Failed(error), _) = world.process().await {
                    panic!("{error}");
                }
            }
        });
        last.await.expect("the exporter stands still");
        world.check();
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_item_arrives_in_order_and_once_whatever_dies_when(
        events in events(120),
        unreliable: bool,
        deaths in prop::collection::vec(0_u64..60, 0..12),
    ) {
        survive(events, unreliable, &deaths);
    }
}

/// The same lineage, killed at each call in turn.
#[test]
fn no_call_is_a_bad_moment_to_die() {
    let lineage: Vec<Event> = (0..60_u8)
        .map(|number| {
            if number % 9 == 8 {
                Event::Split(number % KEYS)
            } else {
                Event::Write(number % KEYS)
            }
        })
        .collect();
    for calls in 0..150 {
        survive(lineage.clone(), true, &[calls]);
        survive(lineage.clone(), false, &[calls, 3, calls]);
    }
}
