//! Carries a plan out, in the order that is safe to be interrupted anywhere. Talks to the Kubernetes API.
//!
//! Children first: what pods mount stands before pods. Then the steps of runs: a status before its Job. Then new runs, and
//! at the end what is no longer needed. Each write is decided by what stands, so the order of crashes does not matter.

use std::time::{Duration, Instant};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use medallion_crds::{StageRun, labels};
use medallion_plan::{Child, Plan, PlannedJob, PlannedRun, ValidatedPipeline};
use serde_json::json;
use thiserror::Error;

use crate::calls::{CallError, call};
use crate::children;
use crate::context::Context;
use crate::memory::{Memory, rest};
use crate::metrics::Metrics;
use crate::observe::{self, Since};
use crate::scope::Scope;

/// How often a run's progress is written at most.
pub(crate) const PROGRESS: Duration = Duration::from_secs(5);

/// Look again after this long when something was decided on an old picture: the watch shows the new one soon.
pub(crate) const MOVED: Duration = Duration::from_millis(200);

/// Why something could not be applied.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An object has no JSON form.
    #[error("{object} has no JSON form: {source}")]
    Encode {
        /// Which object.
        object: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The object of an earlier pipeline of that name is about to go.
    #[error("{kind} {name} of an earlier pipeline is still being deleted; waiting for it")]
    Leaving {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Somebody else's object has the name.
    #[error("{kind} {name} exists and is not this pipeline's; delete or rename it")]
    Taken {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
    },
}

impl ApplyError {
    /// A user has to do something about it.
    pub fn is_for_users(&self) -> bool {
        match self {
            Self::Call(error) => error.is_refusal(),
            Self::Encode { .. } | Self::Taken { .. } => true,
            Self::Leaving { .. } => false,
        }
    }

    /// The word of the metric and the log.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Call(CallError::Failed { .. }) => "call_failed",
            Self::Call(CallError::TimedOut { .. }) => "call_timed_out",
            Self::Encode { .. } => "not_encodable",
            Self::Leaving { .. } => "leaving",
            Self::Taken { .. } => "taken",
        }
    }
}

/// What carrying out a plan has shown.
#[derive(Default)]
pub(crate) struct Applied {
    /// Look again after this long, because something was put off or has moved meanwhile.
    pub again: Option<Duration>,
    /// The first thing that failed; what did not depend on it has been done.
    pub failure: Option<ApplyError>,
}

impl Applied {
    fn keep(&mut self, result: Result<(), ApplyError>) {
        if let Err(error) = result {
            self.failure.get_or_insert(error);
        }
    }

    fn look_again(&mut self, after: Duration) {
        self.again = Some(self.again.map_or(after, |other| other.min(after)));
    }
}

/// Whether carrying out the plan makes objects that do not stand yet.
pub(crate) fn creates(scope: &Scope, pipeline: &ValidatedPipeline, plan: &Plan) -> bool {
    !plan.create_jobs.is_empty()
        || !plan.create_runs.is_empty()
        || plan.runs.iter().any(|run| run.create_job.is_some())
        || children::any_missing(scope, pipeline, &plan.children)
}

/// Carries out everything but the pipeline's own status.
pub(crate) async fn apply(
    context: &Context,
    scope: &Scope,
    pipeline: &ValidatedPipeline,
    memory: &mut Memory,
    plan: &Plan,
) -> Applied {
    let mut applied = Applied::default();
    for child in &plan.children {
        applied.keep(children::apply(context, scope, pipeline, memory, child).await);
    }
    for job in &plan.create_jobs {
        applied.keep(create_job(context, pipeline, job).await);
    }
    for run in &plan.runs {
        let step = take_step(context, pipeline, memory, run, &mut applied).await;
        applied.keep(step);
    }
    for run in &plan.create_runs {
        applied.keep(create_run(context, pipeline, run).await);
    }
    for id in &plan.delete_jobs {
        applied.keep(
            children::delete::<Job>(context, pipeline, "Job", id)
                .await
                .map_err(ApplyError::Call),
        );
    }
    for id in &plan.delete_runs {
        applied.keep(
            children::delete::<StageRun>(context, pipeline, "StageRun", id)
                .await
                .map_err(ApplyError::Call),
        );
    }
    if let Some(keep) = plan.keep.as_ref().filter(|_| applied.failure.is_none()) {
        applied.keep(
            children::sweep(context, scope, pipeline, keep)
                .await
                .map_err(ApplyError::Call),
        );
    }
    applied
}

