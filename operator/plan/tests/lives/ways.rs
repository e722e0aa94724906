//! Bronze by a function instead of the exporter's pod: what the pod is told, and what users read of who holds the stream. No network.

use medallion_crds::Stage;
use medallion_crds::pipeline::RunsOn;
use medallion_plan::{Child, LaunchSettings, STAGES, ValidatedPipeline, function};
use serde_json::{Value, json};

use crate::world::{Step, World};
use crate::{happens, started};

/// The exporter's settings and the number of its pods, as they are planned.
fn exporter(world: &World) -> (Value, Option<i32>) {
    let children = world.plan().children;
    let settings = children.iter().find_map(|child| match child {
        Child::ConfigMap(settings) if child.name().contains("exporter") => settings.data.as_ref()?.values().next(),
        _ => None,
    });
    let replicas = children.iter().find_map(|child| match child {
        Child::Deployment(deployment) if child.name().contains("exporter") => deployment.spec.as_ref()?.replicas,
        _ => None,
    });
    let settings = serde_json::from_str(settings.expect("settings")).expect("JSON");
    (settings, replicas)
}

fn held_by(world: &mut World, holder: RunsOn) {
    for progress in world.observed.progress.values_mut() {
        if progress.identity.stage == Some(Stage::Bronze) {
            progress.work.held_by = Some(holder);
        }
    }
    world.settle();
}

#[test]
fn where_a_function_writes_bronze_the_pod_stands_and_is_told_to_observe() {
    let mut world = started();
    let (settings, replicas) = exporter(&world);
    assert_eq!((settings["worker"].get("runsOn"), replicas), (None, Some(1)));
    happens(
        &mut world,
        Step::Spec(json!({"stages": {"bronze": {"runsOn": "Lambda"}}})),
    );
    let (settings, replicas) = exporter(&world);
    assert_eq!((&settings["worker"]["runsOn"], replicas), (&json!("Lambda"), Some(1)));
}

#[test]
fn the_status_names_who_holds_the_stream_by_the_log_and_not_by_the_wish() {
    let mut world = started();
    assert_eq!(world.stage(Stage::Bronze).held_by, None, "nobody has said it yet");
    held_by(&mut world, RunsOn::Cluster);
    happens(
        &mut world,
        Step::Spec(json!({"stages": {"bronze": {"runsOn": "Lambda"}}})),
    );
    assert_eq!(world.stage(Stage::Bronze).held_by, Some(RunsOn::Cluster));
    happens(&mut world, Step::WorkersReady);
    held_by(&mut world, RunsOn::Lambda);
    assert_eq!(world.stage(Stage::Bronze).held_by, Some(RunsOn::Lambda));
    assert_eq!(world.stage(Stage::Persist).held_by, None);
}

#[test]
fn pod_and_function_are_given_the_same_settings() {
    let mut world = started();
    happens(
        &mut world,
        Step::Spec(json!({"stages": {"bronze": {"runsOn": "Lambda"}}})),
    );
    let pipeline = ValidatedPipeline::new(&world.pipeline, &world.config).expect("a pipeline");
    let settings = LaunchSettings {
        pipeline: &pipeline,
        config: &world.config,
        contract_digest: "contract-digest",
    };
    let launch = function(STAGES, &settings, Stage::Bronze).expect("a function");
    let given: Value = serde_json::from_str(&launch.text).expect("settings");
    assert_eq!(given, exporter(&world).0);
}
