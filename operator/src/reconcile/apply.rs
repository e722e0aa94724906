//! Carries a plan out, in the order that is safe to be interrupted anywhere. Talks to the Kubernetes API.
//!
//! Children first: what pods run as and mount stands before pods, and where it is somebody else's, no pods are made from it. Then the
//! steps of runs: a status before its Job. Then new runs, and at the end what is no longer needed. Each write is decided by what stands,
//! so the order of crashes does not matter.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::{Api, Resource, ResourceExt};
use medallion_crds::{StageRun, labels};
use medallion_plan::{Child, Plan, PlannedRun, ValidatedPipeline, job_uses};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::call::{CallError, call};
use crate::api::status::replace;
use crate::cache::{Cache, rest};
use crate::context::Context;
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::reconcile::children::{self, Step, Wanted, WriteError};
use crate::reconcile::since::{Since, since_step};
use crate::watch::child_kinds::kind;
use crate::watch::room::Room;

/// How often a run's progress is written at most: what is two seconds old when it is known is ten seconds old then.
const PROGRESS: Duration = Duration::from_secs(8);

/// What a plan is carried out on.
pub(crate) struct Applier<'a> {
    pub context: &'a Context,
    pub room: &'a Room,
    pub pipeline: &'a ValidatedPipeline,
    pub cache: &'a mut Cache,
    pub clock: Clock<'a>,
    pub outcome: Outcome,
}

/// What carrying out a plan has shown.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Look again after this long, because something was put off.
    pub again: Option<Duration>,
    /// Something was decided on an old picture: the next one decides.
    pub has_moved: bool,
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

    /// Takes note of a failure, once: an object may be needed in two places.
    fn failed(&mut self, failure: Failure) {
        if !self.failures.contains(&failure) {
            self.failures.push(failure);
        }
    }

    /// Whether something that pods are to run as, or to mount, is somebody else's.
    fn uses_what_is_taken(&self, uses: impl Fn(&str, &str) -> bool) -> bool {
        self.failures.iter().any(|failure| match failure {
            Failure::Taken { kind, name } => uses(kind, name),
            _ => false,
        })
    }
}

/// Tells the time.
pub(crate) type Clock<'a> = &'a (dyn Fn() -> Instant + Sync);

/// Whether carrying out the plan makes children that do not stand yet, or the provisioner's Job. Whether runs and their Jobs may be made is
/// decided otherwise.
pub(crate) fn creates(room: &Room, plan: &Plan) -> bool {
    !plan.create_jobs.is_empty()
        || plan
            .children
            .iter()
            .any(|child| room.child(child.kind(), child.name()).is_none())
}

