//! The entries of the table of stages: everything that tells one stage from another. No network.

use medallion_crds::launch::RunSettings;
use medallion_crds::pipeline::{DependencyKind, PipelineSpec};
use medallion_crds::{Stage, Worker};

use crate::build::pod::WorkerPod;
use crate::build::settings::{Launch, LaunchSettings};
use crate::model::child::Child;
use crate::model::names;
use crate::model::pipeline::ValidatedPipeline;
use crate::model::product::Product;
use crate::model::wish::{StageWish, WorkWish};

/// Everything that tells one stage from another.
#[derive(Clone, Copy, Debug)]
pub struct StageEntry {
    /// The stage.
    pub stage: Stage,
    /// Its worker, and what is particular about its pods.
    pub pod: WorkerPod,
    /// The stage whose data it takes.
    pub upstream: Option<Stage>,
    /// The stage that forgets what this one would give it while it pauses: then this one pauses as well.
    pub pauses_with: Option<Stage>,
    /// What it cannot work without.
    pub needs: &'static [DependencyKind],
    /// What the user wants of the stage; `None`: the pipeline does without it.
    pub wish: fn(Stage, &PipelineSpec) -> Option<StageWish>,
    /// How it works.
    pub work: Work,
}

/// How a stage works.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// All the time.
    Streaming(Streaming),
    /// In runs, one after the other.
    Batch(Batch),
}

/// A stage that works all the time.
#[derive(Clone, Copy, Debug)]
pub struct Streaming {
    /// Its objects, accounts apart.
    pub children: fn(&StageRequest<'_>) -> Vec<Child>,
    /// How long its source keeps what is unread, in seconds, if that is the same everywhere.
    pub source_keeps_seconds: Option<i64>,
    /// The settings of its function on AWS Lambda, if it can be one.
    pub function: Option<fn(&LaunchSettings<'_>) -> Launch>,
}

/// A stage that works in runs.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Image and settings of an attempt; `None` while the image is not known, which the pipeline's faults say.
    pub launch: fn(&StageRequest<'_>, RunSettings) -> Option<(String, Launch)>,
    /// Whether a source table at a version (the first) holds what is not consumed up to a version (the second).
    pub is_new: fn(i64, i64) -> bool,
    /// What decides the stage's product beside its inputs; `None` while it is not known.
    pub product: fn(&ValidatedPipeline) -> Option<Product>,
}

/// What a stage's objects are made from.
pub struct StageRequest<'a> {
    /// What all settings are built from.
    pub settings: LaunchSettings<'a>,
    /// The stage.
    pub entry: &'a StageEntry,
    /// What the user wants of it.
    pub wish: &'a StageWish,
    /// Whether it pauses.
    pub suspended: bool,
}

impl StageEntry {
    /// The worker that does this stage.
    pub const fn worker(&self) -> Worker {
        self.pod.worker
    }

    /// Whether the next run of a stage waits for what the pods of this one say.
    pub fn starts_runs(&self, table: &[Self]) -> bool {
        let mut next = table.iter().filter(|entry| entry.upstream == Some(self.stage));
        matches!(self.work, Work::Streaming(_)) && next.any(|entry| matches!(entry.work, Work::Batch(_)))
    }
}

impl StageRequest<'_> {
    /// How many pods; `None`: an autoscaler may say.
    pub(crate) const fn replicas(&self) -> Option<i32> {
        match self.wish.work {
            WorkWish::Streaming { .. } if self.suspended => Some(0),
            WorkWish::Streaming { replicas, .. } => replicas,
            WorkWish::Batch(_) => None,
        }
    }

    /// Account of the stage's pods: the named one, or the one made for the worker.
    pub(crate) fn service_account(&self) -> String {
        let named = self.wish.service_account.clone();
        named.unwrap_or_else(|| names::child(&self.settings.pipeline.name, self.entry.worker()))
    }
}

/// For layers whose tables may be made anew: another version is another content.
pub(super) const fn is_other(found: i64, consumed: i64) -> bool {
    found != consumed
}
