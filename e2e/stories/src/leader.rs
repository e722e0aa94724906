//! Waits until the operator that was installed last is the one that works. Touches the API server.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;

use crate::cluster::Cluster;
use crate::helm::{DEPLOYMENT, NAMESPACE};
use crate::progress::Step;
use crate::waiting::{Look, in_the_end};

/// The Lease of an operator of the whole cluster.
const LEASE: &str = "medallion-operator-cluster";
/// The old one ends what it does and gives the Lease back; one that was killed is waited for until its Lease has run out.
const HANDED_OVER: Duration = Duration::from_mins(2);

/// Helm waits until the new operator is ready; it leads only when the old one has given back its Lease.
pub async fn newest_leads(cluster: &Cluster, step: &Step) -> Result<()> {
    in_the_end(step, HANDED_OVER, Duration::from_millis(300), async || {
        let deployment = cluster.api::<Deployment>(NAMESPACE).get(DEPLOYMENT).await?;
        if !is_rolled_out(&deployment) {
            return Ok(Look::Waiting("the operator's Deployment rolls out".to_owned()));
        }
        // Once it is rolled out, all pods that do not end are of the newest template.
        let selector = ListParams::default().labels(&format!("app.kubernetes.io/name={DEPLOYMENT}"));
        let pods = cluster.api::<Pod>(NAMESPACE).list(&selector).await?;
        let lease = cluster.api::<Lease>(NAMESPACE).get(LEASE).await?;
        let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
        let leads = |pod: &Pod| pod.name_any() == holder && pod.metadata.deletion_timestamp.is_none();
        Ok(if pods.items.iter().any(leads) {
            Look::Done(())
        } else {
            Look::Waiting(format!(
                "the Lease is held by {holder:?}, which is not the new operator"
            ))
        })
    })
    .await
}

fn is_rolled_out(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    deployment.status.as_ref().is_some_and(|status| {
        status.observed_generation == deployment.metadata.generation
            && status.updated_replicas == wanted
            && status.replicas == wanted
            && status.available_replicas == wanted
    })
}
