//! What stands of one pipeline. No network.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use medallion_crds::{Pipeline, StageRun};
use medallion_plan::Pod;

use crate::watch::guard::Guarded;

/// A pipeline, readable or not.
pub(crate) type GuardedPipeline = Guarded<Pipeline>;

/// A run, readable or not.
pub(crate) type GuardedRun = Guarded<StageRun>;

/// Objects of one kind by name.
pub(crate) type Shelf<T> = BTreeMap<Arc<str>, Arc<T>>;

/// What stands of one pipeline. A copy costs references only.
#[derive(Clone, Default)]
pub(crate) struct Room {
    /// The wish; absent while only things that name it are there.
    pub pipeline: Option<Arc<GuardedPipeline>>,
    pub runs: Shelf<StageRun>,
    /// Runs that this version cannot read; which pipeline they name is not known either.
    pub unreadable: Shelf<GuardedRun>,
    pub deployments: Shelf<Deployment>,
    pub jobs: Shelf<Job>,
    pub pods: Shelf<Pod>,
    /// Metadata of everything that was applied for it, by kind.
    pub children: HashMap<&'static str, Shelf<StoredChild>>,
}

/// A child as the watch shows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredChild {
    pub metadata: ObjectMeta,
    /// Somebody else has written fields beside metadata and status.
    pub has_other_writers: bool,
    /// It was made by a plain create, which a later apply has to take over first.
    pub was_created_plainly: bool,
}

impl StoredChild {
    /// One that a call has found: who wrote what is not known, so it counts as written by others too.
    pub const fn found(metadata: ObjectMeta) -> Self {
        Self {
            metadata,
            has_other_writers: true,
            was_created_plainly: true,
        }
    }
}

impl Room {
    /// A child that stands.
    pub fn child(&self, kind: &str, name: &str) -> Option<&Arc<StoredChild>> {
        self.children.get(kind)?.get(name)
    }

    /// Whether nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.pipeline.is_none()
            && self.runs.is_empty()
            && self.unreadable.is_empty()
            && self.deployments.is_empty()
            && self.jobs.is_empty()
            && self.pods.is_empty()
            && self.children.values().all(BTreeMap::is_empty)
    }
}
