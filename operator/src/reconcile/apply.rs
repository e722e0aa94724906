//! Carries a plan out, in the order that is safe to be interrupted anywhere. Talks to the Kubernetes API.
//!
//! Children first: what pods mount stands before pods. Then the steps of runs: a status before its Job. Then new runs, and
//! at the end what is no longer needed. Each write is decided by what stands, so the order of crashes does not matter.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use medallion_crds::{StageRun, labels};
use medallion_plan::{Child, Plan, PlannedJob, PlannedRun, ValidatedPipeline};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api::call::{CallError, call};
use crate::cache::{Cache, rest};
use crate::context::Context;
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::reconcile::children::{self, Step, Wanted, WriteError};
use crate::reconcile::since::{Since, since_step};
use crate::watch::room::Room;

/// How often a run's progress is written at most: what is two seconds old when it is known is ten seconds old then.
const PROGRESS: Duration = Duration::from_secs(8);

/// Look again after this long when something was decided on an old picture: the watch shows the new one soon.
pub(crate) const MOVED: Duration = Duration::from_millis(200);

/// What a plan is carried out on.
pub(crate) struct Applier<'a> {
    pub context: &'a Context,
    pub room: &'a Room,
    pub pipeline: &'a ValidatedPipeline,
    pub cache: &'a mut Cache,
    pub outcome: Outcome,
}

/// What carrying out a plan has shown.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Look again after this long, because something was put off or has moved meanwhile.
    pub again: Option<Duration>,
    /// What could not be made; what did not depend on it has been done.
    pub failures: Vec<Failure>,
    /// Runs whose step was not accepted: what it would have reported has not happened.
    pub refused_runs: HashSet<String>,
    /// `Kind/name` of what was tried.
    tried: HashSet<String>,
}

impl Outcome {
    fn look_again(&mut self, after: Duration) {
        self.again = Some(self.again.map_or(after, |other| other.min(after)));
    }
}

/// Whether carrying out the plan makes objects that do not stand yet.
pub(crate) fn creates(room: &Room, plan: &Plan) -> bool {
    !plan.create_jobs.is_empty()
        || !plan.create_runs.is_empty()
        || plan.runs.iter().any(|run| run.create_job.is_some())
        || plan
            .children
            .iter()
            .any(|child| room.child(child.kind(), child.name()).is_none())
}

