//! Which ended runs and Jobs are no longer kept. No network.

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use medallion_crds::{REQUESTED_AT_ANNOTATION, Reason, StageRun};

use crate::assess::stage_runs::StageRuns;
use crate::model::action::{ObjectId, Plan, PlannedEvent};
use crate::model::cluster::Observed;
use crate::model::pipeline::ValidatedPipeline;
use crate::model::{job, names, pod, run};
use crate::stages::Basis;

/// Runs beyond the limits, and the Jobs that have served.
pub(super) fn of_stage(basis: &Basis<'_>, runs: &StageRuns<'_>) -> Plan {
    Plan {
        delete_runs: runs_to_delete(basis, runs),
        delete_jobs: jobs_to_delete(basis.observed, runs),
        ..Plan::default()
    }
}

/// Jobs whose worker has ended, and whose result is known, but whose pod something else keeps.
pub(crate) fn held_open(basis: &Basis<'_>) -> Plan {
    let known = |job: &Job| {
        // The provisioner's report is read as soon as it is there.
        job::run_of(job).is_none_or(|name| {
            let run = basis.observed.runs.iter().find(|run| run.name_any() == name);
            run.is_none_or(|run| run::is_over(run))
        })
    };
    let held = basis.observed.jobs.iter().filter_map(|job| {
        let id = living(job).filter(|_| job::end(job).is_none() && known(job))?;
        let pods = basis.observed.pods_of_job(job);
        let newest = pods.first()?;
        let names = pod::held_by(newest, basis.now)?;
        let note = format!(
            "the worker of Job {} has ended, but pod {} is kept by container {}, which is not the product's; the Job is ended",
            id.name,
            newest.name_any(),
            names.join(", ")
        );
        let event = PlannedEvent::warning(Reason::JobHeldOpen, job::run_of(job).unwrap_or(&id.name), &note);
        Some((id, event))
    });
    let (delete_jobs, events) = held.unzip();
    Plan {
        delete_jobs,
        events,
        ..Plan::default()
    }
}

/// Only those the operator made, never the newest of the stage, never one that stands for a request not echoed yet.
fn runs_to_delete(basis: &Basis<'_>, runs: &StageRuns<'_>) -> Vec<ObjectId> {
    let ValidatedPipeline {
        successful_runs_history_limit,
        failed_runs_history_limit,
        ..
    } = basis.pipeline;
    let mut all = beyond(basis, runs, run::has_succeeded, *successful_runs_history_limit);
    all.extend(beyond(basis, runs, run::has_failed, *failed_runs_history_limit));
    all
}

fn beyond(basis: &Basis<'_>, runs: &StageRuns<'_>, ended: fn(&StageRun) -> bool, limit: i32) -> Vec<ObjectId> {
    let newest = runs.newest().map(ResourceExt::name_any);
    let handled = &basis.observed.stored.last_handled_requested_at;
    let pending = basis
        .pipeline
        .requested_at
        .as_ref()
        .filter(|&value| handled.as_ref() != Some(value));
    runs.all
        .iter()
        .rev()
        .filter(|run| ended(run) && run::is_own(run, basis.pipeline) && run.metadata.deletion_timestamp.is_none())
        .skip(usize::try_from(limit).unwrap_or(1))
        .filter(|run| Some(run.name_any()) != newest)
        .filter(|run| pending.is_none() || run.annotations().get(REQUESTED_AT_ANNOTATION) != pending)
        .filter_map(|run| ObjectId::of(&run.metadata))
        .collect()
}

/// Jobs whose result is stored: their pods and logs have served. Those of a stage's newest run stay, and the last one of its newest
/// failed run, for whoever looks into it, until the run itself is no longer kept.
fn jobs_to_delete(observed: &Observed, runs: &StageRuns<'_>) -> Vec<ObjectId> {
    let newest = runs.newest().map(ResourceExt::name_any);
    let failed = runs.all.iter().rev().find(|run| run::has_failed(run));
    let last_of_failed = failed.and_then(|run| {
        let attempt = run.status.as_ref()?.attempt;
        Some(names::attempt(&run.name_any(), attempt))
    });
    let is_over = |name: &str| {
        let named = runs.all.iter().find(|run| run.metadata.name.as_deref() == Some(name));
        named.is_some_and(|run| run::is_over(run))
    };
    observed
        .jobs
        .iter()
        .filter(|job| {
            let run = job::run_of(job);
            run.is_some_and(is_over) && run != newest.as_deref() && job.metadata.name != last_of_failed
        })
        .filter_map(|job| living(job))
        .collect()
}

/// Jobs of the provisioner's earlier tries.
pub(super) fn tries_to_delete(observed: &Observed, current: &str) -> Vec<ObjectId> {
    observed
        .jobs
        .iter()
        .filter(|job| job::run_of(job).is_none() && job.metadata.name.as_deref() != Some(current))
        .filter_map(|job| living(job))
        .collect()
}

fn living(job: &Job) -> Option<ObjectId> {
    job.metadata
        .deletion_timestamp
        .is_none()
        .then(|| ObjectId::of(&job.metadata))
        .flatten()
}
