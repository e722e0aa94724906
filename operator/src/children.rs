//! Writes a pipeline's children: one way of applying them, whatever their kind, and the sweep of those nobody planned. Talks to the Kubernetes API.

use std::collections::BTreeSet;
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::reflector::{Lookup, ObjectRef, Store};
use kube::{Api, Client, Resource};
use medallion_crds::labels;
use medallion_plan::{Child, ObjectId, ValidatedPipeline, digest};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::apply::ApplyError;
use crate::calls::{CallError, call};
use crate::context::Context;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::scope::Scope;

/// A child as it was last applied.
pub(crate) struct Applied {
    digest: String,
    /// What the write made of the object.
    after: Option<String>,
    /// What the store showed before the write: the store may be late.
    before: Before,
}

/// What the store showed before a write.
#[derive(PartialEq)]
enum Before {
    /// This, or nothing.
    Showed(Option<String>),
    /// It has shown the write since, so whatever it shows now is news.
    Overtaken,
}

/// Applies a child, unless it stands as it was last applied.
pub(crate) async fn apply(
    context: &Context,
    scope: &Scope,
    pipeline: &ValidatedPipeline,
    memory: &mut Memory,
    child: &Child,
) -> Result<(), ApplyError> {
    let stored = stored(scope, pipeline, child);
    if let Some(metadata) = &stored {
        check_owner(metadata, pipeline, child.kind())?;
    }
    let key = format!("{}/{}", child.kind(), child.name());
    let text = serde_json::to_string(child).map_err(|source| ApplyError::Encode {
        object: key.clone(),
        source,
    })?;
    let digest = digest(&[&text]);
    let seen = stored.as_ref().map(fingerprint);
    if let Some(known) = memory.applied.get_mut(&key).filter(|known| known.digest == digest) {
        if seen == known.after {
            known.before = Before::Overtaken;
            return Ok(());
        }
        if known.before == Before::Showed(seen.clone()) {
            return Ok(());
        }
    }
    let written = match child {
        Child::ServiceAccount(object) => patch(&context.client, pipeline, child, object).await,
        Child::ConfigMap(object) => patch(&context.client, pipeline, child, object).await,
        Child::Service(object) => patch(&context.client, pipeline, child, object.as_ref()).await,
        Child::PodDisruptionBudget(object) => patch(&context.client, pipeline, child, object.as_ref()).await,
        Child::Deployment(object) => patch(&context.client, pipeline, child, object.as_ref()).await,
    }?;
    Metrics::count(&context.metrics.writes, child.kind());
    tracing::debug!(kind = child.kind(), name = child.name(), "applied");
    memory.applied.insert(
        key,
        Applied {
            digest,
            after: Some(fingerprint(&written)),
            before: Before::Showed(seen),
        },
    );
    Ok(())
}

/// Whether the store lacks any of these children.
pub(crate) fn any_missing(scope: &Scope, pipeline: &ValidatedPipeline, children: &[Child]) -> bool {
    children.iter().any(|child| stored(scope, pipeline, child).is_none())
}

/// Applies an object as its only owner of the fields it names.
pub(crate) async fn patch<K>(
    client: &Client,
    pipeline: &ValidatedPipeline,
    child: &Child,
    object: &K,
) -> Result<ObjectMeta, CallError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Serialize,
{
    let api: Api<K> = Api::namespaced(client.clone(), &pipeline.namespace);
    let parameters = PatchParams::apply(labels::MANAGER).force();
    let applied = call(
        || format!("apply {} {}", child.kind(), child.name()),
        api.patch(child.name(), &parameters, &Patch::Apply(object)),
    )
    .await?;
    Ok(applied.meta().clone())
}

/// Removes this pipeline's children that are not to be kept.
pub(crate) async fn sweep(
    context: &Context,
    scope: &Scope,
    pipeline: &ValidatedPipeline,
    keep: &BTreeSet<String>,
) -> Result<(), CallError> {
    let deployments = scope
        .deployments
        .state()
        .into_iter()
        .map(|object| object.meta().clone());
    remove::<Deployment>(context, pipeline, keep, "Deployment", deployments).await?;
    remove::<PodDisruptionBudget>(context, pipeline, keep, "PodDisruptionBudget", metadata(&scope.budgets)).await?;
    remove::<Service>(context, pipeline, keep, "Service", metadata(&scope.services)).await?;
    remove::<ConfigMap>(context, pipeline, keep, "ConfigMap", metadata(&scope.config_maps)).await?;
    remove::<ServiceAccount>(
        context,
        pipeline,
        keep,
        "ServiceAccount",
        metadata(&scope.service_accounts),
    )
    .await
}

