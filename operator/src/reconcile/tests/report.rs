//! When the pipeline's status is written. No network.

use std::time::{Duration, Instant};

use medallion_crds::pipeline::StageState;
use medallion_plan::Plan;

use super::world::World;
use crate::cache::Cache;
use crate::reconcile::report::{self, Reported, TOGETHER};

/// Reports what somebody waits for, by a look that has made a run or has not.
async fn reported(world: &World, cache: &mut Cache, makes_run: bool) -> Reported {
    let (seen, pipeline) = (world.pipeline(), world.validated());
    let mut status = seen.status.clone().unwrap();
    status.stages[0].state = StageState::Failed;
    let plan = Plan {
        status: Some(status),
        ..Plan::default()
    };
    report::status(&world.context, &seen, &pipeline, cache, &plan, makes_run)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_a_run_moves_when_it_is_made_and_when_it_is_seen_is_one_write() {
    let (world, mut cache) = (World::new(), Cache::default());
    world.look().await;
    world.server.requests();
    let put_off = reported(&world, &mut cache, true).await;
    assert!(
        matches!(put_off, Reported::PutOff(rest) if rest <= TOGETHER),
        "{put_off:?}"
    );
    assert!(world.server.writes().is_empty());
    assert_eq!(
        reported(&world, &mut cache, false).await,
        Reported::Accepted,
        "it was seen"
    );
    assert_eq!(world.server.writes().len(), 1);
}

#[tokio::test]
async fn a_run_that_is_not_seen_does_not_hold_the_status_up() {
    let (world, mut cache) = (World::new(), Cache::default());
    world.look().await;
    cache.run_made = Instant::now().checked_sub(TOGETHER + Duration::from_millis(1));
    assert_eq!(reported(&world, &mut cache, true).await, Reported::Accepted);
}
