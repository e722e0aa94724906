//! What stands in the cluster at one moment, as far as one pipeline is concerned. No network.

use std::collections::BTreeMap;
use std::ops::Deref;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use kube::{Resource, ResourceExt};
use medallion_crds::progress::Progress;
use medallion_crds::{PipelineStatus, Reason, StageRun, Worker, labels};
use serde::{Deserialize, Serialize};

use super::kept_pod::Pod;
use super::obstacle::Obstacle;
use super::shared::Shared;
use super::{job, pod};

/// Longer ago than this, what a worker said is not known to be true any more: its loop turns every few seconds.
const PROGRESS_SECONDS: i64 = 120;

/// What stands in the cluster.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Observed {
    /// What was true when the pipeline's status was last written.
    pub stored: PipelineStatus,
    /// The `ConfigMap` that holds the contract.
    pub contract: Contract,
    /// Deployments of this pipeline.
    pub deployments: Vec<Shared<Deployment>>,
    /// Jobs of this pipeline: the provisioner's and those of runs.
    pub jobs: Vec<Shared<Job>>,
    /// Pods of this pipeline.
    pub pods: Vec<Shared<Pod>>,
    /// Runs that name this pipeline.
    pub runs: Vec<Shared<StageRun>>,
    /// Newest accepted progress, by UID of the pod. A pod that does not answer is absent.
    pub progress: BTreeMap<String, Progress>,
    /// For how many seconds what a pod says has been standing still, by UID of the pod; absent: it has just been said.
    pub progress_ages: BTreeMap<String, i64>,
    /// Newest warning event of pods that do not start and of Jobs that get no pod, by UID of the pod or the Job.
    pub warnings: BTreeMap<String, String>,
    /// How many pipelines the operator runs: the more there are, the longer a changed image or configuration takes to reach all of them.
    pub pipelines: i64,
    /// What the last pass could not apply.
    pub apply_failure: Option<ApplyFailure>,
}

/// What could not be applied, all of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplyFailure {
    /// `Taken` where names are others', else `ApplyFailed`.
    pub reason: Reason,
    /// Each object, and what to do.
    pub message: String,
}

/// The `ConfigMap` that holds the contract.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state", deny_unknown_fields)]
pub enum Contract {
    /// Could not be looked at.
    #[default]
    Unknown,
    /// No such `ConfigMap`.
    Missing,
    /// The `ConfigMap` has other keys only.
    KeyMissing {
        /// The keys it has.
        keys: Vec<String>,
    },
    /// There.
    Found {
        /// Digest of the schema's text.
        digest: String,
    },
}

impl Observed {
    /// The deployment of a streaming worker.
    pub fn deployment(&self, name: &str) -> Option<&Deployment> {
        self.deployments
            .iter()
            .map(Deref::deref)
            .find(|deployment| deployment.metadata.name.as_deref() == Some(name))
    }

    /// A Job.
    pub fn job(&self, name: &str) -> Option<&Job> {
        self.jobs
            .iter()
            .map(Deref::deref)
            .find(|job| job.metadata.name.as_deref() == Some(name))
    }

    /// Pods of a Job, newest first.
    pub fn pods_of_job(&self, job: &Job) -> Vec<&Pod> {
        let uid = job.metadata.uid.as_deref();
        let mut pods: Vec<_> = self
            .pods
            .iter()
            .map(Deref::deref)
            .filter(|pod| {
                pod.owner_references()
                    .iter()
                    .any(|owner| uid == Some(owner.uid.as_str()))
            })
            .collect();
        pods.sort_by(|one, other| {
            let key = |pod: &Pod| (pod.metadata.creation_timestamp.clone(), pod.metadata.name.clone());
            key(other).cmp(&key(one))
        });
        pods
    }

    /// Pods of a streaming worker that are neither being deleted nor over.
    pub fn pods_of_worker(&self, worker: Worker) -> Vec<&Pod> {
        self.pods
            .iter()
            .map(Deref::deref)
            .filter(|pod| {
                pod.metadata.deletion_timestamp.is_none()
                    && !pod::has_ended(pod)
                    && pod
                        .labels()
                        .get(labels::WORKER)
                        .is_some_and(|word| word == worker.as_str())
            })
            .collect()
    }

    /// Newest progress of a pod, unless it is so old that nothing is known any more.
    pub fn progress_of(&self, pod: &Pod) -> Option<&Progress> {
        let progress = self.progress.get(pod.metadata.uid.as_deref()?)?;
        self.outdated(pod).is_none().then_some(progress)
    }

    /// How many seconds ago the newest progress of a pod was true, if that is too long ago.
    pub(crate) fn outdated(&self, pod: &Pod) -> Option<i64> {
        let age = *self.progress_ages.get(pod.metadata.uid.as_deref()?)?;
        (age > PROGRESS_SECONDS).then_some(age)
    }

    /// Newest warning event of a pod or a Job.
    pub fn warning_of<K: Resource>(&self, object: &K) -> Option<&str> {
        self.warnings.get(object.meta().uid.as_deref()?).map(String::as_str)
    }

    /// Jobs that have neither ended nor been given a pod.
    pub fn jobs_without_pods(&self) -> impl Iterator<Item = &Job> {
        self.jobs
            .iter()
            .map(Deref::deref)
            .filter(|job| job::end(job).is_none() && self.pods_of_job(job).is_empty())
    }

    /// What keeps a Job's pod from starting, or from being made.
    pub(crate) fn obstacle_of(&self, job: &Job, now: Timestamp) -> Option<Obstacle> {
        let namespace = job.namespace().unwrap_or_default();
        match self.pods_of_job(job).first() {
            Some(newest) => pod::obstacle(newest, self.warning_of(*newest), &namespace, now),
            None => self
                .warning_of(job)
                .map(|message| Obstacle::refused(message, &namespace)),
        }
    }

    /// Names of the settings that pods still have mounted.
    pub(crate) fn mounted_settings(&self) -> impl Iterator<Item = &str> {
        self.pods
            .iter()
            .filter_map(|pod| pod.spec.as_ref())
            .flat_map(|spec| &spec.volumes)
            .filter_map(|volume| volume.config_map.as_ref())
            .map(|source| source.name.as_str())
    }
}
