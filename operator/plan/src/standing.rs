//! What the streaming workers share: settings, account, deployment. No network.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use medallion_crds::launch::SETTINGS_PATH;
use medallion_crds::pipeline::SecretKeyRef;
use medallion_crds::{Stage, Worker, labels};

use crate::child::Child;
use crate::config::OperatorConfig;
use crate::plan::PlanError;
use crate::pod::{self, Lifetime, PodRequest};
use crate::settings::{Launch, digest};
use crate::validate::ValidatedPipeline;
use crate::{meta, names};

/// A streaming worker.
pub(crate) struct Standing<'a> {
    pub stage: Stage,
    /// `None`: the object says nothing, an autoscaler may.
    pub replicas: Option<i32>,
    /// One pod at a time, the old one gone before the new one starts.
    pub recreate: bool,
    pub tokens: Option<&'a SecretKeyRef>,
    pub launch: &'a Launch,
}

/// Account, settings and deployment of a streaming worker.
pub(crate) fn children(
    pipeline: &ValidatedPipeline,
    config: &OperatorConfig,
    standing: &Standing<'_>,
) -> Result<Vec<Child>, PlanError> {
    let worker = standing.stage.worker();
    let settings = names::settings(&pipeline.name, worker, &standing.launch.hash);
    let mut template = pod::template(
        pipeline,
        config,
        &PodRequest {
            worker,
            stage: Some(standing.stage),
            image: &config.images.workers,
            settings: settings.clone(),
            settings_hash: &standing.launch.hash,
            service_account: pipeline.service_account(standing.stage),
            tokens: standing.tokens,
            lifetime: Lifetime::Standing,
            labels: BTreeMap::new(),
        },
    );
    if !standing.recreate
        && let Some(spec) = &mut template.spec
    {
        spec.topology_spread_constraints = Some(pod::spread(pipeline, worker));
    }
    let mut deployment = Deployment {
        metadata: meta::child(
            pipeline,
            names::child(&pipeline.name, worker),
            worker,
            Some(standing.stage),
        ),
        spec: Some(DeploymentSpec {
            replicas: standing.replicas,
            revision_history_limit: Some(2),
            selector: LabelSelector {
                match_labels: Some(meta::selector(pipeline, worker)),
                ..LabelSelector::default()
            },
            strategy: standing.recreate.then(|| DeploymentStrategy {
                type_: Some("Recreate".to_owned()),
                rolling_update: None,
            }),
            template,
            ..DeploymentSpec::default()
        }),
        status: None,
    };
    let planned = serde_json::to_string(&deployment).map_err(PlanError::Settings)?;
    deployment.metadata.annotations = Some(BTreeMap::from([(labels::PLANNED_HASH.to_owned(), digest(&[&planned]))]));
    let mut all = service_account(pipeline, worker);
    all.push(settings_map(
        pipeline,
        settings,
        worker,
        Some(standing.stage),
        &standing.launch.text,
    ));
    all.push(Child::Deployment(Box::new(deployment)));
    Ok(all)
}

/// The account made for a worker, unless all its stages name others.
pub(crate) fn service_account(pipeline: &ValidatedPipeline, worker: Worker) -> Vec<Child> {
    if !pipeline.makes_service_account(worker) {
        return Vec::new();
    }
    vec![Child::ServiceAccount(ServiceAccount {
        metadata: meta::child(pipeline, names::child(&pipeline.name, worker), worker, None),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    })]
}

/// The `ConfigMap` with a settings file.
pub(crate) fn settings_map(
    pipeline: &ValidatedPipeline,
    name: String,
    worker: Worker,
    stage: Option<Stage>,
    text: &str,
) -> Child {
    Child::ConfigMap(ConfigMap {
        metadata: meta::child(pipeline, name, worker, stage),
        data: Some(settings_data(text)),
        ..ConfigMap::default()
    })
}

/// The data of a `ConfigMap` with a settings file.
pub(crate) fn settings_data(text: &str) -> BTreeMap<String, String> {
    let file = SETTINGS_PATH.rsplit('/').next().unwrap_or(SETTINGS_PATH);
    BTreeMap::from([(file.to_owned(), text.to_owned())])
}
