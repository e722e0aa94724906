//! Labels, owners and metadata of children. No network.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use medallion_crds::{Pipeline, Stage, StageRun, Worker, labels};

use crate::model::pipeline::ValidatedPipeline;

/// The labels by which a worker's pods are selected; they never change.
pub(crate) fn selector(pipeline: &ValidatedPipeline, worker: Worker) -> BTreeMap<String, String> {
    BTreeMap::from([
        (labels::PIPELINE.to_owned(), pipeline.name.clone()),
        (labels::WORKER.to_owned(), worker.to_string()),
    ])
}

/// All labels of a worker's children.
pub(crate) fn labels(pipeline: &ValidatedPipeline, worker: Worker, stage: Option<Stage>) -> BTreeMap<String, String> {
    let mut all = selector(pipeline, worker);
    all.insert(labels::MANAGED_BY.to_owned(), labels::MANAGER.to_owned());
    all.insert("app.kubernetes.io/name".to_owned(), worker.to_string());
    all.insert("app.kubernetes.io/part-of".to_owned(), "medallion".to_owned());
    if let Some(stage) = stage {
        all.insert(labels::STAGE.to_owned(), stage.to_string());
    }
    all
}

/// Metadata of a child of the pipeline.
pub(crate) fn child(pipeline: &ValidatedPipeline, name: String, worker: Worker, stage: Option<Stage>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(pipeline.namespace.clone()),
        labels: Some(labels(pipeline, worker, stage)),
        owner_references: Some(vec![pipeline_owner(pipeline)]),
        ..ObjectMeta::default()
    }
}

/// Owner reference to the pipeline.
pub(crate) fn pipeline_owner(pipeline: &ValidatedPipeline) -> OwnerReference {
    owner::<Pipeline>(&pipeline.name, &pipeline.uid)
}

/// Owner reference to a run.
pub(crate) fn run_owner(run: &StageRun) -> OwnerReference {
    owner::<StageRun>(
        run.metadata.name.as_deref().unwrap_or_default(),
        run.metadata.uid.as_deref().unwrap_or_default(),
    )
}

fn owner<K: Resource<DynamicType = ()>>(name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}
