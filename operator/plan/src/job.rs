//! The Job of one attempt: never repeated by Kubernetes, because only the operator counts attempts. No network.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::{ConfigMap, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use medallion_crds::launch::RunSettings;
use medallion_crds::{Stage, StageRun, labels};

use crate::config::OperatorConfig;
use crate::plan::PlanError;
use crate::pod::{self, Lifetime, PodRequest};
use crate::settings::{Launch, digest};
use crate::validate::ValidatedPipeline;
use crate::{meta, names, standing};

/// A Job and what it mounts; the settings are applied first.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PlannedJob {
    /// The settings.
    pub settings: ConfigMap,
    /// The Job.
    pub job: Box<Job>,
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
    pub recipe: &'a Recipe,
    /// Digest without the run's own part.
    pub launch_hash: &'a str,
    pub timeout_seconds: i32,
}

/// The Job of an attempt.
pub(crate) fn attempt(pipeline: &ValidatedPipeline, config: &OperatorConfig, attempt: &Attempt<'_>) -> PlannedJob {
    let stage = attempt.run.spec.stage;
    let worker = stage.worker();
    let run_name = attempt.run.metadata.name.clone().unwrap_or_default();
    let name = names::attempt(&run_name, attempt.number);
    let own = BTreeMap::from([
        (labels::RUN.to_owned(), run_name),
        (labels::ATTEMPT.to_owned(), attempt.number.to_string()),
    ]);
    let mut all_labels = meta::labels(pipeline, worker, Some(stage));
    all_labels.extend(own.clone());
    let metadata = ObjectMeta {
        name: Some(name.clone()),
        namespace: Some(pipeline.namespace.clone()),
        labels: Some(all_labels),
        annotations: Some(BTreeMap::from([
            (labels::SETTINGS_HASH.to_owned(), attempt.recipe.launch.hash.clone()),
            (labels::LAUNCH_HASH.to_owned(), attempt.launch_hash.to_owned()),
        ])),
        owner_references: Some(vec![meta::run_owner(attempt.run)]),
        ..ObjectMeta::default()
    };
    let template = template(pipeline, config, stage, attempt.recipe, name, own);
    PlannedJob {
        settings: ConfigMap {
            metadata: metadata.clone(),
            data: Some(standing::settings_data(&attempt.recipe.launch.text)),
            ..ConfigMap::default()
        },
        job: Box::new(Job {
            metadata,
            spec: Some(spec(template, attempt.timeout_seconds)),
            status: None,
        }),
    }
}

fn template(
    pipeline: &ValidatedPipeline,
    config: &OperatorConfig,
    stage: Stage,
    recipe: &Recipe,
    settings: String,
    labels: BTreeMap<String, String>,
) -> PodTemplateSpec {
    pod::template(
        pipeline,
        config,
        &PodRequest {
            worker: stage.worker(),
            stage: Some(stage),
            image: &recipe.image,
            settings,
            settings_hash: &recipe.launch.hash,
            service_account: pipeline.service_account(stage),
            tokens: None,
            lifetime: Lifetime::OneAttempt,
            labels,
        },
    )
}

/// Digest of everything that the pods of a stage's runs are made from, by the recipe for any run: another digest is another chance.
pub(crate) fn launch_hash(
    pipeline: &ValidatedPipeline,
    config: &OperatorConfig,
    stage: Stage,
    recipe: &Recipe,
) -> Result<String, PlanError> {
    let template = template(pipeline, config, stage, recipe, String::new(), BTreeMap::new());
    let text = serde_json::to_string(&template).map_err(PlanError::Settings)?;
    Ok(digest(&[&text]))
}

/// The run's part of the settings.
pub(crate) fn run_settings(run: &StageRun, attempt: i32, now: jiff::Timestamp) -> RunSettings {
    RunSettings {
        name: run.metadata.name.clone().unwrap_or_default(),
        uid: run.metadata.uid.clone().unwrap_or_default(),
        attempt,
        // The run's own time, the same in every attempt; only an object the server never stored has none.
        as_of: run.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0),
        inputs: run.spec.inputs.clone(),
    }
}

/// A run part that stands for any run: what is left is the same for all runs of a stage.
pub(crate) fn any_run() -> RunSettings {
    RunSettings {
        name: String::new(),
        uid: String::new(),
        attempt: 0,
        as_of: jiff::Timestamp::UNIX_EPOCH,
        inputs: Vec::new(),
    }
}

/// Image and settings of an attempt.
pub(crate) struct Recipe {
    pub image: String,
    pub launch: Launch,
}
