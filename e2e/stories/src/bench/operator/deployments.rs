//! Plays the controllers of Deployments and the kubelet of their pods, which run and are ready at once. Talks to the API server.
//!
//! A pod costs two writes, its creation and its status, and a rollout one more: the Deployment's status when all of it stands.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use medallion_crds::labels;
use serde_json::{Value, json};

use super::pods;
use super::simulator::{Rollout, Simulator};
use super::writer::{Named, Writer};

/// Watches until the program ends.
pub fn play(client: Client, simulator: Arc<Simulator>, writer: Arc<Writer>) {
    tokio::spawn(async move {
        let ours = watcher::Config::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::MANAGER));
        let mut events = std::pin::pin!(watcher(Api::<Deployment>::all(client), ours).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(deployment) | Event::InitApply(deployment)) if wants_work(&deployment) => {
                    let (simulator, writer) = (simulator.clone(), writer.clone());
                    tokio::spawn(async move {
                        if let Err(error) = roll_out(&simulator, &writer, &deployment).await {
                            eprintln!("Deployment {}: {error:#}", deployment.name_any());
                        }
                    });
                }
                // Whoever collects the garbage removes its pods.
                Ok(Event::Delete(deployment)) => simulator.forget_rollout(&deployment.uid().unwrap_or_default()),
                // The watch begins anew by itself.
                _ => {}
            }
        }
    });
}

fn wants_work(deployment: &Deployment) -> bool {
    let observed = deployment.status.as_ref().and_then(|status| status.observed_generation);
    deployment.metadata.deletion_timestamp.is_none() && observed != deployment.metadata.generation
}

async fn roll_out(simulator: &Simulator, writer: &Writer, deployment: &Deployment) -> Result<()> {
    let named = Named {
        name: deployment.name_any(),
        uid: deployment.uid().context("a Deployment has a UID")?,
    };
    let namespace = deployment.namespace().unwrap_or_default();
    let spec = deployment.spec.as_ref().context("a Deployment has a spec")?;
    let generation = deployment.metadata.generation.unwrap_or_default();
    let rollout = simulator.rollout(&named.uid);
    let mut rollout = rollout.lock().await;
    if rollout.generation >= generation {
        return Ok(());
    }
    let replicas = usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or_default();
    let template = serde_json::to_string(&spec.template)?;
    let mut old = Vec::new();
    if rollout.template != template {
        old = std::mem::take(&mut rollout.pods);
    }
    let surplus = rollout.pods.len().saturating_sub(replicas);
    old.extend(rollout.pods.drain(..surplus));
    if is_recreated(spec) {
        remove(simulator, writer, &namespace, &mut old).await?;
    }
    while rollout.pods.len() < replicas {
        if !make(simulator, writer, deployment, &mut rollout).await? {
            return Ok(());
        }
    }
    remove(simulator, writer, &namespace, &mut old).await?;
    (rollout.template, rollout.generation) = (template, generation);
    writer
        .status::<Deployment>(&namespace, &named, &status(generation, replicas))
        .await?;
    let containers = spec.template.spec.iter().flat_map(|pod| &pod.containers);
    rollout.images = containers.filter_map(|container| container.image.clone()).collect();
    Ok(())
}

fn is_recreated(spec: &DeploymentSpec) -> bool {
    let strategy = spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref());
    strategy == Some("Recreate")
}

/// One more pod; none for a pipeline that the bench does not know, or no longer.
async fn make(simulator: &Simulator, writer: &Writer, deployment: &Deployment, rollout: &mut Rollout) -> Result<bool> {
    let namespace = deployment.namespace().unwrap_or_default();
    let Some(template) = deployment.spec.as_ref().map(|spec| &spec.template) else {
        return Ok(false);
    };
    let metadata = template.metadata.clone().unwrap_or_default();
    if simulator.pod(&namespace, &metadata, String::new())?.is_none() {
        return Ok(false);
    }
    let made = writer
        .create::<Pod>(&namespace, &pods::made_from(deployment, template))
        .await?;
    let Some(made) = made else { return Ok(false) };
    let address = simulator.next_address();
    if let Some(pod) = simulator.pod(&namespace, &metadata, made.uid.clone())? {
        simulator.put(address, pod);
    }
    rollout.pods.push((made.name.clone(), address));
    let running = pods::running(template, address, Timestamp::now());
    writer.status::<Pod>(&namespace, &made, &running).await?;
    Ok(true)
}

async fn remove(
    simulator: &Simulator,
    writer: &Writer,
    namespace: &str,
    pods: &mut Vec<(String, Ipv4Addr)>,
) -> Result<()> {
    for (name, address) in pods.drain(..) {
        simulator.take(address);
        writer.delete::<Pod>(namespace, &name).await?;
    }
    Ok(())
}

/// A Deployment that does what it was asked to, as its controller says it.
fn status(generation: i64, replicas: usize) -> Value {
    let now = Timestamp::now();
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": message,
            "lastUpdateTime": now, "lastTransitionTime": now,
        })
    };
    json!({
        "observedGeneration": generation,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
        "conditions": [
            condition("Available", "MinimumReplicasAvailable", "Deployment has minimum availability."),
            condition("Progressing", "NewReplicaSetAvailable", "All pods of the newest template are available."),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_worked_on_until_its_status_is_of_its_generation() {
        let deployment = |observed: i64| -> Deployment {
            serde_json::from_value(json!({
                "metadata": {"name": "d", "generation": 2}, "status": status(observed, 1),
            }))
            .unwrap()
        };
        assert!(wants_work(&deployment(1)));
        assert!(!wants_work(&deployment(2)));
    }
}
