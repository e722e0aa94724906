//! A table whose items expire: who is told, and that a wish made later is provisioned before it is followed. No network.

use medallion_crds::labels;
use medallion_plan::Child;
use serde_json::{Value, json};

use crate::world::{Step, World};
use crate::{YAML, happens, started};

/// A worker's settings as they are planned.
fn worker(world: &World, name: &str) -> Value {
    let children = world.plan().children;
    let settings = children.iter().find_map(|child| match child {
        Child::ConfigMap(settings) if child.name().contains(name) => settings.data.as_ref()?.values().next(),
        _ => None,
    });
    let settings: Value = serde_json::from_str(settings.expect("settings")).expect("JSON");
    settings["worker"].clone()
}

/// What the provisioner is told that is started next.
fn provisioner(world: &mut World) -> Value {
    for _ in 0..5 {
        let plan = world.plan();
        if let Some(job) = plan.create_jobs.first() {
            let pods = job.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
            let settings = pods.and_then(|pods| pods.annotations.as_ref()?.get(labels::SETTINGS));
            let settings: Value = serde_json::from_str(settings.expect("settings")).expect("JSON");
            return settings["worker"].clone();
        }
        world.apply(plan);
    }
    panic!("no provisioner is started");
}

#[test]
fn left_out_nobody_is_told_of_it() {
    assert_eq!(provisioner(&mut World::new(YAML)).get("tableExpires"), None);
    assert_eq!(worker(&started(), "consumer").get("expireAfterDays"), None);
}

#[test]
fn the_consumer_gives_the_time_and_the_provisioner_sees_to_the_table() {
    let mut world = World::new(YAML);
    world.step(Step::Spec(json!({"table": {"expireAfterDays": 30}})));
    assert_eq!(provisioner(&mut world)["tableExpires"], true);
    for step in [Step::Settle, Step::Provisioned, Step::WorkersReady] {
        happens(&mut world, step);
    }
    assert_eq!(worker(&world, "consumer")["expireAfterDays"], 30);
    assert_eq!(
        worker(&world, "exporter").get("expireAfterDays"),
        None,
        "Bronze keeps everything"
    );
}

#[test]
fn wished_for_later_the_table_is_looked_at_again() {
    let mut world = started();
    world.step(Step::Spec(json!({"table": {"expireAfterDays": 2}})));
    assert_eq!(provisioner(&mut world)["tableExpires"], true);
}
