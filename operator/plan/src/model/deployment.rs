//! Reads what Deployments say about themselves. No network.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use medallion_crds::{Worker, labels};

use super::child::Child;
use super::names;
use super::obstacle::Obstacle;

/// Why a Deployment gets no pods.
pub(crate) fn refused(deployment: &Deployment, namespace: &str) -> Option<Obstacle> {
    let conditions = deployment.status.as_ref()?.conditions.as_deref()?;
    let failure = conditions
        .iter()
        .find(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True")?;
    Some(Obstacle::refused(
        failure.message.as_deref().unwrap_or_default(),
        namespace,
    ))
}

/// Whether a Deployment wants no pods.
pub(crate) fn is_at_rest(deployment: &Deployment) -> bool {
    deployment.spec.as_ref().and_then(|spec| spec.replicas) == Some(0)
}

/// Digest of what is planned for a worker's Deployment; `None` while nothing is.
pub(crate) fn planned_hash<'a>(children: &'a [Child], pipeline_name: &str, worker: Worker) -> Option<&'a str> {
    let name = names::child(pipeline_name, worker);
    children
        .iter()
        .filter(|child| matches!(child, Child::Deployment(_)) && child.name() == name)
        .find_map(|child| hash_of(child.metadata()))
}

fn hash_of(metadata: &ObjectMeta) -> Option<&str> {
    Some(metadata.annotations.as_ref()?.get(labels::PLANNED_HASH)?)
}

/// Whether the plan stands there and no pod is of an earlier one, however many of them are there yet.
pub(crate) fn is_of_one_template(deployment: &Deployment, planned: Option<&str>) -> bool {
    let status = deployment.status.as_ref();
    planned.is_none_or(|planned| hash_of(&deployment.metadata) == Some(planned))
        && status
            .is_some_and(|status| status.replicas.unwrap_or_default() == status.updated_replicas.unwrap_or_default())
}

/// Whether the plan stands there, and not an earlier one that was carried out long ago, and all pods are of it.
pub(crate) fn is_rolled_out(deployment: &Deployment, planned: Option<&str>) -> bool {
    let Some(status) = deployment.status.as_ref() else {
        return false;
    };
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    planned.is_none_or(|planned| hash_of(&deployment.metadata) == Some(planned))
        && status.observed_generation >= deployment.metadata.generation
        && status.updated_replicas.unwrap_or_default() >= wanted
        && status.replicas.unwrap_or_default() == status.updated_replicas.unwrap_or_default()
        && status.available_replicas.unwrap_or_default() >= wanted
}
