//! Runs that no stage carries on, because what they belong to is gone or not known: each says why, and ends if it cannot go on. No network.

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
    let staying = all.filter(|run| run.metadata.deletion_timestamp.is_none());
    staying.filter_map(|run| one(basis, run)).collect()
}

fn one(basis: &Basis<'_>, run: &StageRun) -> Option<Plan> {
    if run::is_of_an_earlier(run, basis.pipeline) {
        return Some(end(basis, run, &deleted(run)));
    }
    if !run::belongs(run, basis.pipeline) {
        return None;
    }
    let kind = runs::of(run);
    let mut stages = basis.batch().map(|(place, ..)| place.entry.stage);
    let has_place = stages.any(|stage| Some(stage) == run.spec.stage);
    if has_place && kind.is_some() {
        return None;
    }
    if kind.is_none() || matches!(run.spec.stage, Some(Stage::Other(_))) {
        let status = said(run, "Unknown", &of_another_version(run), basis.now);
        let is_new = !run::is_over(run) && Some(&status) != run.status.as_ref();
        return is_new.then(|| step(run, status, &of_another_version(run)));
    }
    Some(end(basis, run, &without_stage(basis, run)))
}

/// Why nothing comes of a run that another version understands. It holds its stage all the same: nobody here knows what its tables are
/// in the middle of.
pub(crate) fn of_another_version(run: &StageRun) -> Obstacle {
    let message = format!(
        "run {} has a type, mode or stage that this version of the operator does not know: upgrade the operator, or delete the run; its stage starts no other run before",
        run.name_any()
    );
    Obstacle::new(Reason::NotReadable, message)
}

fn without_stage(basis: &Basis<'_>, run: &StageRun) -> Obstacle {
    let stage = run.spec.stage.map_or("none", Stage::as_str);
    let message = format!(
        "spec.stage: Pipeline {} has no stage {stage} that works in runs; add it to the Pipeline's spec.stages and make another run",
        basis.pipeline.name
    );
    Obstacle::new(Reason::StageMissing, message)
}

/// A run's end, and that of its Job, which may be shown later than the run.
fn end(basis: &Basis<'_>, run: &StageRun, why: &Obstacle) -> Plan {
    let mut plan = if run::is_over(run) {
        Plan::default()
    } else {
        step(run, ended(run, why, basis.now), why)
    };
    let job = job_name(run).and_then(|name| basis.observed.job(&name));
    let at_work = job.filter(|job| job.metadata.deletion_timestamp.is_none() && !job::has_ended(job));
    plan.delete_jobs
        .extend(at_work.and_then(|job| ObjectId::of(&job.metadata)));
    plan
}

/// A status and the event that goes with it.
fn step(run: &StageRun, status: StageRunStatus, why: &Obstacle) -> Plan {
    let Some(id) = ObjectId::of(&run.metadata) else {
        return Plan::default();
    };
    let note = format!("{}: {}", id.name, why.message);
    Plan {
        events: vec![PlannedEvent::warning(why.reason.clone(), &id.name, &note)],
        runs: vec![PlannedRun {
            id,
            resource_version: run.resource_version(),
            status: Some(status),
            only_progress: false,
            create_job: None,
        }],
        ..Plan::default()
    }
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
    StageRunStatus {
        completion_time: Some(Time(whole_seconds(now))),
        retry_time: None,
        progress: None,
        ..said(run, "False", why, now)
    }
}

fn said(run: &StageRun, succeeded: &str, why: &Obstacle, now: Timestamp) -> StageRunStatus {
    let status = run.status.clone().unwrap_or_default();
    let generation = run.metadata.generation.unwrap_or_default();
    let wanted = [("Succeeded", succeeded), ("Stalled", "True")].map(|(kind, value)| Wanted {
        kind,
        status: value,
        reason: &why.reason,
        message: &why.message,
    });
    StageRunStatus {
        observed_generation: generation,
        conditions: conditions::set(&status.conditions, &wanted, generation, now),
        ..status
    }
}