async fn remove<K>(
    context: &Context,
    pipeline: &ValidatedPipeline,
    keep: &BTreeSet<String>,
    kind: &'static str,
    all: impl Iterator<Item = ObjectMeta>,
) -> Result<(), CallError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let unplanned = all
        .filter(|metadata| metadata.namespace.as_ref() == Some(&pipeline.namespace) && is_owned(metadata, pipeline))
        .filter(|metadata| metadata.deletion_timestamp.is_none())
        .filter_map(|metadata| ObjectId::of(&metadata))
        .filter(|id| !keep.contains(&format!("{kind}/{}", id.name)));
    for id in unplanned.collect::<Vec<_>>() {
        delete::<K>(context, pipeline, kind, &id).await?;
    }
    Ok(())
}

/// Deletes exactly this object; that it is gone already is fine.
pub(crate) async fn delete<K>(
    context: &Context,
    pipeline: &ValidatedPipeline,
    kind: &'static str,
    id: &ObjectId,
) -> Result<(), CallError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(context.client.clone(), &pipeline.namespace);
    let exactly = Preconditions {
        uid: Some(id.uid.clone()),
        resource_version: None,
    };
    let parameters = DeleteParams::background().preconditions(exactly);
    match call(
        || format!("delete {kind} {}", id.name),
        api.delete(&id.name, &parameters),
    )
    .await
    {
        Ok(_) => {
            Metrics::count(&context.metrics.writes, kind);
            tracing::info!(kind, name = id.name, "deleted");
            Ok(())
        }
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}

/// An object of that name that is not this pipeline's is waited for if it is about to go, and left alone if not.
fn check_owner(metadata: &ObjectMeta, pipeline: &ValidatedPipeline, kind: &'static str) -> Result<(), ApplyError> {
    if is_owned(metadata, pipeline) {
        return Ok(());
    }
    let name = metadata.name.clone().unwrap_or_default();
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    if metadata.deletion_timestamp.is_some() || owners.iter().any(|owner| owner.name == pipeline.name) {
        return Err(ApplyError::Leaving { kind, name });
    }
    Err(ApplyError::Taken { kind, name })
}

fn is_owned(metadata: &ObjectMeta, pipeline: &ValidatedPipeline) -> bool {
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().any(|owner| owner.uid == pipeline.uid)
}

/// What changes when somebody else changes what we applied.
fn fingerprint(metadata: &ObjectMeta) -> String {
    let uid = metadata.uid.as_deref().unwrap_or_default();
    match metadata.generation {
        Some(generation) => format!("{uid}/{generation}"),
        None => format!("{uid}@{}", metadata.resource_version.as_deref().unwrap_or_default()),
    }
}

fn stored(scope: &Scope, pipeline: &ValidatedPipeline, child: &Child) -> Option<ObjectMeta> {
    let (name, namespace) = (child.name(), pipeline.namespace.as_str());
    match child {
        Child::ServiceAccount(_) => get(&scope.service_accounts, name, namespace),
        Child::ConfigMap(_) => get(&scope.config_maps, name, namespace),
        Child::Service(_) => get(&scope.services, name, namespace),
        Child::PodDisruptionBudget(_) => get(&scope.budgets, name, namespace),
        Child::Deployment(_) => get(&scope.deployments, name, namespace),
    }
}

fn get<K>(store: &Store<K>, name: &str, namespace: &str) -> Option<ObjectMeta>
where
    K: Resource<DynamicType = ()> + Lookup<DynamicType = ()> + Clone + 'static,
{
    store
        .get(&ObjectRef::new(name).within(namespace))
        .map(|object| object.meta().clone())
}

fn metadata<K>(store: &Store<K>) -> impl Iterator<Item = ObjectMeta>
where
    K: Resource<DynamicType = ()> + Lookup<DynamicType = ()> + Clone + 'static,
{
    store.state().into_iter().map(|object| object.meta().clone())
}