async fn take_step(
    context: &Context,
    pipeline: &ValidatedPipeline,
    memory: &mut Memory,
    run: &PlannedRun,
    applied: &mut Applied,
) -> Result<(), ApplyError> {
    if let Some(status) = &run.status {
        let written = memory.run_written.get(&run.id.uid).copied();
        if let Some(rest) = rest(written, PROGRESS).filter(|_| run.only_progress) {
            applied.look_again(rest);
            return Ok(());
        }
        let patch = json!({
            "apiVersion": StageRun::api_version(&()),
            "kind": StageRun::kind(&()),
            // The version makes it a compare-and-swap: two operators never count one attempt twice.
            "metadata": {"name": run.id.name, "uid": run.id.uid, "resourceVersion": run.resource_version},
            "status": status,
        });
        let api: Api<StageRun> = Api::namespaced(context.client.clone(), &pipeline.namespace);
        let parameters = PatchParams::apply(labels::MANAGER).force();
        let answer = call(
            || format!("write status of StageRun {}", run.id.name),
            api.patch_status(&run.id.name, &parameters, &Patch::Apply(&patch)),
        )
        .await;
        match answer {
            Ok(_) => {
                Metrics::count(&context.metrics.writes, "StageRun/status");
                memory.run_written.insert(run.id.uid.clone(), Instant::now());
            }
            Err(error) if error.is_conflict() || error.is_not_found() => {
                // Decided on an old picture: nothing is done, the next picture decides.
                applied.look_again(MOVED);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(job) = &run.create_job {
        if observe::since_step(context, pipeline, run).await? != Since::Same {
            applied.look_again(MOVED);
            return Ok(());
        }
        create_job(context, pipeline, job).await?;
    }
    Ok(())
}

/// Creates a Job and what it mounts; one that is there already is the same Job, if its owner is the same.
async fn create_job(context: &Context, pipeline: &ValidatedPipeline, planned: &PlannedJob) -> Result<(), ApplyError> {
    let settings: &ConfigMap = &planned.settings;
    children::patch(&context.client, pipeline, &Child::ConfigMap(settings.clone()), settings).await?;
    Metrics::count(&context.metrics.writes, "ConfigMap");
    let api: Api<Job> = Api::namespaced(context.client.clone(), &pipeline.namespace);
    let name = planned.job.name_any();
    let parameters = PostParams {
        field_manager: Some(labels::MANAGER.to_owned()),
        ..PostParams::default()
    };
    match call(|| format!("create Job {name}"), api.create(&parameters, &planned.job)).await {
        Ok(_) => {
            Metrics::count(&context.metrics.writes, "Job");
            tracing::info!(job = name, "Job created");
            Ok(())
        }
        Err(error) if error.already_exists() => {
            let found = call(|| format!("get Job {name}"), api.get_opt(&name)).await?;
            same_owner(
                found.as_ref().map(|job| &job.metadata),
                &planned.job.metadata,
                "Job",
                &name,
            )
        }
        Err(error) => Err(error.into()),
    }
}

async fn create_run(context: &Context, pipeline: &ValidatedPipeline, run: &StageRun) -> Result<(), ApplyError> {
    let api: Api<StageRun> = Api::namespaced(context.client.clone(), &pipeline.namespace);
    let name = run.name_any();
    let parameters = PostParams {
        field_manager: Some(labels::MANAGER.to_owned()),
        ..PostParams::default()
    };
    match call(|| format!("create StageRun {name}"), api.create(&parameters, run)).await {
        Ok(_) => {
            Metrics::count(&context.metrics.writes, "StageRun");
            tracing::info!(run = name, "run created");
            Ok(())
        }
        Err(error) if error.already_exists() => {
            let found = call(|| format!("get StageRun {name}"), api.get_opt(&name)).await?;
            same_owner(
                found.as_ref().map(|run| &run.metadata),
                &run.metadata,
                "StageRun",
                &name,
            )
        }
        Err(error) => Err(error.into()),
    }
}

/// A name is a function of what the object is for and its owner's UID is of one life: the same owner means the same object.
fn same_owner(
    found: Option<&ObjectMeta>,
    wanted: &ObjectMeta,
    kind: &'static str,
    name: &str,
) -> Result<(), ApplyError> {
    let owners = |metadata: &ObjectMeta| metadata.owner_references.clone().unwrap_or_default();
    let Some(found) = found else { return Ok(()) };
    let same = owners(wanted)
        .iter()
        .all(|owner| owners(found).iter().any(|other| other.uid == owner.uid));
    if same && found.deletion_timestamp.is_none() {
        return Ok(());
    }
    if found.deletion_timestamp.is_some() || !owners(found).is_empty() {
        return Err(ApplyError::Leaving {
            kind,
            name: name.to_owned(),
        });
    }
    Err(ApplyError::Taken {
        kind,
        name: name.to_owned(),
    })
}
