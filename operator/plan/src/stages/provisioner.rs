//! The provisioner: before all stages, one Job per try. No network.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use medallion_crds::launch::{LayerBuckets, ProvisionerSettings};
use medallion_crds::{PipelineStatus, Worker, labels};

use super::basis::Basis;
use super::entry::{StageEntry, Work};
use crate::build::pod::{self, Lifetime, PodRequest, WorkerPod};
use crate::build::settings::{self, Launch, LaunchSettings, digest};
use crate::build::volumes::SettingsFile;
use crate::build::{account, job, meta};
use crate::model::child::Child;
use crate::model::config::OperatorConfig;
use crate::model::names;
use crate::model::pipeline::ValidatedPipeline;

/// A try that takes longer is ended.
const TIMEOUT_SECONDS: i32 = 300;

const POD: WorkerPod = WorkerPod {
    worker: Worker::Provisioner,
    // What it has not looked at is looked at by the next try.
    grace_seconds: 30,
    serves_http: false,
    uses_aws: true,
    uses_kafka: true,
};

/// Its settings. The digest begins with that of the wish, whatever the pods are made from: what was found for a wish holds for other
/// pods too.
pub(crate) fn launch(basis: &Basis<'_>, settings: &LaunchSettings<'_>) -> Launch {
    let pipeline = settings.pipeline;
    let launch = settings.launch(
        None,
        &settings.config.images.workers,
        ProvisionerSettings {
            management: pipeline.management,
            contract: settings.contract(),
            kafka: settings.kafka(),
            group: settings.consumer_group(),
            partitions: pipeline.kafka.partitions,
            replication_factor: pipeline.kafka.copies(),
            table: pipeline.table.clone(),
            table_expires: pipeline.expire_after_days.is_some(),
            buckets: LayerBuckets {
                bronze: pipeline.lake.bronze.bucket.clone(),
                silver: pipeline.lake.silver.bucket.clone(),
                gold: pipeline.lake.gold.bucket.clone(),
            },
            lake: settings.lake(),
            warehouse: pipeline.warehouse.as_ref().map(settings::warehouse),
            warehouse_tables: pipeline
                .warehouse
                .iter()
                .flat_map(|it| &it.tables)
                .map(|it| it.name.clone())
                .collect(),
            timeout_seconds: 60,
        },
    );
    let wish = digest(&[&launch.text, &pipeline.schema_ref.name, settings.contract_digest]);
    let pods = digest(&[&launch.hash, &configured(basis)]);
    Launch {
        hash: format!("{wish}-{pods}"),
        ..launch
    }
}

/// Digest of what the administrator decides about the provisioner's pods and those that work all the time, the image apart. Those of
/// runs take up what is new one by one anyhow. Nothing of the pipeline is in it, so that what a user changes waits for no turn.
fn configured(basis: &Basis<'_>) -> String {
    let config = basis.config;
    let table = basis.table.iter();
    let lasting = table.filter(|entry| matches!(entry.work, Work::Streaming(_)));
    let workers: BTreeMap<_, _> = lasting
        .map(StageEntry::worker)
        .chain([Worker::Provisioner])
        .map(|worker| (worker, config.workers.get(&worker)))
        .collect();
    let sizes: Vec<_> = config
        .sizes
        .iter()
        .map(|(name, size)| (name, &size.resources, &size.node_selector, &size.tolerations))
        .collect();
    settings::digest_of(&(
        &config.image_pull_policy,
        &config.image_pull_secrets,
        &config.environment,
        &config.aws_credentials_secret,
        &config.trust_bundle,
        &config.default_size,
        sizes,
        workers,
    ))
}

/// Whether two digests are of the same wish.
pub(crate) fn is_same_wish(one: &str, other: &str) -> bool {
    one.split('-').next() == other.split('-').next()
}

/// Name of the Job of a try.
pub(crate) fn name(pipeline: &ValidatedPipeline, hash: &str, attempt: i32) -> String {
    names::provisioner(&pipeline.name, &digest(&[hash, &attempt.to_string()]))
}

/// Name of the Job of the try that a status is at; `None` while it is at none.
pub fn job_under_way(pipeline: &ValidatedPipeline, status: &PipelineStatus) -> Option<String> {
    let tries = status.provisioning.as_ref()?;
    let is_under_way = !tries.succeeded && tries.retry_time.is_none() && tries.attempt > 0;
    is_under_way.then(|| name(pipeline, &tries.hash, tries.attempt))
}

/// What the Job needs beforehand.
pub(crate) fn children(pipeline: &ValidatedPipeline, config: &OperatorConfig) -> Vec<Child> {
    let named = pipeline.provisioner.service_account_name.is_some();
    let made = (!named).then(|| account::service_account(pipeline, config, Worker::Provisioner));
    made.into_iter().collect()
}

/// The Job of a try.
pub(crate) fn job(pipeline: &ValidatedPipeline, config: &OperatorConfig, launch: &Launch, attempt: i32) -> Job {
    let name = name(pipeline, &launch.hash, attempt);
    let template = pod::template(
        pipeline,
        config,
        &PodRequest {
            pod: POD,
            stage: None,
            image: &config.images.workers,
            settings: SettingsFile::Annotation(&launch.text),
            settings_hash: &launch.hash,
            service_account: pipeline
                .provisioner
                .service_account_name
                .clone()
                .unwrap_or_else(|| names::child(&pipeline.name, Worker::Provisioner)),
            size: pipeline.provisioner.size.as_deref(),
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
    Job {
        metadata,
        spec: Some(job::spec(template, TIMEOUT_SECONDS)),
        status: None,
    }
}
