//! A stage that moves between pods and a function of AWS Lambda: what stands, what is said of it, and what the function is given. No network.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use medallion_crds::launch::{GatewaySettings, Settings};
use medallion_crds::pipeline::{Endpoints, StageState};
use medallion_crds::{Reason, Stage};
use medallion_plan::{Child, LaunchSettings, STAGES, ValidatedPipeline, function};
use serde_json::json;

use crate::world::{Step, World};
use crate::{happens, started};

/// What stands of the gateway.
fn gateway(world: &World) -> Vec<String> {
    let all = world.children.iter();
    all.filter(|child| child.contains("-gateway")).cloned().collect()
}

fn runs_on(place: &str) -> Step {
    let replicas = if place == "Cluster" { json!(2) } else { json!(null) };
    Step::Spec(json!({"stages": {"ingest": {"runsOn": place, "replicas": replicas}}}))
}

#[test]
fn a_gateway_that_becomes_a_function_leaves_nothing_behind_and_comes_back() {
    let mut world = started();
    let before = gateway(&world);
    assert!(before.iter().any(|child| child.starts_with("Service/")), "{before:?}");

    happens(&mut world, runs_on("Lambda"));
    assert_eq!(gateway(&world), Vec::<String>::new());
    let ingest = world.stage(Stage::Ingest);
    assert_eq!(
        (ingest.state, ingest.reason, ingest.lag, ingest.ready_replicas),
        (StageState::Unknown, Some(Reason::NotMeasured), None, None)
    );
    let status = world.pipeline.status.clone().expect("a status");
    assert_eq!(status.endpoints, Some(Endpoints { ingest: None }));
    let dependencies = status.dependencies.iter().map(|dependency| dependency.name.as_str());
    assert!(
        !dependencies.clone().any(|name| name.starts_with("Secret/")),
        "the function has its tokens elsewhere"
    );
    let (healthy, _, message) = world.condition("Healthy");
    assert_eq!(healthy, "True", "{message}");
    assert!(message.contains("ingest: not measured and not judged"), "{message}");
    assert_eq!(world.condition("Ready").0, "True");

    happens(&mut world, runs_on("Cluster"));
    assert_eq!(gateway(&world), before);
}

#[test]
fn a_gateway_that_becomes_a_function_goes_although_something_else_is_not_well() {
    let mut world = started();
    happens(&mut world, Step::ContractMissing);
    happens(&mut world, runs_on("Lambda"));
    for kind in ["Deployment", "Service", "PodDisruptionBudget"] {
        let child = format!("{kind}/purchase-orders-gateway");
        assert!(!world.children.contains(&child), "{child}");
    }
    assert!(world.observed.deployment("purchase-orders-consumer").is_some());
}

#[test]
fn what_waited_in_pods_does_not_make_a_function_stale() {
    let mut world = started();
    let since = Time(world.now);
    let status = world.pipeline.status.as_mut().expect("a status");
    let ingest = status.stages.iter_mut().find(|stage| stage.name == Stage::Ingest);
    ingest.expect("the stage").oldest_pending_time = Some(since);
    happens(&mut world, runs_on("Lambda"));
    happens(&mut world, Step::Pass(3600));
    assert_eq!(world.stage(Stage::Ingest).oldest_pending_time, None);
    let (healthy, _, message) = world.condition("Healthy");
    assert_eq!(healthy, "True", "{message}");
}

#[test]
fn a_function_is_given_what_its_pods_would_be() {
    let world = started();
    let children = world.plan().children;
    let of_pods = children.iter().find_map(|child| match child {
        Child::ConfigMap(map) if map.name_any().contains("-gateway-") => map.data.as_ref()?.values().next(),
        _ => None,
    });
    let mut of_pods: Settings<GatewaySettings> = serde_json::from_str(of_pods.expect("settings")).expect("settings");

    let pipeline = ValidatedPipeline::new(&world.pipeline, &world.config).expect("a pipeline");
    let settings = LaunchSettings {
        pipeline: &pipeline,
        config: &world.config,
        contract_digest: "contract-digest",
    };
    let launch = function(STAGES, &settings, Stage::Ingest).expect("a function");
    let given: Settings<GatewaySettings> = serde_json::from_str(&launch.text).expect("settings");
    let seconds = given.worker.request_timeout_seconds;
    assert!(seconds < 30, "an HTTP API waits for 30 s and no longer, not {seconds}");
    of_pods.worker.request_timeout_seconds = seconds;
    of_pods.worker.drain_seconds = 0;
    assert_eq!(given, of_pods);
    assert!(function(STAGES, &settings, Stage::Gold).is_none(), "never a function");
}
