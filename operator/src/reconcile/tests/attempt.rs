//! Jobs of attempts and their settings: which comes first, whose they are, and what a crash between them leaves. No network.

use medallion_crds::labels;
use medallion_plan::{Plan, PlannedJob};
use serde_json::{Value, json};

use super::apply::Operator;
use super::world::World;
use crate::failure::{self, Failure};

fn run_owner() -> Value {
    json!([{
        "apiVersion": "medallion.dev/v1alpha1", "kind": "StageRun", "name": "orders-silver-000001", "uid": "run-uid",
        "controller": true,
    }])
}

fn attempt(hash: &str) -> Plan {
    let metadata = |owners: Value| {
        json!({
            "name": "orders-silver-000001-1", "namespace": "shop",
            "labels": {labels::PIPELINE: "orders", labels::MANAGED_BY: labels::MANAGER},
            "annotations": {labels::SETTINGS_HASH: hash},
            "ownerReferences": owners,
        })
    };
    let settings = json!({"metadata": metadata(Value::Null), "data": {"settings.json": hash}});
    let job = json!({"metadata": metadata(run_owner()), "spec": {"template": {}}});
    Plan {
        create_jobs: vec![PlannedJob {
            settings: serde_json::from_value(settings).unwrap(),
            job: serde_json::from_value(job).unwrap(),
        }],
        ..Plan::default()
    }
}

const NAME: &str = "orders-silver-000001-1";

fn owner_of_settings(operator: &Operator) -> (Value, Value) {
    let settings = operator.world.server.get("configmaps", NAME).expect("settings");
    let owners = settings["metadata"]["ownerReferences"].as_array().expect("owners");
    assert_eq!(owners.len(), 1, "{owners:?}");
    (owners[0]["kind"].clone(), owners[0]["uid"].clone())
}

fn uid_of_job(operator: &Operator) -> Value {
    operator.world.server.get("jobs", NAME).expect("the Job")["metadata"]["uid"].clone()
}

#[tokio::test]
async fn the_job_comes_first_and_owns_its_settings() {
    let mut operator = Operator::new();
    let outcome = operator.apply(&attempt("a")).await;
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    assert_eq!(
        operator.world.server.writes(),
        [format!("POST jobs/{NAME}"), format!("POST configmaps/{NAME}")]
    );
    assert_eq!(owner_of_settings(&operator), (json!("Job"), uid_of_job(&operator)));
}

#[tokio::test]
async fn a_job_that_a_crash_left_alone_is_given_its_settings() {
    let mut operator = Operator::new();
    operator.apply(&attempt("a")).await;
    let job = uid_of_job(&operator);
    operator.world.server.remove("configmaps", NAME);
    operator.cache = crate::cache::Cache::default();
    let outcome = operator.apply(&attempt("a")).await;
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    assert_eq!(owner_of_settings(&operator), (json!("Job"), job));
}

#[tokio::test]
async fn a_job_that_was_made_from_others_is_not_given_these() {
    let mut operator = Operator::new();
    operator.apply(&attempt("a")).await;
    operator.world.server.remove("configmaps", NAME);
    let outcome = operator.apply(&attempt("b")).await;
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    assert!(operator.world.server.get("configmaps", NAME).is_none());
}

#[tokio::test]
async fn no_job_is_made_that_would_mount_what_is_somebodys() {
    let mut operator = Operator::new();
    let theirs = json!({"metadata": {"name": NAME}, "data": {"settings.json": "theirs"}});
    let theirs = operator.world.server.put("configmaps", theirs);
    let outcome = operator.apply(&attempt("a")).await;
    assert!(matches!(
        outcome.failures[..],
        [Failure::Taken { kind: "ConfigMap", .. }]
    ));
    assert!(operator.world.server.get("jobs", NAME).is_none());
    assert_eq!(operator.world.server.get("configmaps", NAME), Some(theirs));
}

