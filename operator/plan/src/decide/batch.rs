//! The batch stages, one after the other: the step of the run under way, and whether a new one starts. No network.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use medallion_crds::stage_run::TableVersion;
use medallion_crds::{Stage, StageRun, StageRunStatus};

use super::launch::StageLaunch;
use super::provisioning::Provisioning;
use super::retention;
use super::run::{self, RunContext, RunStep};
use super::trigger::{self, Decision, TriggerContext};
use crate::assess::stage_runs::{Source, StageRuns};
use crate::assess::streaming::Streaming;
use crate::build::job::{self, Attempt};
use crate::model::action::{ObjectId, Plan, PlannedRun};
use crate::model::obstacle::Obstacle;
use crate::model::product::Product;
use crate::model::wish::BatchRules;
use crate::runs;
use crate::stages::{Basis, Batch, Place};

/// What comes next for the batch stages.
pub(crate) struct BatchStages<'a> {
    pub stages: Vec<BatchStage<'a>>,
    /// The newest request, once every stage that can has a run for it.
    pub handled_request: Option<String>,
    pub plan: Plan,
}

/// What comes next for one batch stage.
pub(crate) struct BatchStage<'a> {
    pub place: Place<'a>,
    pub batch: &'a Batch,
    pub runs: StageRuns<'a>,
    pub source: Option<Source>,
    /// What decides its product beside its inputs; `None` while it is not known.
    product: Option<Product>,
    /// The step of the run under way.
    pub step: Option<RunStep>,
    pub decision: Decision,
    /// What it needs and is not there.
    pub waits_for: Option<Obstacle>,
}

/// What a stage has for the next one.
#[derive(Default)]
struct Offer {
    source: Option<Source>,
    /// It or a stage before it has something under way for the newest request.
    unsettled: bool,
    /// Nobody knows yet what it holds.
    unknown: bool,
    /// It or a stage before it is to take up a changed product yet.
    outdated: bool,
}

