//! What a look rests on: what the watches show, and live answers where they alone must not decide. No network.

use std::time::{Duration, Instant};

use kube::ResourceExt;
use medallion_crds::labels;
use medallion_plan::{Contract, Observed};
use serde_json::{Value, json};

use super::world::World;
use crate::api::call::CallError;
use crate::cache::Cache;
use crate::reconcile::gather;

async fn gathered(world: &World, cache: &mut Cache) -> Result<Observed, CallError> {
    let context = &world.context;
    let room = context.index.room(&world.key).unwrap_or_default();
    let (stored, pipeline) = (world.pipeline(), world.validated());
    gather::gather(&context.client, &context.board, &room, &stored, &pipeline, cache).await
}

/// A pipeline with a run that says it is at its first attempt's Job, which no watch has shown.
fn with_run() -> World {
    let world = World::new();
    world.server.put(
        "stageruns",
        json!({
            "apiVersion": "medallion.dev/v1alpha1", "kind": "StageRun", "metadata": {"name": "by-hand", "uid": "run"},
            "spec": {
                "pipelineRef": {"name": "orders"}, "stage": "silver", "type": "Process",
                "process": {"inputs": [{"name": "bronze", "version": 3}]},
            },
            "status": {"observedGeneration": 1, "attempt": 1, "job": "by-hand-1"},
        }),
    );
    world.watch();
    world.server.requests();
    world
}

fn job(status: &Value) -> Value {
    json!({
        "metadata": {
            "name": "by-hand-1", "uid": "job",
            "labels": {labels::PIPELINE: "orders", labels::MANAGED_BY: labels::MANAGER, labels::RUN: "by-hand"},
            "ownerReferences": [{"apiVersion": "medallion.dev/v1alpha1", "kind": "StageRun", "name": "by-hand", "uid": "run"}],
        },
        "spec": {"template": {}},
        "status": status,
    })
}

fn owned_by_job(kind: &str, name: &str) -> Value {
    json!({
        "metadata": {
            "name": name,
            "labels": {
                labels::PIPELINE: "orders", labels::MANAGED_BY: labels::MANAGER,
                "batch.kubernetes.io/job-name": "by-hand-1",
            },
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "by-hand-1", "uid": "job"}],
            "managedFields": [{"manager": kind}],
        },
    })
}

#[tokio::test]
async fn a_job_that_only_the_status_names_is_asked_for() {
    let world = with_run();
    let observed = gathered(&world, &mut Cache::default()).await.unwrap();
    assert!(observed.jobs.is_empty(), "the server knows no such Job");
    world.server.put("jobs", job(&Value::Null));
    let observed = gathered(&world, &mut Cache::default()).await.unwrap();
    assert_eq!(observed.jobs[0].name_any(), "by-hand-1", "the watch was late");
    world.watch();
    world.server.requests();
    gathered(&world, &mut Cache::default()).await.unwrap();
    let asked = world.server.requests();
    assert!(
        asked.iter().all(|line| !line.contains("jobs")),
        "it is shown now: {asked:?}"
    );
}

#[tokio::test]
async fn a_job_that_has_lost_its_labels_is_asked_for_before_its_status_names_it() {
    let world = with_run();
    world.server.edit("stageruns", "by-hand", |run| {
        run["status"] = json!({"observedGeneration": 1, "attempt": 1, "attemptTime": "2026-01-01T00:00:00Z"});
    });
    world.watch();
    let mut unlabelled = job(&Value::Null);
    unlabelled["metadata"]["labels"] = json!({});
    world.server.put("jobs", unlabelled);
    let observed = gathered(&world, &mut Cache::default()).await.unwrap();
    assert_eq!(observed.jobs[0].name_any(), "by-hand-1");
    world.server.edit("jobs", "by-hand-1", |job| {
        job["metadata"]["ownerReferences"] = json!([]);
    });
    let observed = gathered(&world, &mut Cache::default()).await.unwrap();
    assert!(observed.jobs.is_empty(), "somebody's");
}

#[tokio::test]
async fn a_provisioners_job_that_has_lost_its_labels_is_asked_for() {
    let world = World::new();
    world.look().await;
    let jobs = world.server.all("jobs");
    let name = jobs[0]["metadata"]["name"].as_str().unwrap();
    world
        .server
        .edit("jobs", name, |job| job["metadata"]["labels"] = json!({}));
    world.watch();
    let observed = gathered(&world, &mut Cache::default()).await.unwrap();
    let names: Vec<_> = observed.jobs.iter().map(|job| job.name_any()).collect();
    assert_eq!(names, [name]);
}

