//! Watches Jobs: whose they are, and how long a Bronze commit has waited for its own. Talks to the API server.

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use medallion_crds::{Stage, labels};

use super::simulator::Simulator;

/// Watches until the program ends.
pub fn follow(client: Client, simulator: Arc<Simulator>) {
    tokio::spawn(async move {
        let ours = watcher::Config::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::MANAGER));
        let mut events = std::pin::pin!(watcher(Api::<PartialObjectMeta<Job>>::all(client), ours).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(job) | Event::InitApply(job)) => seen(&simulator, &job),
                Ok(Event::Delete(job)) => {
                    simulator.take_owner(job.namespace().unwrap_or_default(), job.name_any());
                }
                // The watch begins anew by itself.
                _ => {}
            }
        }
    });
}

fn seen(simulator: &Simulator, job: &PartialObjectMeta<Job>) {
    let (namespace, name) = (job.namespace().unwrap_or_default(), job.name_any());
    let Some(owner) = job.owner_references().first() else {
        return;
    };
    let is_new = simulator.owner(namespace.clone(), name.clone()).is_none();
    simulator.put_owner(namespace.clone(), name, owner.uid.clone());
    let label = |name: &str| job.labels().get(name);
    if let (true, Some(pipeline)) = (is_new, label(labels::PIPELINE))
        && label(labels::STAGE).is_some_and(|stage| stage == Stage::Silver.as_str())
    {
        simulator.fleet.job_seen(&(namespace, pipeline.clone()));
    }
}
