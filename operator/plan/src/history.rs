//! Which ended runs and Jobs are no longer kept. No network.

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use medallion_crds::{REQUESTED_AT_ANNOTATION, StageRun, labels};

use crate::batch::{self, BatchView};
use crate::observed::Observed;
use crate::plan::ObjectId;
use crate::run;
use crate::validate::ValidatedPipeline;

/// Runs beyond the limits: only those the operator made, never the newest of the stage, never one that stands for a request not echoed yet.
pub(crate) fn runs_to_delete(pipeline: &ValidatedPipeline, view: &BatchView<'_>) -> Vec<ObjectId> {
    let spec = &pipeline.spec;
    let mut all = beyond(pipeline, view, run::has_succeeded, spec.successful_runs_history_limit);
    all.extend(beyond(pipeline, view, run::has_failed, spec.failed_runs_history_limit));
    all
}

fn beyond(
    pipeline: &ValidatedPipeline,
    view: &BatchView<'_>,
    ended: fn(&StageRun) -> bool,
    limit: i32,
) -> Vec<ObjectId> {
    let newest = view.newest().map(ResourceExt::name_any);
    let pending = pipeline
        .requested_at
        .as_ref()
        .filter(|&value| pipeline.status.last_handled_requested_at.as_ref() != Some(value));
    view.runs
        .iter()
        .rev()
        .filter(|run| ended(run) && batch::is_own(run, pipeline) && run.metadata.deletion_timestamp.is_none())
        .skip(usize::try_from(limit).unwrap_or(1))
        .filter(|run| Some(run.name_any()) != newest)
        .filter(|run| pending.is_none() || run.annotations().get(REQUESTED_AT_ANNOTATION) != pending)
        .filter_map(|run| ObjectId::of(&run.metadata))
        .collect()
}

/// Jobs whose result is stored and that are not of a stage's newest run: their pods and logs have served.
pub(crate) fn jobs_to_delete(observed: &Observed, view: &BatchView<'_>) -> Vec<ObjectId> {
    let newest = view.newest().map(ResourceExt::name_any);
    let over: Vec<String> = view
        .runs
        .iter()
        .filter(|run| run::is_over(run))
        .map(|run| run.name_any())
        .collect();
    observed
        .jobs
        .iter()
        .filter(|job| {
            let run = job.labels().get(labels::RUN);
            run.is_some_and(|run| over.contains(run)) && run != newest.as_ref()
        })
        .filter_map(living)
        .collect()
}

/// Jobs of the provisioner's earlier tries.
pub(crate) fn tries_to_delete(observed: &Observed, current: Option<&str>) -> Vec<ObjectId> {
    let Some(current) = current else { return Vec::new() };
    observed
        .jobs
        .iter()
        .filter(|job| job.labels().get(labels::RUN).is_none() && job.metadata.name.as_deref() != Some(current))
        .filter_map(living)
        .collect()
}

fn living(job: &Job) -> Option<ObjectId> {
    job.metadata
        .deletion_timestamp
        .is_none()
        .then(|| ObjectId::of(&job.metadata))
        .flatten()
}