#[tokio::test]
async fn nothing_is_decided_on_a_job_that_cannot_be_asked_for() {
    let world = with_run();
    for code in [403, 500] {
        world.server.refuse("GET jobs/by-hand-1", code);
        let error = gathered(&world, &mut Cache::default()).await.unwrap_err();
        assert!(error.to_string().contains("get Job by-hand-1"), "{error}");
    }
}

#[tokio::test]
async fn the_pod_with_the_report_of_an_ended_job_is_asked_for() {
    let world = with_run();
    world.server.put(
        "jobs",
        job(&json!({"conditions": [{"type": "Complete", "status": "True"}]})),
    );
    world.watch();
    world.server.put("pods", owned_by_job("kubelet", "by-hand-1-abcde"));
    let observed = gathered(&world, &mut Cache::default()).await.unwrap();
    assert_eq!(observed.pods[0].name_any(), "by-hand-1-abcde");
    assert!(
        observed.pods[0].metadata.managed_fields.is_none(),
        "as small as a watched one"
    );
    world.server.refuse("GET pods", 500);
    assert!(gathered(&world, &mut Cache::default()).await.is_err());
}

#[tokio::test]
async fn why_a_job_got_no_pod_is_asked_for_also_when_it_has_run_out_of_time() {
    let world = with_run();
    let status = json!({"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]});
    world.server.put("jobs", job(&status));
    let event = json!({
        "metadata": {"name": "refused"}, "involvedObject": {"uid": "job"},
        "type": "Warning", "message": "exceeded quota",
    });
    world.server.put("events", event);
    world.watch();
    let observed = gathered(&world, &mut Cache::default()).await.unwrap();
    assert_eq!(observed.warnings.get("job").map(String::as_str), Some("exceeded quota"));
}

#[tokio::test]
async fn what_is_known_of_the_contract_stays_while_it_cannot_be_read() {
    let (world, mut cache) = (World::new(), Cache::default());
    let found = gathered(&world, &mut cache).await.unwrap().contract;
    // Workers compare it with the text that is mounted for them.
    let digest = medallion_crds::launch::schema_digest("{}");
    assert_eq!(found, Contract::Found { digest });
    let known = cache.contract.as_mut().unwrap();
    known.asked = Instant::now().checked_sub(Duration::from_mins(1)).unwrap();
    world.server.refuse("GET configmaps", 503);
    assert_eq!(gathered(&world, &mut cache).await.unwrap().contract, found);
    let nothing = gathered(&world, &mut Cache::default()).await.unwrap().contract;
    assert_eq!(nothing, Contract::Unknown);
}

#[tokio::test]
async fn the_contract_is_asked_for_seldom_while_all_is_well_and_often_when_something_is_not() {
    let stage = |reason: Value| json!([{"name": "silver", "state": "Idle", "reason": reason}]);
    let tries = |succeeded: bool| json!({"hash": "a", "succeeded": succeeded, "reported": true, "attempt": 1});
    let well = json!({"observedGeneration": 1, "provisioning": tries(true), "stages": stage(Value::Null)});
    let with = |field: &str, value: Value| {
        let mut status = well.clone();
        status[field] = value;
        status
    };
    for (status, is_asked) in [
        (well.clone(), false),
        (with("stages", stage(json!("DbtFailed"))), true),
        (with("provisioning", tries(false)), true),
        (with("observedGeneration", json!(0)), true),
    ] {
        let (world, mut cache) = (World::new(), Cache::default());
        let words = status.to_string();
        world
            .server
            .edit("pipelines", "orders", |object| object["status"] = status);
        gathered(&world, &mut cache).await.unwrap();
        let known = cache.contract.as_mut().unwrap();
        known.asked = Instant::now().checked_sub(Duration::from_mins(1)).unwrap();
        world.server.requests();
        gathered(&world, &mut cache).await.unwrap();
        let asked = world.server.requests();
        let asked = asked.iter().any(|line| line.starts_with("GET configmaps"));
        assert_eq!(asked, is_asked, "{words}");
    }
}
