//! When the pipeline's status is written. No network.

use std::time::{Duration, Instant};

use medallion_crds::pipeline::StageState;
use medallion_plan::Plan;

use super::world::World;
use crate::cache::Cache;
use crate::reconcile::report::{self, Reported, TOGETHER};

/// Reports what somebody waits for, by a look that has made a run or has not.
async fn reported(world: &World, cache: &mut Cache, makes_run: bool) -> Reported {
    let seen = world.pipeline();
    let mut status = seen.status.clone().unwrap();
    status.stages[0].state = StageState::Failed;
    let plan = Plan {
        status: Some(status),
        ..Plan::default()
    };
    report::status(&world.context, &seen, cache, &plan, makes_run)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_a_run_moves_in_its_first_moment_is_one_write() {
    let (world, mut cache) = (World::new(), Cache::default());
    world.look().await;
    world.server.requests();
    let put_off = reported(&world, &mut cache, true).await;
    assert!(
        matches!(put_off, Reported::PutOff(rest) if rest <= TOGETHER),
        "{put_off:?}"
    );
    let put_off = reported(&world, &mut cache, false).await;
    assert!(
        matches!(put_off, Reported::PutOff(_)),
        "seen, and given its Job: {put_off:?}"
    );
    assert!(world.server.writes().is_empty());
    cache.run_made = Instant::now().checked_sub(TOGETHER);
    assert_eq!(reported(&world, &mut cache, false).await, Reported::Accepted);
    assert_eq!(world.server.writes().len(), 1);
    assert_eq!(cache.run_made, None, "the next run has a moment of its own");
}

#[tokio::test]
async fn runs_that_are_not_seen_or_follow_each_other_closely_do_not_hold_the_status_up() {
    let (world, mut cache) = (World::new(), Cache::default());
    world.look().await;
    cache.run_made = Instant::now().checked_sub(TOGETHER + Duration::from_millis(1));
    assert_eq!(reported(&world, &mut cache, true).await, Reported::Accepted);
}
