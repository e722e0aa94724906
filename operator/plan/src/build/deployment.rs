//! What runs all the time: its settings and its Deployment. No network.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use medallion_crds::pipeline::SecretKeyRef;
use medallion_crds::{Stage, labels};

use super::meta;
use super::pod::{self, Lifetime, PodRequest, WorkerPod};
use super::settings::{self, Launch};
use super::volumes::SettingsFile;
use crate::model::child::Child;
use crate::model::config::OperatorConfig;
use crate::model::names;
use crate::model::pipeline::ValidatedPipeline;

/// What the Deployment of a streaming stage is made from.
pub(crate) struct DeploymentRequest<'a> {
    pub stage: Stage,
    pub pod: WorkerPod,
    /// `None`: the object says nothing, an autoscaler may.
    pub replicas: Option<i32>,
    /// One pod at a time, the old one gone before the new one starts.
    pub recreate: bool,
    pub tokens: Option<&'a SecretKeyRef>,
    pub service_account: String,
    pub size: Option<&'a str>,
    pub launch: &'a Launch,
}

/// Settings and Deployment of a streaming stage.
pub(crate) fn children(
    pipeline: &ValidatedPipeline,
    config: &OperatorConfig,
    request: DeploymentRequest<'_>,
) -> Vec<Child> {
    let worker = request.pod.worker;
    let settings = names::settings(&pipeline.name, worker, &request.launch.hash);
    let mut template = pod::template(
        pipeline,
        config,
        &PodRequest {
            pod: request.pod,
            stage: Some(request.stage),
            image: &config.images.workers,
            settings: SettingsFile::ConfigMap(&settings),
            settings_hash: &request.launch.hash,
            service_account: request.service_account,
            size: request.size,
            tokens: request.tokens,
            lifetime: Lifetime::UntilReplaced,
            labels: BTreeMap::new(),
        },
    );
    if !request.recreate
        && let Some(spec) = &mut template.spec
    {
        spec.topology_spread_constraints = Some(pod::spread(pipeline, worker));
    }
    let mut deployment = Deployment {
        metadata: meta::child(
            pipeline,
            names::child(&pipeline.name, worker),
            worker,
            Some(request.stage),
        ),
        spec: Some(DeploymentSpec {
            replicas: request.replicas,
            revision_history_limit: Some(2),
            selector: LabelSelector {
                match_labels: Some(meta::selector(pipeline, worker)),
                ..LabelSelector::default()
            },
            strategy: request.recreate.then(|| DeploymentStrategy {
                type_: Some("Recreate".to_owned()),
                rolling_update: None,
            }),
            template,
            ..DeploymentSpec::default()
        }),
        status: None,
    };
    let planned = settings::digest_of(&deployment);
    deployment.metadata.annotations = Some(BTreeMap::from([(labels::PLANNED_HASH.to_owned(), planned)]));
    vec![
        Child::ConfigMap(ConfigMap {
            metadata: meta::child(pipeline, settings, worker, Some(request.stage)),
            data: Some(settings::data(&request.launch.text)),
            ..ConfigMap::default()
        }),
        Child::Deployment(Box::new(deployment)),
    ]
}
