//! The plan as data: what is to be done, and what is said. No network.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use medallion_crds::pipeline::PipelineStatus;
use medallion_crds::text::cut;
use medallion_crds::{Reason, StageRun, StageRunStatus};
use serde::Serialize;
use thiserror::Error;

use super::child::Child;
use super::time;

/// What is to be done, in the order of the fields.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Children that must stand, whole.
    pub children: Vec<Child>,
    /// Children that stand as soon as what their stage waits for is there. They are not made yet, but nobody else may have their names.
    #[serde(skip)]
    pub later: Vec<Child>,
    /// `Kind/name` of the children that stay; others of this pipeline go. `None`: nothing goes.
    pub keep: Option<BTreeSet<String>>,
    /// `Kind/name` of children that go at once, whatever else is not well.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub remove: BTreeSet<String>,
    /// Steps of runs that exist. A run's status is stored before its Job is made.
    pub runs: Vec<PlannedRun>,
    /// The provisioner's Job.
    pub create_jobs: Vec<Job>,
    /// Runs to create.
    pub create_runs: Vec<StageRun>,
    /// Jobs that are no longer needed.
    pub delete_jobs: Vec<ObjectId>,
    /// Runs beyond the history limits.
    pub delete_runs: Vec<ObjectId>,
    /// What is true of the pipeline; `None` while it is being deleted.
    pub status: Option<PipelineStatus>,
    /// What users read in events, once the writes have succeeded.
    pub events: Vec<PlannedEvent>,
    /// When to plan again without any other reason to; `None` only while the pipeline is being deleted.
    pub wake_at: Option<Timestamp>,
}

impl Plan {
    /// This part of a plan, and another part after it.
    fn and(mut self, other: Self) -> Self {
        self.children.extend(other.children);
        self.later.extend(other.later);
        self.keep = self.keep.or(other.keep);
        self.remove.extend(other.remove);
        self.runs.extend(other.runs);
        self.create_jobs.extend(other.create_jobs);
        self.create_runs.extend(other.create_runs);
        self.delete_jobs.extend(other.delete_jobs);
        self.delete_runs.extend(other.delete_runs);
        self.status = self.status.or(other.status);
        self.events.extend(other.events);
        self.wake_at = time::earlier(self.wake_at, other.wake_at);
        self
    }
}

impl FromIterator<Plan> for Plan {
    fn from_iter<I: IntoIterator<Item = Plan>>(parts: I) -> Self {
        parts.into_iter().fold(Self::default(), Self::and)
    }
}

/// The next step of one run: at most one write of its status, then at most one Job.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedRun {
    /// The run.
    pub id: ObjectId,
    /// Its version at which this was decided: another version is another decision.
    pub resource_version: Option<String>,
    /// The status after the step, if it differs.
    pub status: Option<StageRunStatus>,
    /// Only the attempt's progress differs: the write may wait a few seconds.
    pub only_progress: bool,
    /// The attempt's Job. Its intent is stored already, or is by the status.
    pub create_job: Option<Box<Job>>,
}

/// One object, by name and UID, so that no other of that name is hit.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectId {
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
}

impl ObjectId {
    /// The object's name and UID, if the server gave it any.
    pub fn of(metadata: &ObjectMeta) -> Option<Self> {
        Some(Self {
            name: metadata.name.clone()?,
            uid: metadata.uid.clone()?,
        })
    }
}

/// An event on the pipeline.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedEvent {
    /// Whether somebody should look.
    pub warning: bool,
    /// CamelCase word.
    pub reason: Reason,
    /// The run or the condition that it is about.
    pub about: String,
    /// What happened.
    pub note: String,
}

impl PlannedEvent {
    pub(crate) fn normal(reason: Reason, about: &str, note: &str) -> Self {
        Self {
            warning: false,
            reason,
            about: cut(about, 128),
            note: cut(note, 1000),
        }
    }

    pub(crate) fn warning(reason: Reason, about: &str, note: &str) -> Self {
        Self {
            warning: true,
            ..Self::normal(reason, about, note)
        }
    }
}

/// Why no plan can be made.
#[derive(Debug, Error)]
pub enum PlanError {
    /// A status that has no JSON form.
    #[error("cannot write the status: {0}")]
    Status(#[source] serde_json::Error),
}
