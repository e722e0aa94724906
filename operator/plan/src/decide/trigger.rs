//! Decides when a batch stage gets a new run. No network.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use medallion_crds::stage_run::{PipelineRef, Process, RunMode, StageRunType};
use medallion_crds::{REQUESTED_AT_ANNOTATION, StageRun, StageRunSpec, labels};

use super::launch::StageLaunch;
use crate::assess::stage_runs::{Source, StageRuns, is_new};
use crate::build::meta;
use crate::model::product::Product;
use crate::model::wish::BatchRules;
use crate::model::{names, run, time};
use crate::stages::{Basis, Batch, Place};

/// What a stage's next run waits for.
#[derive(Debug, PartialEq)]
pub(crate) enum Decision {
    /// Now.
    Start(Source, Cause),
    /// Until a time.
    WaitUntil(Timestamp),
    /// Until something changes.
    Nothing,
    /// The last run failed, and nothing has changed since that could help.
    GaveUp,
}

/// Why a run starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cause {
    /// The stage before has committed something.
    NewData,
    /// `medallion.dev/requested-at`.
    Requested,
    /// What decides the product beside its inputs, by the name that users know it by.
    Changed(&'static str),
    /// What else may let a stage succeed that failed.
    ChangedSettings,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewData => formatter.write_str("new data"),
            Self::Requested => formatter.write_str("requested"),
            Self::Changed(what) => write!(formatter, "changed {what}"),
            Self::ChangedSettings => formatter.write_str("changed settings"),
        }
    }
}

/// What a decision rests on.
pub(crate) struct TriggerContext<'a> {
    pub basis: &'a Basis<'a>,
    pub place: Place<'a>,
    pub batch: &'a Batch,
    pub runs: &'a StageRuns<'a>,
    pub source: Option<&'a Source>,
    pub rules: &'a BatchRules,
    /// What its Jobs are made from now.
    pub launch: &'a StageLaunch<'a>,
    /// What decides the stage's product beside its inputs; `None` while it is not known.
    pub product: Option<&'a Product>,
    /// A stage before is to take up a changed product yet.
    pub upstream_outdated: bool,
    /// The stage before has nothing under way for the newest `requested-at`.
    pub upstream_settled: bool,
    /// Whether everything is there that the stage needs.
    pub provisioned: bool,
}

/// Whether, and with which inputs, a new run starts.
pub(crate) fn decide(context: &TriggerContext<'_>) -> Decision {
    let startable = !context.basis.is_suspended(context.place) && context.provisioned;
    let Some(source) = context.source.filter(|_| startable && context.runs.active().is_none()) else {
        return Decision::Nothing;
    };
    let decision = if wants_request(context.basis, context.runs) {
        // The stage before goes first, so that one request carries the newest data all the way.
        if context.upstream_settled {
            Decision::Start(source.clone(), Cause::Requested)
        } else {
            Decision::Nothing
        }
    } else {
        match context.runs.newest() {
            Some(newest) if run::has_failed(newest) => after_failure(context, newest, source),
            newest => after_success(context, newest, source),
        }
    };
    match decision {
        Decision::Nothing => Decision::Nothing,
        // Nothing can be made: asked last, because it takes the longest to find out.
        _ if context.launch.hash().is_none() => Decision::Nothing,
        decision => decision,
    }
}

/// After a run that succeeded, or at the beginning.
fn after_success(context: &TriggerContext<'_>, newest: Option<&StageRun>, source: &Source) -> Decision {
    let consumed = context.runs.success().map(|success| success.inputs).unwrap_or_default();
    let changed = context.product.filter(|_| context.runs.are_outdated(context.product));
    let cause = match changed {
        // What it reads may only be there once the stage before has taken the same change up.
        Some(_) if context.upstream_outdated => return Decision::Nothing,
        Some(product) => Cause::Changed(product.made_by),
        None if is_new(context.batch.is_new, &source.inputs, &consumed) => Cause::NewData,
        None => return Decision::Nothing,
    };
    let interval = newest
        .and_then(ResourceExt::creation_timestamp)
        .map(|created| time::later(created.0, context.rules.min_interval_seconds));
    at(context, interval, source, cause)
}

/// After a failed run, whether the operator made it or a person:
/// - a changed spec, dbt image or launch setting starts the next run at once (as a request does, before this is asked), but a changed
///   product only once the stage before has taken the same change up;
/// - new input starts it too, after a wait that doubles with each run that failed since the last success, from
///   `retry.backoffSeconds` to `retry.maxBackoffSeconds`, counted from the end of the last one;
/// - but not after a failure that new input cannot help: settings, a risk of loss, a table of another owner or with rows of others;
/// - without any of these nothing starts.
fn after_failure(context: &TriggerContext<'_>, newest: &StageRun, source: &Source) -> Decision {
    // What nobody knows has not changed: otherwise the run of a person would be followed at once, however often such fail.
    let launched = context.runs.launch_hash_of(newest);
    let is_other = launched.is_some_and(|launched| Some(launched) != context.launch.hash());
    let changed = run::is_older(newest, context.basis.pipeline) || is_other;
    if changed {
        let tried = context.runs.product_of(newest);
        let is_tried = |product: &Product| tried == Some(product.digest.as_str());
        if context.upstream_outdated && !context.product.is_some_and(is_tried) {
            return Decision::Nothing;
        }
        let other = context.product.filter(|product| tried.is_some() && !is_tried(product));
        let cause = other.map_or(Cause::ChangedSettings, |product| Cause::Changed(product.made_by));
        return Decision::Start(source.clone(), cause);
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
    at(context, created.max(ended), source, Cause::NewData)
}

fn at(context: &TriggerContext<'_>, earliest: Option<Timestamp>, source: &Source, cause: Cause) -> Decision {
    match earliest {
        Some(earliest) if earliest > context.basis.now => Decision::WaitUntil(earliest),
        _ => Decision::Start(source.clone(), cause),
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
/// `None` while no Job could be made for it.
pub(crate) fn new_run(context: &TriggerContext<'_>, source: &Source, cause: Cause) -> Option<StageRun> {
    let launch_hash = context.launch.hash()?;
    let TriggerContext { basis, place, runs, .. } = *context;
    let (pipeline, stage) = (basis.pipeline, place.entry.stage);
    let mut annotations = BTreeMap::from([
        (labels::PIPELINE_GENERATION.to_owned(), pipeline.generation.to_string()),
        (labels::LAUNCH_HASH.to_owned(), launch_hash.to_owned()),
        (labels::STARTED_BY.to_owned(), cause.to_string()),
    ]);
    if let Some(product) = context.product {
        annotations.insert(labels::PRODUCT_HASH.to_owned(), product.digest.clone());
    }
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
    Some(StageRun {
        metadata,
        spec,
        status: None,
    })
}
