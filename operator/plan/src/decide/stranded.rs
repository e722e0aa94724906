//! Runs that no stage carries on, because what they belong to is gone: each ends, with its Job, and says why. No network.

use std::ops::Deref;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use medallion_crds::{Reason, Stage, StageRun, StageRunStatus};

use crate::model::action::{ObjectId, Plan, PlannedEvent, PlannedRun};
use crate::model::conditions::{self, Wanted};
use crate::model::obstacle::Obstacle;
use crate::model::time::whole_seconds;
use crate::model::{job, names, run};
use crate::runs;
use crate::stages::Basis;

/// What becomes of them.
pub(crate) fn plan(basis: &Basis<'_>) -> Plan {
    let all = basis.observed.runs.iter().map(Deref::deref);
    let standing = all.filter(|run| run.metadata.deletion_timestamp.is_none());
    standing
        .filter_map(|run| Some(end(basis, run, &why(basis, run)?)))
        .collect()
}

/// Why nobody carries the run on.
fn why(basis: &Basis<'_>, run: &StageRun) -> Option<Obstacle> {
    if run::is_of_an_earlier(run, basis.pipeline) {
        return Some(deleted(run));
    }
    let has_place = basis
        .batch()
        .any(|(place, ..)| Some(place.entry.stage) == run.spec.stage);
    let is_left = !has_place && runs::of(run).is_some() && run::belongs(run, basis.pipeline);
    is_left.then(|| {
        let stage = run.spec.stage.map_or("none", Stage::as_str);
        let message = format!(
            "spec.stage: Pipeline {} has no stage {stage} that works in runs; add it to the Pipeline's spec.stages and make another run",
            basis.pipeline.name
        );
        Obstacle::new(Reason::StageMissing, message)
    })
}

/// A run's end, and that of its Job, which may be shown later than the run.
fn end(basis: &Basis<'_>, run: &StageRun, why: &Obstacle) -> Plan {
    let mut plan = Plan::default();
    if !run::is_over(run)
        && let Some(id) = ObjectId::of(&run.metadata)
    {
        let (name, note) = (&id.name, format!("{}: {}", id.name, why.message));
        plan.events.push(PlannedEvent::warning(why.reason.clone(), name, &note));
        plan.runs.push(PlannedRun {
            id,
            resource_version: run.resource_version(),
            status: Some(ended(run, why, basis.now)),
            only_progress: false,
            create_job: None,
        });
    }
    let job = job_name(run).and_then(|name| basis.observed.job(&name));
    let at_work = job.filter(|job| job.metadata.deletion_timestamp.is_none() && !job::has_ended(job));
    plan.delete_jobs
        .extend(at_work.and_then(|job| ObjectId::of(&job.metadata)));
    plan
}

/// Name of the Job of a run's attempt; `None` before the first one.
pub fn job_name(run: &StageRun) -> Option<String> {
    let attempt = run.status.as_ref().map(|status| status.attempt)?;
    (attempt > 0).then(|| names::attempt(&run.name_any(), attempt))
}

/// The status of a run at work whose pipeline is gone. Its end is final: a pipeline that is made later under that name is another one.
pub fn without_pipeline(run: &StageRun, now: Timestamp) -> StageRunStatus {
    ended(run, &deleted(run), now)
}

fn deleted(run: &StageRun) -> Obstacle {
    let message = format!(
        "Pipeline {} was deleted while the run was at work: its Job is ended, and what it has committed stays; make another run for a Pipeline that exists",
        run.spec.pipeline_ref.name
    );
    Obstacle::new(Reason::PipelineMissing, message)
}

fn ended(run: &StageRun, why: &Obstacle, now: Timestamp) -> StageRunStatus {
    let mut status = run.status.clone().unwrap_or_default();
    let generation = run.metadata.generation.unwrap_or_default();
    let wanted = [("Succeeded", "False"), ("Stalled", "True")].map(|(kind, value)| Wanted {
        kind,
        status: value,
        reason: &why.reason,
        message: &why.message,
    });
    status.observed_generation = generation;
    status.conditions = conditions::set(&status.conditions, &wanted, generation, now);
    status.completion_time = Some(Time(whole_seconds(now)));
    (status.retry_time, status.progress) = (None, None);
    status
}