impl Applier<'_> {
    /// Carries out everything but the pipeline's own status. Fails if the server does not work: then nothing else would succeed.
    pub async fn apply(&mut self, plan: &Plan) -> Result<(), CallError> {
        for child in &plan.children {
            self.child(child).await?;
        }
        for job in &plan.create_jobs {
            self.job(job).await?;
        }
        for run in &plan.runs {
            self.step(run).await?;
        }
        for run in &plan.create_runs {
            self.run(run).await?;
        }
        let namespace = &self.pipeline.namespace;
        let jobs: Api<Job> = Api::namespaced(self.context.client.clone(), namespace);
        for id in &plan.delete_jobs {
            let deleted = children::delete(&jobs, "Job", id).await;
            self.deleted("Job", &id.name, deleted)?;
        }
        let runs: Api<StageRun> = Api::namespaced(self.context.client.clone(), namespace);
        for id in &plan.delete_runs {
            let deleted = children::delete(&runs, "StageRun", id).await;
            self.deleted("StageRun", &id.name, deleted)?;
        }
        let keep = plan.keep.as_ref().filter(|_| self.outcome.failures.is_empty());
        let goes = |child: &str| plan.remove.contains(child) || keep.is_some_and(|keep| !keep.contains(child));
        let leaving: Vec<_> = children::leaving(self.room, self.pipeline, goes).collect();
        for (kind, id) in leaving {
            let api: Api<DynamicObject> =
                Api::namespaced_with(self.context.client.clone(), namespace, &(kind.resource)());
            let deleted = children::delete(&api, kind.name, &id).await;
            self.deleted(kind.name, &id.name, deleted)?;
        }
        self.cache.waits.retain(&self.outcome.tried);
        Ok(())
    }

    /// A child, unless it stands as it was last written.
    async fn child(&mut self, child: &Child) -> Result<(), CallError> {
        let wanted = match Wanted::new(child.kind(), child.metadata(), child) {
            Ok(wanted) => wanted,
            Err(failure) => {
                self.outcome.failures.push(failure);
                return Ok(());
            }
        };
        let id = wanted.id();
        if self.has_to_wait(&id, &wanted.digest) {
            return Ok(());
        }
        let stored = self.room.child(child.kind(), child.name()).map(AsRef::as_ref);
        let now = Instant::now();
        let client = &self.context.client;
        if let (Some(stored), Some(written)) = (stored, self.cache.written.get_mut(&id)) {
            Wanted::is_shown(stored, written);
        }
        let step = wanted.step(stored, self.cache.written.get(&id), now);
        let (word, written) = match (step, stored) {
            (Ok(Step::Nothing), _) => {
                self.cache.waits.done(&id);
                return Ok(());
            }
            (Ok(Step::Change), Some(stored)) => ("changed", wanted.change(client, stored).await),
            (Ok(_), _) => ("made", wanted.create(client).await),
            (Err(failure), _) => ("", Err(WriteError::Object(failure))),
        };
        if let Ok(answer) = &written {
            Metrics::count(&self.context.metrics.writes, wanted.kind());
            let (pipeline, namespace) = (&self.pipeline.name, &self.pipeline.namespace);
            tracing::info!(pipeline, namespace, "{id} {word}");
            self.cache
                .written
                .insert(id.clone(), wanted.written(answer, stored, now));
        }
        self.settle(&id, &wanted.digest, written.map(|_| ()))
    }

    /// Whether an object has failed a moment ago; then it counts as failing still.
    fn has_to_wait(&mut self, id: &str, digest: &str) -> bool {
        self.outcome.tried.insert(id.to_owned());
        let Some((failure, rest)) = self.cache.waits.rest(id, digest, Instant::now()) else {
            return false;
        };
        self.outcome.failures.push(failure);
        self.outcome.look_again(rest);
        true
    }

    /// Takes note of how a write has ended.
    fn settle(&mut self, id: &str, digest: &str, result: Result<(), WriteError>) -> Result<(), CallError> {
        match result {
            Ok(()) => self.cache.waits.done(id),
            Err(WriteError::Moved) => self.outcome.look_again(MOVED),
            Err(WriteError::Call(error)) => return Err(error),
            Err(WriteError::Object(failure)) => {
                Metrics::count(&self.context.metrics.failures, failure.word());
                let rest = self.cache.waits.failed(id, digest, failure.clone(), Instant::now());
                self.outcome.failures.push(failure);
                self.outcome.look_again(rest);
            }
        }
        Ok(())
    }

    fn deleted(&mut self, kind: &'static str, name: &str, result: Result<bool, CallError>) -> Result<(), CallError> {
        match result {
            Ok(true) => {
                Metrics::count(&self.context.metrics.writes, kind);
                let (pipeline, namespace) = (&self.pipeline.name, &self.pipeline.namespace);
                tracing::info!(pipeline, namespace, "{kind}/{name} removed");
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(error) => {
                let id = format!("delete {kind}/{name}");
                self.outcome.tried.insert(id.clone());
                self.settle(&id, "", Err(error.into()))
            }
        }
    }

    /// A status before its Job.
    async fn step(&mut self, run: &PlannedRun) -> Result<(), CallError> {
        if let Some(status) = &run.status {
            let written = self.cache.run_written.get(&run.id.uid).copied();
            if let Some(rest) = rest(written, PROGRESS).filter(|_| run.only_progress) {
                self.outcome.look_again(rest);
                return Ok(());
            }
            let id = format!("StageRun/{}/status", run.id.name);
            if self.has_to_wait(&id, "") {
                self.outcome.refused_runs.insert(run.id.name.clone());
                return Ok(());
            }
            let patch = json!({
                "apiVersion": StageRun::api_version(&()),
                "kind": StageRun::kind(&()),
                // The version makes it a compare-and-swap: two operators never count one attempt twice.
                "metadata": {"name": run.id.name, "uid": run.id.uid, "resourceVersion": run.resource_version},
                "status": status,
            });
            let api: Api<StageRun> = Api::namespaced(self.context.client.clone(), &self.pipeline.namespace);
            let parameters = PatchParams::apply(labels::MANAGER).force();
            let patch = Patch::Apply(&patch);
            let patched = api.patch_status(&run.id.name, &parameters, &patch);
            match call(|| format!("write status of StageRun {}", run.id.name), patched).await {
                Ok(_) => {
                    Metrics::count(&self.context.metrics.writes, "StageRun/status");
                    self.cache.run_written.insert(run.id.uid.clone(), Instant::now());
                    self.cache.waits.done(&id);
                }
                Err(error) => {
                    self.outcome.refused_runs.insert(run.id.name.clone());
                    // One decided on an old picture: nothing is done, the next picture decides.
                    return self.settle(&id, "", Err(error.into()));
                }
            }
        }
        if let Some(job) = &run.create_job {
            if since_step(&self.context.client, &self.pipeline.namespace, run).await? != Since::Same {
                self.outcome.look_again(MOVED);
                return Ok(());
            }
            self.job(job).await?;
        }
        Ok(())
    }

    /// A Job and what it mounts.
    async fn job(&mut self, planned: &PlannedJob) -> Result<(), CallError> {
        let name = planned.job.name_any();
        let id = format!("Job/{name}");
        if self.has_to_wait(&id, "") {
            return Ok(());
        }
        let made = if planned.shares_settings() {
            self.job_of_many(planned).await
        } else {
            self.attempt(planned).await
        };
        self.settle(&id, "", made)
    }

    /// A Job whose settings are of others too: they stand before it.
    async fn job_of_many(&mut self, planned: &PlannedJob) -> Result<(), WriteError> {
        self.settings(&planned.settings, None).await?;
        self.create("Job", planned.job.as_ref()).await.map(|_| ())
    }

    async fn run(&mut self, run: &StageRun) -> Result<(), CallError> {
        let id = format!("StageRun/{}", run.name_any());
        if self.has_to_wait(&id, "") {
            return Ok(());
        }
        let made = self.create("StageRun", run).await;
        self.settle(&id, "", made.map(|_| ()))
    }

    /// Creates an object that is made once and never changed; one that is there already is the same, if its owner is. Tells what the
    /// server knows it by.
    pub(super) async fn create<K>(&self, kind: &'static str, object: &K) -> Result<ObjectMeta, WriteError>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + Serialize
            + DeserializeOwned,
    {
        let namespace = &self.pipeline.namespace;
        let api: Api<K> = Api::namespaced(self.context.client.clone(), namespace);
        let name = object.name_any();
        let parameters = PostParams {
            field_manager: Some(labels::MANAGER.to_owned()),
            ..PostParams::default()
        };
        match call(|| format!("create {kind} {name}"), api.create(&parameters, object)).await {
            Ok(made) => {
                Metrics::count(&self.context.metrics.writes, kind);
                tracing::info!(pipeline = self.pipeline.name, namespace, "{kind}/{name} made");
                Ok(made.meta().clone())
            }
            Err(error) if error.already_exists() => {
                let found = call(|| format!("get {kind} {name}"), api.get_metadata_opt(&name)).await?;
                let found = found.ok_or(WriteError::Moved)?;
                children::same_owner(&found.metadata, object.meta(), kind).map_err(WriteError::Object)?;
                Ok(found.metadata)
            }
            Err(error) => Err(error.into()),
        }
    }
}
