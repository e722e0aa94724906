//! The Job of one attempt: never repeated by Kubernetes, because only the operator counts attempts. No network.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use medallion_crds::{Stage, StageRun, labels};

use super::meta;
use super::pod::{self, Lifetime, PodRequest, WorkerPod};
use super::settings::{self, Launch};
use super::volumes::SettingsFile;
use crate::model::config::OperatorConfig;
use crate::model::names;
use crate::model::pipeline::ValidatedPipeline;
use crate::model::product::Product;

/// What the pods of a stage's runs are made from.
#[derive(Clone, Debug)]
pub struct LaunchTemplate {
    /// The stage.
    pub stage: Stage,
    /// Its worker.
    pub pod: WorkerPod,
    /// Its account.
    pub service_account: String,
    /// Wished size class.
    pub size: Option<String>,
    /// Image of the pods.
    pub image: String,
    /// The settings file.
    pub launch: Launch,
}

/// A Job's body.
pub(crate) fn spec(template: PodTemplateSpec, timeout_seconds: i32) -> JobSpec {
    JobSpec {
        active_deadline_seconds: Some(i64::from(timeout_seconds)),
        backoff_limit: Some(0),
        completions: Some(1),
        parallelism: Some(1),
        pod_failure_policy: Some(PodFailurePolicy {
            // An eviction is nobody's failure: Kubernetes starts the same attempt in another pod.
            rules: vec![PodFailurePolicyRule {
                action: "Ignore".to_owned(),
                on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
                    status: "True".to_owned(),
                    type_: "DisruptionTarget".to_owned(),
                }]),
                ..PodFailurePolicyRule::default()
            }],
        }),
        pod_replacement_policy: Some("Failed".to_owned()),
        template,
        ..JobSpec::default()
    }
}

/// What an attempt of a run works with.
pub(crate) struct Attempt<'a> {
    pub run: &'a StageRun,
    pub number: i32,
    pub template: &'a LaunchTemplate,
    /// Digest without the run's own part.
    pub launch_hash: &'a str,
    /// What decides the product beside the run's inputs.
    pub product: Option<&'a Product>,
    pub timeout_seconds: i32,
}

/// The Job of an attempt.
pub(crate) fn attempt(pipeline: &ValidatedPipeline, config: &OperatorConfig, attempt: &Attempt<'_>) -> Job {
    let template = attempt.template;
    let run_name = attempt.run.metadata.name.clone().unwrap_or_default();
    let own = BTreeMap::from([
        (labels::RUN.to_owned(), run_name.clone()),
        (labels::ATTEMPT.to_owned(), attempt.number.to_string()),
    ]);
    let mut all_labels = meta::labels(pipeline, template.pod.worker, Some(template.stage));
    all_labels.extend(own.clone());
    let mut annotations = BTreeMap::from([
        (labels::SETTINGS_HASH.to_owned(), template.launch.hash.clone()),
        (labels::LAUNCH_HASH.to_owned(), attempt.launch_hash.to_owned()),
    ]);
    if let Some(product) = attempt.product {
        annotations.insert(labels::PRODUCT_HASH.to_owned(), product.digest.clone());
    }
    let metadata = ObjectMeta {
        name: Some(names::attempt(&run_name, attempt.number)),
        namespace: Some(pipeline.namespace.clone()),
        labels: Some(all_labels),
        annotations: Some(annotations),
        owner_references: Some(vec![meta::run_owner(attempt.run)]),
        ..ObjectMeta::default()
    };
    let pod = pod_template(pipeline, config, template, own);
    Job {
        metadata,
        spec: Some(spec(pod, attempt.timeout_seconds)),
        status: None,
    }
}

fn pod_template(
    pipeline: &ValidatedPipeline,
    config: &OperatorConfig,
    template: &LaunchTemplate,
    labels: BTreeMap<String, String>,
) -> PodTemplateSpec {
    pod::template(
        pipeline,
        config,
        &PodRequest {
            pod: template.pod,
            stage: Some(template.stage),
            image: &template.image,
            settings: SettingsFile::Annotation(&template.launch.text),
            settings_hash: &template.launch.hash,
            service_account: template.service_account.clone(),
            size: template.size.as_deref(),
            tokens: None,
            lifetime: Lifetime::OneAttempt,
            labels,
        },
    )
}

/// Digest of everything that the pods of a stage's runs are made from, by the template for any run: another digest is another chance.
pub(crate) fn launch_hash(pipeline: &ValidatedPipeline, config: &OperatorConfig, any_run: &LaunchTemplate) -> String {
    settings::digest_of(&pod_template(pipeline, config, any_run, BTreeMap::new()))
}
