//! Decides when a batch stage gets a new run. No network.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use medallion_crds::stage_run::{PipelineRef, Process, RunMode, StageRunType};
use medallion_crds::{REQUESTED_AT_ANNOTATION, StageRun, StageRunSpec, labels};

use crate::assess::stage_runs::{Source, StageRuns, is_new};
use crate::build::meta;
use crate::model::pipeline::BatchRules;
use crate::model::{names, run, time};
use crate::stages::{Basis, Batch, Place};

/// What a stage's next run waits for.
#[derive(Debug, PartialEq)]
pub(crate) enum Decision {
    /// Now.
    Start(Source),
    /// Until a time.
    WaitUntil(Timestamp),
    /// Until something changes.
    Nothing,
    /// The last run failed, and nothing has changed since that could help.
    GaveUp,
}

/// What a decision rests on.
pub(crate) struct TriggerContext<'a> {
    pub basis: &'a Basis<'a>,
    pub place: Place<'a>,
    pub batch: &'a Batch,
    pub runs: &'a StageRuns<'a>,
    pub source: Option<&'a Source>,
    pub rules: &'a BatchRules,
    /// Digest of the stage's launch settings; `None` while no Job can be made.
    pub launch_hash: Option<&'a str>,
    /// The stage before has nothing under way for the newest `requested-at`.
    pub upstream_settled: bool,
    /// Whether everything is there that the stage needs.
    pub provisioned: bool,
}

/// Whether, and with which inputs, a new run starts.
pub(crate) fn decide(context: &TriggerContext<'_>) -> Decision {
    let startable = !context.basis.is_suspended(context.place) && context.provisioned && context.launch_hash.is_some();
    let Some(source) = context.source.filter(|_| startable) else {
        return Decision::Nothing;
    };
    if context.runs.active().is_some() {
        return Decision::Nothing;
    }
    if wants_request(context.basis, context.runs) {
        // The stage before goes first, so that one request carries the newest data all the way.
        return if context.upstream_settled {
            Decision::Start(source.clone())
        } else {
            Decision::Nothing
        };
    }
    match context.runs.newest() {
        Some(newest) if run::has_failed(newest) => after_failure(context, newest, source),
        newest => {
            let consumed = context.runs.success().map(|success| success.inputs).unwrap_or_default();
            if !is_new(context.batch.is_new, &source.inputs, &consumed) && !has_new_tables(context) {
                return Decision::Nothing;
            }
            let interval = newest
                .and_then(ResourceExt::creation_timestamp)
                .map(|created| time::later(created.0, context.rules.min_interval_seconds));
            at(context, interval, source)
        }
    }
}

/// Whether the spec has since been given tables that the last run could not make: nobody waits for its source to change first.
fn has_new_tables(context: &TriggerContext<'_>) -> bool {
    let (Some(newest), Some(success)) = (context.runs.newest(), context.runs.success()) else {
        return false;
    };
    let pipeline = context.basis.pipeline;
    run::is_older(newest, pipeline) && (context.batch.lacks_tables)(pipeline, &success.outputs)
}

/// After a failed run:
/// - a changed spec, dbt image or launch setting starts the next run at once (as a request does, before this is asked);
/// - new input starts it too, after a wait that doubles with each run that failed since the last success, from
///   `retry.backoffSeconds` to `retry.maxBackoffSeconds`, counted from the end of the last one;
/// - but not after a failure that new input cannot help: settings, a risk of loss, a table of another owner;
/// - without any of these nothing starts.
fn after_failure(context: &TriggerContext<'_>, newest: &StageRun, source: &Source) -> Decision {
    let launched = newest.annotations().get(labels::LAUNCH_HASH).map(String::as_str);
    let changed = run::is_older(newest, context.basis.pipeline) || launched != context.launch_hash;
    if changed {
        return Decision::Start(source.clone());
    }
    let failure = newest.status.as_ref().and_then(|status| status.failures.first());
    let hopeful = failure.is_none_or(|failure| run::is_helped_by_new_data(failure.exit_code, &failure.reason));
    if !hopeful || !is_new(context.batch.is_new, &source.inputs, newest.spec.inputs()) {
        return Decision::GaveUp;
    }
    let retry = &context.rules.retry;
    let failures = context.runs.failures_in_a_row();
    let wait = time::back_off(retry.backoff_seconds, retry.max_backoff_seconds, failures);
    let created = newest
        .creation_timestamp()
        .map(|at| time::later(at.0, context.rules.min_interval_seconds));
    let ended = newest
        .status
        .as_ref()
        .and_then(|status| status.completion_time.as_ref())
        .map(|at| time::after(at.0, wait));
    at(context, created.max(ended), source)
}

fn at(context: &TriggerContext<'_>, earliest: Option<Timestamp>, source: &Source) -> Decision {
    match earliest {
        Some(earliest) if earliest > context.basis.now => Decision::WaitUntil(earliest),
        _ => Decision::Start(source.clone()),
    }
}

/// Whether the newest `requested-at` still asks this stage for a run.
pub(crate) fn wants_request(basis: &Basis<'_>, runs: &StageRuns<'_>) -> bool {
    open_request(basis, runs).is_some()
}

/// The newest `requested-at`, while it still asks this stage for a run.
pub(crate) fn open_request<'a>(basis: &Basis<'a>, runs: &StageRuns<'_>) -> Option<&'a str> {
    let requested = basis.pipeline.requested_at.as_ref()?;
    let handled = basis.observed.stored.last_handled_requested_at.as_ref() == Some(requested);
    let mut all = runs.all.iter();
    let answered = all.any(|run| run.annotations().get(REQUESTED_AT_ANNOTATION) == Some(requested));
    (!handled && !answered).then_some(requested.as_str())
}

/// A new run: its name is the next number, so that a second try meets the first one's object.
pub(crate) fn new_run(
    basis: &Basis<'_>,
    place: Place<'_>,
    runs: &StageRuns<'_>,
    source: &Source,
    launch_hash: &str,
) -> StageRun {
    let (pipeline, stage) = (basis.pipeline, place.entry.stage);
    let mut annotations = BTreeMap::from([
        (labels::PIPELINE_GENERATION.to_owned(), pipeline.generation.to_string()),
        (labels::LAUNCH_HASH.to_owned(), launch_hash.to_owned()),
    ]);
    if let Some(requested) = open_request(basis, runs) {
        annotations.insert(REQUESTED_AT_ANNOTATION.to_owned(), requested.to_owned());
    }
    let metadata = ObjectMeta {
        annotations: Some(annotations),
        ..meta::child(
            pipeline,
            names::run(&pipeline.name, stage, runs.next_number()),
            place.entry.worker(),
            Some(stage),
        )
    };
    let spec = StageRunSpec {
        pipeline_ref: PipelineRef {
            name: pipeline.name.clone(),
        },
        stage: Some(stage),
        kind: StageRunType::Process,
        process: Some(Process {
            inputs: source.inputs.clone(),
        }),
        mode: RunMode::Apply,
        plan_ref: None,
    };
    StageRun {
        metadata,
        spec,
        status: None,
    }
}
