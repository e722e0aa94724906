//! Makes the Job of a run's attempt, and then its settings as the Job's own, so that they go with it. Talks to the Kubernetes API.
//!
//! An operator that is ended between the two leaves a Job whose pod waits: the plan sees it and makes the settings as a child.

use std::time::Instant;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, ResourceExt};
use medallion_crds::labels;
use medallion_plan::PlannedJob;

use crate::api::call::call;
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::reconcile::apply::Applier;
use crate::reconcile::children::{Wanted, WriteError};
use crate::watch::room::StoredChild;

const KIND: &str = "ConfigMap";

impl Applier<'_> {
    /// The Job, and its settings after it.
    pub(super) async fn attempt(&mut self, planned: &PlannedJob) -> Result<(), WriteError> {
        let found = self.settings_before(planned).await?;
        let of_earlier_version = of_earlier_version(found, planned).map_err(WriteError::Object)?;
        let job = self.create("Job", planned.job.as_ref()).await?;
        let hash = |metadata: &ObjectMeta| metadata.annotations.as_ref()?.get(labels::SETTINGS_HASH).cloned();
        if hash(&job) != hash(&planned.job.metadata) {
            // One that stood already and was made from others: the plan gives it up.
            return Ok(());
        }
        let settings = planned.settings_of(job.uid.as_deref().unwrap_or_default());
        let wanted = Wanted::new(KIND, &settings.metadata, &settings).map_err(WriteError::Object)?;
        let client = &self.context.client;
        let written = match of_earlier_version {
            Some(metadata) => {
                let stored = StoredChild {
                    metadata,
                    was_created_plainly: true,
                    has_other_writers: true,
                };
                wanted.change(client, &stored).await?
            }
            None => wanted.create(client).await?,
        };
        Metrics::count(&self.context.metrics.writes, KIND);
        // The watch may show them late, and the plan would make them again.
        let written = wanted.written(&written, None, Instant::now());
        self.cache.written.insert(wanted.id(), written);
        Ok(())
    }

    /// What stands under the name of the settings before the Job is made, which mounts by name.
    async fn settings_before(&self, planned: &PlannedJob) -> Result<Option<ObjectMeta>, WriteError> {
        let name = planned.settings.name_any();
        if let Some(shown) = self.room.child(KIND, &name) {
            return Ok(Some(shown.metadata.clone()));
        }
        let api: Api<ConfigMap> = Api::namespaced(self.context.client.clone(), &self.pipeline.namespace);
        let found = call(|| format!("get {KIND} {name}"), api.get_metadata_opt(&name)).await?;
        Ok(found.map(|found| found.metadata))
    }
}

/// Those that an earlier version of the operator made before the Job, and gave to the run. A Job must not find what is somebody's, nor
/// what is about to go with another Job of its name.
fn of_earlier_version(found: Option<ObjectMeta>, planned: &PlannedJob) -> Result<Option<ObjectMeta>, Failure> {
    let Some(found) = found else { return Ok(None) };
    let name = planned.settings.name_any();
    let owners = found.owner_references.as_deref().unwrap_or_default();
    let is_of_run = || {
        let run = planned.job.owner_references().iter();
        run.map(|run| &run.uid)
            .any(|run| owners.iter().any(|owner| owner.uid == *run))
    };
    let is_of_job = || {
        let job = planned.job.name_any();
        owners.iter().any(|owner| owner.kind == "Job" && owner.name == job)
    };
    if found.deletion_timestamp.is_some() || is_of_job() {
        Err(Failure::Leaving { kind: KIND, name })
    } else if is_of_run() {
        Ok(Some(found))
    } else {
        Err(Failure::Taken { kind: KIND, name })
    }
}
