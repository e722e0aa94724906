//! What holds in the life of a pipeline: things happen, and what the operator promises is checked after each. No network.

mod again;
mod api;
mod by_hand;
mod changes;
mod expiry;
mod functions;
mod pods;
mod provisioning;
mod random;
mod rules;
mod runs;
mod settings;
mod status;
mod strangers;
mod ways;
#[path = "../world/mod.rs"]
mod world;

use std::sync::LazyLock;

use medallion_crds::Stage;
use serde_json::json;
use world::{Outcome, Step, World};

const YAML: &str = include_str!("../cases/pipeline.yaml");

/// A pipeline that has everything and works; the way there is gone once for all lives.
fn started() -> World {
    static STARTED: LazyLock<World> = LazyLock::new(|| {
        let mut world = World::new(YAML);
        for step in [Step::Settle, Step::Provisioned, Step::WorkersReady] {
            world.step(step);
            world.settle();
        }
        world
    });
    STARTED.clone()
}

fn happens(world: &mut World, step: Step) {
    world.step(step);
    world.settle();
}

/// The shop's tables are registered as well.
fn with_catalog() -> Step {
    Step::Spec(json!({"catalog": {"type": "Glue", "glue": {"database": "shop_gold"}}}))
}

fn attempt(stage: Stage, outcome: Outcome) -> Step {
    Step::Attempt { stage, outcome }
}
