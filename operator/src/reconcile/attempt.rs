//! Makes the Job of a run's attempt, and then its settings as the Job's own, so that they go with it. Talks to the Kubernetes API.
//!
//! An operator that is ended between the two leaves a Job whose pod waits: the plan sees it and makes the settings as a child.

use std::time::Instant;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, ResourceExt};
use medallion_crds::labels;
use medallion_plan::PlannedJob;

use crate::api::call::{CallError, call};
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::reconcile::apply::{Applier, Before};
use crate::reconcile::children::{Wanted, WriteError, same_owner};
use crate::watch::room::StoredChild;

const KIND: &str = "ConfigMap";

impl Applier<'_> {
    /// What stands under the name of an attempt's settings.
    pub(super) async fn before_attempt(&mut self, planned: &PlannedJob) -> Result<Before, CallError> {
        let id = format!("{KIND}/{}", planned.settings.name_any());
        if self.has_to_wait(&id, "") {
            return Ok(Before::InTheWay);
        }
        let found = match self.settings_before(planned).await {
            Ok(found) => of_earlier_version(found, planned).map_err(WriteError::Object),
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => {
                self.settle(&id, "", Ok(()))?;
                Ok(found.map_or(Before::Nothing, |found| Before::OfEarlierVersion(Box::new(found))))
            }
            Err(error) => {
                self.settle(&id, "", Err(error))?;
                Ok(Before::InTheWay)
            }
        }
    }

    /// The Job, and its settings after it.
    pub(super) async fn attempt(
        &mut self,
        planned: &PlannedJob,
        of_earlier_version: Option<ObjectMeta>,
    ) -> Result<(), WriteError> {
        let job = self.create("Job", planned.job.as_ref()).await?;
        let hash = |metadata: &ObjectMeta| metadata.annotations.as_ref()?.get(labels::SETTINGS_HASH).cloned();
        if hash(&job) != hash(&planned.job.metadata) {
            // One that stood already and was made from others: the plan gives it up.
            return Ok(());
        }
        let settings = planned.settings_of(job.uid.as_deref().unwrap_or_default());
        self.settings(&settings, of_earlier_version).await
    }

    /// The settings of a Job, over those of an earlier version if there are any.
    async fn settings(
        &mut self,
        settings: &ConfigMap,
        of_earlier_version: Option<ObjectMeta>,
    ) -> Result<(), WriteError> {
        let wanted = Wanted::new(KIND, &settings.metadata, settings).map_err(WriteError::Object)?;
        let client = &self.context.client;
        let written = match of_earlier_version {
            Some(metadata) => wanted.change(client, &StoredChild::found(metadata)).await?,
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
    let of_run = ObjectMeta {
        name: planned.settings.metadata.name.clone(),
        owner_references: planned.job.metadata.owner_references.clone(),
        ..ObjectMeta::default()
    };
    let is_of_run = same_owner(&found, &of_run, KIND);
    if matches!(is_of_run, Err(Failure::Taken { .. })) {
        // The Job is not made yet: any that owns them is an earlier one of its name.
        same_owner(&found, &planned.settings_of("").metadata, KIND)?;
    }
    is_of_run.map(|()| Some(found))
}
