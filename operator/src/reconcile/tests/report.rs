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

#[tokio::test]
async fn a_pipeline_that_somebody_has_written_meanwhile_is_not_as_it_was_confirmed() {
    let (world, mut cache) = (World::new(), Cache::default());
    world.look().await;
    cache.confirmed = Some(Instant::now());
    world.server.refuse("PUT pipelines/orders/status", 409);
    assert_eq!(reported(&world, &mut cache, false).await, Reported::Moved);
    assert_eq!(
        cache.confirmed, None,
        "the server is asked before another run is made: it may have been suspended"
    );
}

#[tokio::test]
async fn writes_that_change_nothing_leave_nothing_behind() {
    let (world, mut cache) = (World::new(), Cache::default());
    world.look().await;
    let stored = world.pipeline();
    let plan = Plan {
        status: stored.status.clone(),
        ..Plan::default()
    };
    // As where the server does not keep what is written: it looks different each time.
    let mut seen = stored;
    seen.status.as_mut().unwrap().stages[0].state = StageState::Failed;
    for _ in 0..3 {
        let written = report::status(&world.context, &seen, &mut cache, &plan, false).await;
        assert_eq!(written.unwrap(), Reported::Accepted);
    }
    assert!(cache.pipeline.is_none(), "the watch has nothing to show of them");
}
