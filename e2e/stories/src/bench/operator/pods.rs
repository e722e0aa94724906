//! Plays the kubelet: every pod runs at once, and a Job's pod ends well a moment later with the report of its worker. Talks to the API server.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use medallion_crds::launch::report::{ProvisionReport, Report, RunReport};
use medallion_crds::pipeline::{ContractVersionStatus, Dependency, DependencyKind, DependencyState};
use medallion_crds::stage_run::OutputTable;
use medallion_crds::{Stage, labels};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::fleet::Pod;
use super::simulator::Simulator;

const AT_ONCE: usize = 32;
/// How long a Job's worker works.
const WORK: Duration = Duration::from_millis(500);
/// How long the watch of Jobs may be behind that of pods.
const JOB_SEEN: Duration = Duration::from_secs(10);
const JOB_NAME: &str = "batch.kubernetes.io/job-name";
/// Tables that a stage leaves, always at the same version, so that the next stage has nothing to do.
pub const TABLES: [&str; 3] = ["orders", "daily_sales", "customer_value"];

/// Watches until the program ends.
pub fn play(client: Client, simulator: Arc<Simulator>) {
    tokio::spawn(async move {
        let ours = watcher::Config::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::MANAGER));
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let mut events = std::pin::pin!(watcher(Api::<v1::Pod>::all(client.clone()), ours).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(pod) | Event::InitApply(pod)) if is_new(&pod) => {
                    let (client, simulator, permits) = (client.clone(), simulator.clone(), permits.clone());
                    tokio::spawn(async move {
                        let name = pod.name_any();
                        if let Err(error) = live(&client, &simulator, &permits, pod).await {
                            eprintln!("pod {name}: {error:#}");
                        }
                    });
                }
                Ok(Event::Delete(pod)) => {
                    if let Some(address) = address(&pod) {
                        simulator.take(address);
                    }
                }
                // The watch begins anew by itself.
                _ => {}
            }
        }
    });
}

fn is_new(pod: &v1::Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && address(pod).is_none()
}

fn address(pod: &v1::Pod) -> Option<Ipv4Addr> {
    pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()
}

async fn live(client: &Client, simulator: &Simulator, permits: &Semaphore, pod: v1::Pod) -> Result<()> {
    let Some(known) = known(simulator, &pod)? else {
        return Ok(());
    };
    let address = simulator.next_address();
    let stage = known.stage;
    simulator.put(address, known);
    let started = Timestamp::now();
    write(client, permits, &pod, &running(&pod, address, started)).await?;
    if pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) != Some("Never") {
        return Ok(());
    }
    tokio::time::sleep(WORK).await;
    let report = report(simulator, &pod, stage).await?;
    simulator.take(address);
    write(client, permits, &pod, &ended(&pod, started, &report)).await
}

/// None: of a pipeline that the bench does not know, or no longer.
fn known(simulator: &Simulator, pod: &v1::Pod) -> Result<Option<Pod>> {
    let label = |name: &str| pod.labels().get(name).cloned();
    let key = (
        pod.namespace().unwrap_or_default(),
        label(labels::PIPELINE).unwrap_or_default(),
    );
    let Some(pipeline) = simulator.fleet.get(&key) else {
        return Ok(None);
    };
    let stage = label(labels::STAGE).map(|word| serde_json::from_value(Value::String(word)));
    Ok(Some(Pod {
        uid: pod.uid().context("a pod has a UID")?,
        pipeline,
        stage: stage.transpose()?,
        settings_hash: pod
            .annotations()
            .get(labels::SETTINGS_HASH)
            .cloned()
            .unwrap_or_default(),
    }))
}

async fn write(client: &Client, permits: &Semaphore, pod: &v1::Pod, status: &Value) -> Result<()> {
    let _permit = permits.acquire().await?;
    let api: Api<v1::Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let change = json!({"metadata": {"uid": pod.uid()}, "status": status});
    match api
        .patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(change))
        .await
    {
        // Deleted meanwhile, perhaps with another of its name in its place.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        result => result.map(drop).context("writing its status"),
    }
}

fn running(pod: &v1::Pod, address: Ipv4Addr, started: Timestamp) -> Value {
    let address = address.to_string();
    json!({
        "phase": "Running",
        "hostIP": "127.0.0.1",
        "podIP": &address,
        "podIPs": [{"ip": &address}],
        "startTime": started,
        "conditions": conditions("True", started),
        "containerStatuses": containers(pod, true, &json!({"running": {"startedAt": started}})),
    })
}

fn ended(pod: &v1::Pod, started: Timestamp, report: &Report) -> Value {
    let now = Timestamp::now();
    let terminated = json!({"terminated": {
        "exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": now,
        "message": report.to_termination_message(),
    }});
    json!({
        "phase": "Succeeded",
        "conditions": conditions("False", now),
        "containerStatuses": containers(pod, false, &terminated),
    })
}

fn conditions(ready: &str, at: Timestamp) -> Value {
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": at});
    json!([
        condition("PodScheduled", "True"),
        condition("Initialized", "True"),
        condition("ContainersReady", ready),
        condition("Ready", ready),
    ])
}

fn containers(pod: &v1::Pod, ready: bool, state: &Value) -> Value {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers
        .map(|container| {
            json!({
                "name": container.name, "image": container.image, "imageID": "simulated", "ready": ready,
                "started": ready, "restartCount": 0, "state": state,
            })
        })
        .collect()
}

/// What the worker of a Job leaves.
async fn report(simulator: &Simulator, pod: &v1::Pod, stage: Option<Stage>) -> Result<Report> {
    if stage.is_none() {
        return Ok(provisioned());
    }
    let label = |name: &str| pod.labels().get(name).cloned().unwrap_or_default();
    Ok(Report::Run(RunReport {
        run_uid: run_uid(simulator, pod.namespace().unwrap_or_default(), label(JOB_NAME)).await?,
        attempt: label(labels::ATTEMPT).parse().unwrap_or(1),
        already_committed: false,
        inputs: Vec::new(),
        outputs: outputs(),
        rows: 1000,
    }))
}

pub fn outputs() -> Vec<OutputTable> {
    TABLES.map(|table| OutputTable::new(table.to_owned(), 1)).into()
}

async fn run_uid(simulator: &Simulator, namespace: String, job: String) -> Result<String> {
    let begun = std::time::Instant::now();
    while begun.elapsed() < JOB_SEEN {
        if let Some(uid) = simulator.owner(namespace.clone(), job.clone()) {
            return Ok(uid);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("Job {namespace}/{job} was not seen")
}

/// Everything is there.
fn provisioned() -> Report {
    let kinds = [
        (DependencyKind::Topic, "Topic"),
        (DependencyKind::DeadLetterTopic, "DeadLetterTopic"),
        (DependencyKind::ConsumerGroup, "ConsumerGroup"),
        (DependencyKind::Table, "Table"),
        (DependencyKind::BronzeBucket, "BronzeBucket"),
        (DependencyKind::SilverBucket, "SilverBucket"),
        (DependencyKind::GoldBucket, "GoldBucket"),
        (DependencyKind::WarehouseSchema, "WarehouseSchema"),
    ];
    let dependencies = kinds.map(|(kind, word)| Dependency {
        kind,
        name: format!("{word}/simulated"),
        state: DependencyState::Exists,
        message: None,
    });
    Report::Provision(ProvisionReport {
        dependencies: dependencies.into(),
        contract_versions: vec![ContractVersionStatus {
            name: "v1".to_owned(),
            digest: "0".repeat(64),
        }],
    })
}
