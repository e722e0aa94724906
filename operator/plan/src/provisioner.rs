//! The provisioner's Job, one per try. No network.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use medallion_crds::{Worker, labels};

use crate::child::Child;
use crate::config::OperatorConfig;
use crate::job::{self, PlannedJob};
use crate::pod::{self, Lifetime, PodRequest};
use crate::settings::{Launch, digest};
use crate::validate::ValidatedPipeline;
use crate::{meta, names, standing};

/// A try that takes longer is ended.
const TIMEOUT_SECONDS: i32 = 300;

/// Name of the settings of all tries of one wish: one object, however often it takes.
pub(crate) fn settings_name(pipeline: &ValidatedPipeline, hash: &str) -> String {
    names::settings(&pipeline.name, Worker::Provisioner, hash)
}

/// Name of the Job of a try.
pub(crate) fn name(pipeline: &ValidatedPipeline, hash: &str, attempt: i32) -> String {
    names::provisioner(&pipeline.name, &digest(&[hash, &attempt.to_string()]))
}

/// What the Job needs beforehand.
pub(crate) fn children(pipeline: &ValidatedPipeline) -> Vec<Child> {
    standing::service_account(pipeline, Worker::Provisioner)
}

/// The Job of a try.
pub(crate) fn job(pipeline: &ValidatedPipeline, config: &OperatorConfig, launch: &Launch, attempt: i32) -> PlannedJob {
    let name = name(pipeline, &launch.hash, attempt);
    let settings = settings_name(pipeline, &launch.hash);
    let template = pod::template(
        pipeline,
        config,
        &PodRequest {
            worker: Worker::Provisioner,
            stage: None,
            image: &config.images.workers,
            settings: settings.clone(),
            settings_hash: &launch.hash,
            service_account: names::child(&pipeline.name, Worker::Provisioner),
            tokens: None,
            lifetime: Lifetime::OneAttempt,
            labels: BTreeMap::new(),
        },
    );
    let mut metadata = meta::child(pipeline, name, Worker::Provisioner, None);
    metadata.annotations = Some(BTreeMap::from([(
        labels::SETTINGS_HASH.to_owned(),
        launch.hash.clone(),
    )]));
    PlannedJob {
        settings: ConfigMap {
            metadata: ObjectMeta {
                name: Some(settings),
                ..metadata.clone()
            },
            data: Some(standing::settings_data(&launch.text)),
            ..ConfigMap::default()
        },
        job: Box::new(Job {
            metadata,
            spec: Some(job::spec(template, TIMEOUT_SECONDS)),
            status: None,
        }),
    }
}