#[tokio::test]
async fn no_settings_are_made_for_somebodys_job() {
    let mut operator = Operator::new();
    let theirs = operator
        .world
        .server
        .put("jobs", json!({"metadata": {"name": NAME}, "spec": {}}));
    let outcome = operator.apply(&attempt("a")).await;
    assert!(matches!(outcome.failures[..], [Failure::Taken { kind: "Job", .. }]));
    assert_eq!(operator.world.server.get("jobs", NAME), Some(theirs));
    assert!(operator.world.server.get("configmaps", NAME).is_none());
}

#[tokio::test]
async fn settings_of_an_earlier_job_of_that_name_are_waited_for() {
    let mut operator = Operator::new();
    let mut earlier = json!({"metadata": {"name": NAME}, "data": {"settings.json": "earlier"}});
    earlier["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "batch/v1", "kind": "Job", "name": NAME, "uid": "an-earlier-job"}]);
    operator.world.server.put("configmaps", earlier);
    let outcome = operator.apply(&attempt("a")).await;
    assert!(matches!(outcome.failures[..], [Failure::Leaving { .. }]));
    assert!(operator.world.server.get("jobs", NAME).is_none(), "it would mount them");
}

#[tokio::test]
async fn settings_that_an_earlier_version_made_for_the_run_become_the_jobs() {
    let mut operator = Operator::new();
    let mut earlier = json!({"metadata": {"name": NAME}, "data": {"settings.json": "earlier"}});
    earlier["metadata"]["ownerReferences"] = run_owner();
    operator.world.server.put("configmaps", earlier);
    let outcome = operator.apply(&attempt("a")).await;
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    assert_eq!(owner_of_settings(&operator), (json!("Job"), uid_of_job(&operator)));
    let settings = operator.world.server.get("configmaps", NAME).unwrap();
    assert_eq!(settings["data"]["settings.json"], "a", "what the Job was made from");
}

#[tokio::test]
async fn settings_that_are_refused_are_reported_in_words_and_the_job_stands() {
    let mut operator = Operator::new();
    operator.world.server.refuse("POST configmaps", 403);
    let outcome = operator.apply(&attempt("a")).await;
    let message = failure::words(&outcome.failures, "shop").expect("words").message;
    assert!(message.contains(&format!("ConfigMap/{NAME}")), "{message}");
    assert!(operator.world.server.get("jobs", NAME).is_some());
    assert!(outcome.again.is_some(), "it is tried again");
}

/// A run under way, made by hand.
fn run() -> Value {
    json!({
        "apiVersion": "medallion.dev/v1alpha1", "kind": "StageRun", "metadata": {"name": "by-hand"},
        "spec": {
            "pipelineRef": {"name": "orders"}, "stage": "silver", "type": "Process",
            "process": {"inputs": [{"name": "bronze", "version": 3}]},
        },
    })
}

#[tokio::test]
async fn whatever_moment_a_crash_comes_at_the_next_look_makes_what_is_missing() {
    let world = World::new();
    world.server.put("stageruns", run());
    world.watch();
    world.server.refuse("POST configmaps/by-hand-1", 403);
    world.settle().await;
    let job = world.server.get("jobs", "by-hand-1").expect("the Job")["metadata"]["uid"].clone();
    assert!(world.server.get("configmaps", "by-hand-1").is_none());
    let (_, reason, message) = world.condition("Ready");
    assert_eq!(reason, "ApplyFailed", "{message}");
    assert!(message.contains("by-hand-1"), "{message}");

    world.server.refuse("POST configmaps/by-hand-1", 0);
    for _ in 0..2 {
        // As after a restart.
        world.context.caches.forget(&world.key);
        world.settle().await;
        let settings = world.server.get("configmaps", "by-hand-1").expect("the settings");
        assert_eq!(settings["metadata"]["ownerReferences"][0]["uid"], job);
        world.server.remove("configmaps", "by-hand-1");
        world.watch();
    }
}
