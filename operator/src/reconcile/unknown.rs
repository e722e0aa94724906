//! Says on runs of a pipeline that does not exist what they wait for, and ends those whose pipeline was deleted while they worked. Talks to the Kubernetes API.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::{Api, Resource, ResourceExt};
use medallion_crds::{Pipeline, Reason, StageRun, StageRunStatus};
use medallion_plan::conditions::{self, Wanted};
use medallion_plan::{ObjectId, is_over, job_has_ended, job_of_run, without_pipeline};

use crate::api::call::{CallError, call};
use crate::api::status::replace;
use crate::context::Context;
use crate::key::PipelineKey;
use crate::metrics::Metrics;
use crate::reconcile::{children, report};
use crate::watch::room::Room;

/// Writes the status of each run that waits for the pipeline, ends each that it has left behind, and says which cannot be read.
pub(crate) async fn settle(context: &Context, key: &PipelineKey, room: &Room) -> Result<(), CallError> {
    for run in room.unreadable.values() {
        if let Err(invalid) = &run.0 {
            report::unreadable(context, &**run, &invalid.error).await;
        }
    }
    let now = Timestamp::now();
    let runs = room.runs.values().filter(|run| is_left(run));
    let (begun, new): (Vec<_>, Vec<_>) = runs.partition(|run| job_of_run(run).is_some());
    for run in new {
        if let Some(status) = status(run, key, now).filter(|_| !is_over(run)) {
            write(context, key, run, &status).await?;
        }
    }
    let at_work: Vec<_> = begun
        .into_iter()
        .map(|run| (run, job_at_work(room, run)))
        .filter(|(run, job)| job.is_some() || !is_over(run))
        .collect();
    // An end is final: the watch alone must not decide it.
    if at_work.is_empty() || is_there(context, key).await? {
        return Ok(());
    }
    let jobs: Api<Job> = Api::namespaced(context.client.clone(), &key.namespace);
    for (run, job) in at_work {
        if let Some(job) = &job
            && children::delete(&jobs, "Job", job).await?
        {
            Metrics::count(&context.metrics.writes, "Job");
            tracing::info!(pipeline = %key, "Job/{} removed", job.name);
        }
        if !is_over(run) {
            write(context, key, run, &without_pipeline(run, now)).await?;
        }
    }
    Ok(())
}

async fn is_there(context: &Context, key: &PipelineKey) -> Result<bool, CallError> {
    let api: Api<Pipeline> = Api::namespaced(context.client.clone(), &key.namespace);
    let found = call(|| format!("get Pipeline {}", key.name), api.get_metadata_opt(&key.name)).await?;
    Ok(found.is_some())
}

async fn write(context: &Context, key: &PipelineKey, run: &StageRun, status: &StageRunStatus) -> Result<(), CallError> {
    let name = run.name_any();
    match replace::<StageRun>(&context.client, &run.metadata, status).await {
        Ok(_) => {
            Metrics::count(&context.metrics.writes, "StageRun/status");
            tracing::warn!(
                run = name,
                namespace = &*key.namespace,
                "run of a Pipeline that does not exist"
            );
            Ok(())
        }
        // The watch shows soon what became of it.
        Err(error) if error.is_conflict() || error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

/// One that a pipeline owned goes with it.
fn is_left(run: &StageRun) -> bool {
    let is_owned = run
        .owner_references()
        .iter()
        .any(|owner| owner.kind == Pipeline::kind(&()));
    !is_owned && run.metadata.deletion_timestamp.is_none()
}

/// The Job of the run's attempt, as long as it has not ended.
fn job_at_work(room: &Room, run: &StageRun) -> Option<ObjectId> {
    let job = room.jobs.get(job_of_run(run)?.as_str())?;
    let mut owners = job.metadata.owner_references.iter().flatten();
    let is_its = owners.any(|owner| Some(&owner.uid) == run.metadata.uid.as_ref());
    let is_at_work = is_its && job.metadata.deletion_timestamp.is_none() && !job_has_ended(job);
    is_at_work.then(|| ObjectId::of(&job.metadata)).flatten()
}

/// The status that says so; `None` if it says so already.
fn status(run: &StageRun, key: &PipelineKey, now: Timestamp) -> Option<StageRunStatus> {
    let reason = &Reason::PipelineMissing;
    let mut status = run.status.clone().unwrap_or_default();
    let message = format!(
        "no Pipeline {} in namespace {}: create it, or delete this run and make one that names a Pipeline that exists (spec.pipelineRef.name)",
        key.name, key.namespace
    );
    if status
        .conditions
        .iter()
        .any(|condition| Reason::read(&condition.reason) == *reason && condition.message == message)
    {
        return None;
    }
    let generation = run.metadata.generation.unwrap_or_default();
    let wanted = [("Succeeded", "Unknown"), ("Stalled", "True")].map(|(kind, value)| Wanted {
        kind,
        status: value,
        reason,
        message: &message,
    });
    status.observed_generation = generation;
    status.conditions = conditions::set(&status.conditions, &wanted, generation, now);
    Some(status)
}
