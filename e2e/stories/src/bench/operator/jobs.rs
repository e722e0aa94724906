//! Plays the controller of Jobs and their kubelet, and tells how long a Bronze commit has waited for its Job. Talks to the API server.
//!
//! A Job costs three writes: its pod, the pod's end with the report of its worker, and the end of the Job. With a deleted Job its pod is
//! removed here, because no garbage collector runs beside.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use medallion_crds::{Stage, labels};
use serde_json::{Value, json};

use super::simulator::Simulator;
use super::writer::{Named, Writer};
use super::{pods, reports};

/// How long a Job's worker works.
const WORK: Duration = Duration::from_millis(500);

/// Watches until the program ends.
pub fn play(client: Client, simulator: Arc<Simulator>, writer: Arc<Writer>) {
    tokio::spawn(async move {
        let ours = watcher::Config::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::MANAGER));
        let mut events = std::pin::pin!(watcher(Api::<Job>::all(client), ours).default_backoff());
        while let Some(event) = events.next().await {
            let (job, is_gone) = match event {
                Ok(Event::Apply(job) | Event::InitApply(job)) => (job, false),
                Ok(Event::Delete(job)) => (job, true),
                // The watch begins anew by itself.
                _ => continue,
            };
            let uid = job.uid().unwrap_or_default();
            if !is_gone && !is_new(&simulator, &job, &uid) {
                continue;
            }
            let (simulator, writer) = (simulator.clone(), writer.clone());
            tokio::spawn(async move {
                let played = if is_gone {
                    remove(&simulator, &writer, &job, &uid).await
                } else {
                    work(&simulator, &writer, &job, &uid).await
                };
                if let Err(error) = played {
                    eprintln!("Job {}: {error:#}", job.name_any());
                }
            });
        }
    });
}

fn is_new(simulator: &Simulator, job: &Job, uid: &str) -> bool {
    if job.metadata.deletion_timestamp.is_some() || !simulator.begin_job(uid) {
        return false;
    }
    let label = |name: &str| job.labels().get(name);
    if let Some(pipeline) = label(labels::PIPELINE)
        && label(labels::STAGE).is_some_and(|stage| stage == Stage::Silver.as_str())
    {
        let key = (job.namespace().unwrap_or_default(), pipeline.clone());
        simulator.fleet.job_seen(&key);
    }
    true
}

async fn work(simulator: &Simulator, writer: &Writer, job: &Job, uid: &str) -> Result<()> {
    let namespace = job.namespace().unwrap_or_default();
    let template = &job.spec.as_ref().context("a Job has a spec")?.template;
    let started = Timestamp::now();
    let Some(pod) = writer
        .create::<Pod>(&namespace, &pods::made_from(job, template))
        .await?
    else {
        return Ok(());
    };
    if !simulator.put_pod_of_job(uid, &pod.name) {
        return writer.delete::<Pod>(&namespace, &pod.name).await;
    }
    tokio::time::sleep(WORK).await;
    let now = Timestamp::now();
    let report = reports::of(job);
    writer
        .status::<Pod>(&namespace, &pod, &pods::ended(template, started, now, &report))
        .await?;
    let named = Named {
        name: job.name_any(),
        uid: uid.to_owned(),
    };
    writer
        .status::<Job>(&namespace, &named, &complete(started, now))
        .await?;
    simulator.end_job(uid);
    Ok(())
}

/// A Job that has ended well, as its controller says it in the end.
fn complete(started: Timestamp, now: Timestamp) -> Value {
    let condition = |kind: &str| {
        json!({
            "type": kind, "status": "True", "reason": "CompletionsReached",
            "message": "Reached expected number of succeeded pods",
            "lastProbeTime": now, "lastTransitionTime": now,
        })
    };
    json!({
        "startTime": started,
        "completionTime": now,
        "succeeded": 1,
        "ready": 0,
        "terminating": 0,
        "uncountedTerminatedPods": {},
        "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
    })
}

async fn remove(simulator: &Simulator, writer: &Writer, job: &Job, uid: &str) -> Result<()> {
    let namespace = job.namespace().unwrap_or_default();
    if let Some(pod) = simulator.forget_job(uid) {
        writer.delete::<Pod>(&namespace, &pod).await?;
    }
    Ok(())
}
