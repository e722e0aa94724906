//! Decides when a batch stage gets a new run. No network.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use medallion_crds::stage_run::{PipelineRef, StageRunType};
use medallion_crds::{REQUESTED_AT_ANNOTATION, Stage, StageRun, StageRunSpec, labels};

use crate::batch::{BatchView, Source, is_new};
use crate::rules::{self, BatchRules};
use crate::validate::ValidatedPipeline;
use crate::{meta, names, run};

/// What a stage's next run waits for.
#[derive(Debug, PartialEq)]
pub(crate) enum Decision {
    /// Now.
    Start(Source),
    /// Until a time.
    WaitUntil(Timestamp),
    /// Until something changes.
    Nothing,
    /// The last run failed, and nothing has changed since.
    GaveUp,
}

/// What a decision rests on.
pub(crate) struct TriggerContext<'a> {
    pub pipeline: &'a ValidatedPipeline,
    pub view: &'a BatchView<'a>,
    pub source: Option<&'a Source>,
    pub rules: &'a BatchRules,
    /// Digest of the stage's launch settings; `None` while no Job can be made.
    pub launch_hash: Option<&'a str>,
    /// The stage before has nothing under way for the newest `requested-at`.
    pub upstream_settled: bool,
    /// Whether provisioning is done.
    pub provisioned: bool,
    pub now: Timestamp,
}

/// Whether, and with which inputs, a new run starts.
pub(crate) fn decide(context: &TriggerContext<'_>) -> Decision {
    let startable = !context.pipeline.spec.suspend && context.provisioned && context.launch_hash.is_some();
    let Some(source) = context.source.filter(|_| startable) else {
        return Decision::Nothing;
    };
    if context.view.active().is_some() {
        return Decision::Nothing;
    }
    if wants_request(context.pipeline, context.view) {
        // The stage before goes first, so that one request carries the newest data all the way.
        return if context.upstream_settled {
            Decision::Start(source.clone())
        } else {
            Decision::Nothing
        };
    }
    match context.view.newest() {
        Some(newest) if run::has_failed(newest) => after_failure(context, newest, source),
        newest => {
            let consumed = context.view.success().map(|success| success.inputs).unwrap_or_default();
            if !is_new(context.view.stage, &source.inputs, &consumed) && !has_new_tables(context) {
                return Decision::Nothing;
            }
            let interval = newest
                .and_then(ResourceExt::creation_timestamp)
                .map(|created| rules::later(created.0, context.rules.min_interval_seconds));
            at(context, interval, source)
        }
    }
}

/// Whether the spec has since been given warehouse tables that the last run could not load: nobody waits for Gold to change first.
fn has_new_tables(context: &TriggerContext<'_>) -> bool {
    let (Some(newest), Some(success)) = (context.view.newest(), context.view.success()) else {
        return false;
    };
    let stage = &context.pipeline.spec.stages.warehouse;
    context.view.stage == Stage::Warehouse
        && is_older(newest, context.pipeline)
        && stage
            .tables
            .iter()
            .any(|table| success.outputs.iter().all(|output| output.name != table.name))
}

/// Whether a run was made for an earlier generation of the spec.
fn is_older(run: &StageRun, pipeline: &ValidatedPipeline) -> bool {
    run.annotations()
        .get(labels::PIPELINE_GENERATION)
        .and_then(|text| text.parse::<i64>().ok())
        .is_some_and(|generation| generation < pipeline.generation)
}

fn after_failure(context: &TriggerContext<'_>, newest: &StageRun, source: &Source) -> Decision {
    let launched = newest.annotations().get(labels::LAUNCH_HASH).map(String::as_str);
    let changed = is_older(newest, context.pipeline) || launched != context.launch_hash;
    if changed {
        return Decision::Start(source.clone());
    }
    if !is_new(context.view.stage, &source.inputs, &newest.spec.inputs) {
        return Decision::GaveUp;
    }
    let created = newest
        .creation_timestamp()
        .map(|time| rules::later(time.0, context.rules.min_interval_seconds));
    let ended = newest
        .status
        .as_ref()
        .and_then(|status| status.completion_time.as_ref())
        .map(|time| rules::later(time.0, context.rules.retry.backoff_seconds));
    at(context, created.max(ended), source)
}

fn at(context: &TriggerContext<'_>, time: Option<Timestamp>, source: &Source) -> Decision {
    match time {
        Some(time) if time > context.now => Decision::WaitUntil(time),
        _ => Decision::Start(source.clone()),
    }
}

/// Whether the newest `requested-at` still asks this stage for a run.
pub(crate) fn wants_request(pipeline: &ValidatedPipeline, view: &BatchView<'_>) -> bool {
    let Some(requested) = &pipeline.requested_at else {
        return false;
    };
    pipeline.status.last_handled_requested_at.as_ref() != Some(requested)
        && !view
            .runs
            .iter()
            .any(|run| run.annotations().get(REQUESTED_AT_ANNOTATION) == Some(requested))
}

/// A new run: its name is the next number, so that a second try meets the first one's object.
pub(crate) fn new_run(
    pipeline: &ValidatedPipeline,
    view: &BatchView<'_>,
    source: &Source,
    launch_hash: &str,
) -> StageRun {
    let stage = view.stage;
    let mut annotations = BTreeMap::from([
        (labels::PIPELINE_GENERATION.to_owned(), pipeline.generation.to_string()),
        (labels::LAUNCH_HASH.to_owned(), launch_hash.to_owned()),
    ]);
    if let Some(requested) = pipeline.requested_at.as_ref().filter(|_| wants_request(pipeline, view)) {
        annotations.insert(REQUESTED_AT_ANNOTATION.to_owned(), requested.clone());
    }
    let metadata = ObjectMeta {
        annotations: Some(annotations),
        ..meta::child(
            pipeline,
            names::run(&pipeline.name, stage, view.next_number()),
            stage.worker(),
            Some(stage),
        )
    };
    let spec = StageRunSpec {
        pipeline_ref: PipelineRef {
            name: pipeline.name.clone(),
        },
        stage,
        kind: StageRunType::Process,
        inputs: source.inputs.iter().take(64).cloned().collect(),
    };
    StageRun {
        metadata,
        spec,
        status: None,
    }
}