/// All batch stages, in the order of the data.
pub(crate) fn all<'a>(basis: &Basis<'a>, provisioning: &Provisioning, streaming: &[Streaming<'_>]) -> BatchStages<'a> {
    let mut offers: BTreeMap<Stage, Offer> = streaming.iter().map(offer_of_streaming).collect();
    let mut stages = Vec::new();
    let mut plans = Vec::new();
    let mut open_request = false;
    for (place, batch, rules) in basis.batch() {
        let nothing = Offer::default();
        let upstream = place.entry.upstream.and_then(|stage| offers.get(&stage));
        let upstream = upstream.unwrap_or(&nothing);
        let launch = StageLaunch::new(basis, place, batch);
        let (stage, plan) = one(basis, place, batch, rules, upstream, provisioning, &launch);
        plans.push(plan);

        // A stage that pauses alone is passed over by a request.
        let wants_request = !place.wish.suspend && trigger::wants_request(basis, &stage.runs);
        // Nobody knows yet what the stage before holds, or it is about to offer something.
        let may_come = stage.source.is_some() || upstream.unsettled || upstream.unknown;
        open_request |= wants_request && may_come && stage.waits_for.is_none() && launch.hash().is_some();
        let offer = Offer {
            source: stage.runs.offer(),
            unsettled: upstream.unsettled || stage.runs.active().is_some() || (wants_request && stage.source.is_some()),
            unknown: false,
            // A stage that pauses alone is passed over by a change too.
            outdated: upstream.outdated || (!place.wish.suspend && stage.runs.are_outdated(stage.product.as_ref())),
        };
        offers.insert(place.entry.stage, offer);
        stages.push(stage);
    }
    let stored = basis.observed.stored.last_handled_requested_at.clone();
    let handled = !open_request && !basis.pipeline.suspend && provisioning.done;
    BatchStages {
        stages,
        handled_request: basis.pipeline.requested_at.clone().filter(|_| handled).or(stored),
        plan: plans.into_iter().collect(),
    }
}

/// A streaming stage offers its table up to its newest version, once it has rows. It has no version until then, and says when
/// none are on their way.
fn offer_of_streaming(streaming: &Streaming<'_>) -> (Stage, Offer) {
    let stage = streaming.place.entry.stage;
    let figures = &streaming.figures;
    let version = figures.position.filter(|version| *version >= 1);
    let source = version.map(|version| Source {
        inputs: vec![TableVersion {
            name: stage.to_string(),
            version,
        }],
        committed: figures.last_commit,
    });
    let offer = Offer {
        source,
        unsettled: false,
        unknown: figures.position.is_none() && figures.lag != Some(0),
        outdated: false,
    };
    (stage, offer)
}

/// One stage; also what is done for it.
fn one<'a>(
    basis: &Basis<'a>,
    place: Place<'a>,
    batch: &'a Batch,
    rules: &'a BatchRules,
    upstream: &Offer,
    provisioning: &Provisioning,
    launch: &StageLaunch<'_>,
) -> (BatchStage<'a>, Plan) {
    let runs = StageRuns::new(basis.pipeline, basis.observed, place.entry);
    let product = (batch.product)(basis.pipeline);
    let mut plans = Vec::new();

    let active = runs.active().and_then(|run| Some((run, runs::of(run)?)));
    let step = active.map(|(run, kind)| {
        let is_other = |product: &&Product| runs.product_of(run).is_some_and(|begun| begun != product.digest);
        let context = RunContext {
            kind,
            observed: basis.observed,
            rules,
            launch,
            upstream_takes_up: product
                .as_ref()
                .filter(|product| upstream.outdated && is_other(product)),
            request: trigger::open_request(basis, &runs),
            created: basis.pipeline.created,
            now: basis.now,
        };
        run::advance(&context, run)
    });
    if let (Some((run, kind)), Some(step)) = (active, &step) {
        let attempt = |number| {
            let template = launch.template((kind.launch)(run, number, basis.now))?;
            let attempt = Attempt {
                run,
                number,
                template: &template,
                launch_hash: launch.hash()?,
                product: product.as_ref(),
                timeout_seconds: rules.timeout_seconds,
            };
            Some(job::attempt(basis.pipeline, basis.config, &attempt))
        };
        let job = step.create_job.and_then(attempt);
        plans.push(Plan {
            runs: planned(run, step, job).into_iter().collect(),
            delete_jobs: step.delete_job.clone().into_iter().collect(),
            events: step.events.clone(),
            wake_at: step.wake_at,
            ..Plan::default()
        });
    }
    let waits_for = provisioning.hinders_runs(place);
    let context = TriggerContext {
        basis,
        place,
        batch,
        runs: &runs,
        source: upstream.source.as_ref(),
        rules,
        launch,
        product: product.as_ref(),
        upstream_outdated: upstream.outdated,
        upstream_settled: !upstream.unsettled,
        provisioned: waits_for.is_none(),
    };
    let decision = trigger::decide(&context);
    plans.push(match &decision {
        Decision::Start(source, cause) => Plan {
            create_runs: trigger::new_run(&context, source, *cause).into_iter().collect(),
            ..Plan::default()
        },
        Decision::WaitUntil(time) => Plan {
            wake_at: Some(*time),
            ..Plan::default()
        },
        _ => Plan::default(),
    });
    plans.push(retention::of_stage(basis, &runs));
    let stage = BatchStage {
        place,
        batch,
        runs,
        source: upstream.source.clone(),
        product,
        step,
        decision,
        waits_for,
    };
    (stage, plans.into_iter().collect())
}

fn planned(run: &StageRun, step: &RunStep, create_job: Option<Job>) -> Option<PlannedRun> {
    let stored = run.status.clone().unwrap_or_default();
    let changed = step.status != stored;
    let only_progress = changed
        && StageRunStatus {
            progress: stored.progress.clone(),
            ..step.status.clone()
        } == stored;
    Some(PlannedRun {
        id: ObjectId::of(&run.metadata)?,
        resource_version: run.resource_version(),
        status: changed.then(|| step.status.clone()),
        only_progress,
        create_job: create_job.map(Box::new),
    })
}