impl Applier<'_> {
    /// Carries out everything but the pipeline's own status. Fails if the server does not work: then nothing else would succeed.
    pub async fn apply(&mut self, plan: &Plan) -> Result<(), CallError> {
        let (workloads, used): (Vec<_>, Vec<_>) = plan.children.iter().partition(|child| child.is_workload());
        for child in used {
            self.child(child).await?;
        }
        for child in &plan.later {
            self.look_at_child(child).await?;
        }
        for child in workloads {
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
            self.deleted("Job", &id.name, deleted).await?;
        }
        let runs: Api<StageRun> = Api::namespaced(self.context.client.clone(), namespace);
        for id in &plan.delete_runs {
            let deleted = children::delete(&runs, "StageRun", id).await;
            self.deleted("StageRun", &id.name, deleted).await?;
        }
        let keep = plan.keep.as_ref().filter(|_| self.outcome.failures.is_empty());
        let goes = |child: &str| plan.remove.contains(child) || keep.is_some_and(|keep| !keep.contains(child));
        let leaving: Vec<_> = children::leaving(self.room, self.pipeline, goes).collect();
        for (kind, id) in leaving {
            let api: Api<DynamicObject> =
                Api::namespaced_with(self.context.client.clone(), namespace, &(kind.resource)());
            let deleted = children::delete(&api, kind.name, &id).await;
            self.deleted(kind.name, &id.name, deleted).await?;
        }
        self.cache.waits.retain(&self.outcome.tried);
        self.cache.free.retain(|look| self.outcome.tried.contains(look));
        Ok(())
    }

    /// A child, unless it stands as it was last written.
    async fn child(&mut self, child: &Child) -> Result<(), CallError> {
        let wanted = match Wanted::new(child.kind(), child.metadata(), child) {
            Ok(wanted) => wanted,
            Err(failure) => {
                self.outcome.failed(failure);
                return Ok(());
            }
        };
        let id = wanted.id();
        if self.has_to_wait(&id, &wanted.digest) {
            return Ok(());
        }
        let stored = self.room.child(child.kind(), child.name()).map(AsRef::as_ref);
        let now = (self.clock)();
        let client = &self.context.client;
        if let (Some(stored), Some(written)) = (stored, self.cache.written.get_mut(&id)) {
            Wanted::is_shown(stored, written);
        }
        let step = wanted.step(stored, self.cache.written.get(&id), now);
        let is_held_back = self.outcome.uses_what_is_taken(|kind, name| child.uses(kind, name));
        let (word, written) = match (step, stored) {
            (Ok(Step::Nothing), _) => {
                self.cache.waits.done(&id);
                return Ok(());
            }
            (Ok(Step::Create), _) if is_held_back => return self.look_at_child(child).await,
            // What stands goes on as it is, but may always pause.
            (Ok(Step::Change), _) if is_held_back && !child.is_pause() => return Ok(()),
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

    /// Looks whose the name of a child is that is not made now.
    async fn look_at_child(&mut self, child: &Child) -> Result<(), CallError> {
        match kind(child.kind()) {
            Some(kind) => self.look_at(kind.name, &(kind.resource)(), child.metadata()).await,
            None => Ok(()),
        }
    }

    /// Looks whose a name is, once and again while it is somebody else's: everything that is in the way is said at once, also of what
    /// cannot be made yet.
    async fn look_at(
        &mut self,
        kind: &'static str,
        resource: &ApiResource,
        wanted: &ObjectMeta,
    ) -> Result<(), CallError> {
        let name = wanted.name.clone().unwrap_or_default();
        let (id, look) = (format!("{kind}/{name}"), format!("name of {kind}/{name}"));
        if self.outcome.tried.contains(&look) || self.has_to_wait(&look, "") || self.cache.free.contains(&look) {
            return Ok(());
        }
        let namespace = &self.pipeline.namespace;
        let api: Api<DynamicObject> = Api::namespaced_with(self.context.client.clone(), namespace, resource);
        let found = match self.room.child(kind, &name) {
            Some(stored) => Some(stored.metadata.clone()),
            None => match call(|| format!("get {id}"), api.get_metadata_opt(&name)).await {
                Ok(found) => found.map(|found| found.metadata),
                Err(error) if error.is_refusal() || error.is_of_one_object() => None,
                Err(error) => return Err(error),
            },
        };
        let owner = found.map_or(Ok(()), |found| children::same_owner(&found, wanted, kind));
        if let Err(failure @ Failure::Taken { .. }) = owner {
            return self.settle(&look, "", Err(WriteError::Object(failure)));
        }
        // What is about to go is in the way only when it is still there at the time.
        self.cache.waits.done(&look);
        self.cache.free.insert(look);
        Ok(())
    }

    /// Whether an object has failed a moment ago; then it counts as failing still.
    fn has_to_wait(&mut self, id: &str, digest: &str) -> bool {
        self.outcome.tried.insert(id.to_owned());
        let Some((failure, rest)) = self.cache.waits.rest(id, digest, (self.clock)()) else {
            return false;
        };
        self.outcome.failed(failure);
        self.outcome.look_again(rest);
        true
    }

    /// Takes note of how a write has ended.
    fn settle(&mut self, id: &str, digest: &str, result: Result<(), WriteError>) -> Result<(), CallError> {
        match result {
            Ok(()) => self.cache.waits.done(id),
            Err(WriteError::Moved) => self.outcome.has_moved = true,
            Err(WriteError::Call(error)) => return Err(error),
            Err(WriteError::Object(failure)) => {
                Metrics::count(&self.context.metrics.failures, failure.word());
                let now = (self.clock)();
                let rest = self.cache.waits.failed(id, digest, failure.clone(), now);
                self.outcome.failed(failure);
                self.outcome.look_again(rest);
            }
        }
        Ok(())
    }

    async fn deleted(
        &mut self,
        kind: &'static str,
        name: &str,
        result: Result<bool, CallError>,
    ) -> Result<(), CallError> {
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
                let error = WriteError::of(error, &self.context.client).await;
                self.settle(&id, "", Err(error))
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
            // The version makes it a compare-and-swap: two operators never count one attempt twice.
            let seen = ObjectMeta {
                name: Some(run.id.name.clone()),
                namespace: Some(self.pipeline.namespace.clone()),
                uid: Some(run.id.uid.clone()),
                resource_version: run.resource_version.clone(),
                ..ObjectMeta::default()
            };
            match replace::<StageRun>(&self.context.client, &seen, status).await {
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
            // A status that was written just now was written over what was seen of the run: nothing has become of it meanwhile.
            let is_confirmed = run.status.is_some();
            if !is_confirmed && since_step(&self.context.client, &self.pipeline.namespace, run).await? != Since::Same {
                self.outcome.has_moved = true;
                return Ok(());
            }
            self.job(job).await?;
        }
        Ok(())
    }

    /// A Job, unless something that it would run as or mount is somebody else's.
    async fn job(&mut self, job: &Job) -> Result<(), CallError> {
        let id = format!("Job/{}", job.name_any());
        if self.has_to_wait(&id, "") {
            return Ok(());
        }
        if self.outcome.uses_what_is_taken(|kind, name| job_uses(job, kind, name)) {
            let resource = ApiResource::erase::<Job>(&());
            return self.look_at("Job", &resource, &job.metadata).await;
        }
        let made = self.create("Job", job).await;
        self.settle(&id, "", made)
    }

    async fn run(&mut self, run: &StageRun) -> Result<(), CallError> {
        let id = format!("StageRun/{}", run.name_any());
        if self.has_to_wait(&id, "") {
            return Ok(());
        }
        let made = self.create("StageRun", run).await;
        self.settle(&id, "", made)
    }

    /// Creates an object that is made once and never changed; one that is there already is the same, if its owner is.
    async fn create<K>(&self, kind: &'static str, object: &K) -> Result<(), WriteError>
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
            Ok(_) => {
                Metrics::count(&self.context.metrics.writes, kind);
                tracing::info!(pipeline = self.pipeline.name, namespace, "{kind}/{name} made");
                Ok(())
            }
            Err(error) if error.already_exists() => {
                let found = call(|| format!("get {kind} {name}"), api.get_metadata_opt(&name)).await?;
                let found = found.ok_or(WriteError::Moved)?;
                children::same_owner(&found.metadata, object.meta(), kind).map_err(WriteError::Object)
            }
            Err(error) => Err(WriteError::of(error, &self.context.client).await),
        }
    }
}
