//! Where a batch stage stands, from its runs. No network.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use medallion_crds::StageRun;
use medallion_crds::pipeline::{StageState, StageStatus};
use medallion_crds::text::cut;

use crate::batch::{BatchView, Source, is_new};
use crate::conditions::{self, whole_seconds};
use crate::pods::Obstacle;
use crate::run::{self, RunStep};
use crate::streaming;
use crate::trigger::Decision;
use crate::validate::ValidatedPipeline;

/// What a batch stage's status is made from.
pub(crate) struct BatchFacts<'a> {
    pub pipeline: &'a ValidatedPipeline,
    pub view: &'a BatchView<'a>,
    pub source: Option<&'a Source>,
    /// The step of the run under way.
    pub step: Option<&'a RunStep>,
    pub decision: &'a Decision,
    /// What the whole pipeline waits for.
    pub waits_for: Option<&'a Obstacle>,
    pub now: Timestamp,
}

/// The stage's status.
pub(crate) fn stage(facts: &BatchFacts<'_>) -> StageStatus {
    let view = facts.view;
    let mut status = view.previous.cloned().unwrap_or_else(|| streaming::empty(view.stage));
    if let Some(newest) = view.newest() {
        status.last_run = Some(newest.name_any());
        status.last_run_time = newest.creation_timestamp();
        let stepped = facts
            .step
            .filter(|_| view.active().map(ResourceExt::name_any) == Some(newest.name_any()));
        status.attempts = stepped
            .map(|step| step.status.attempt)
            .or_else(|| newest.status.as_ref().map(|status| status.attempt));
    }
    if let Some(success) = view.success() {
        status.position = success.number.or(status.position);
        status.last_commit_time = success.completed.map(Time).or(status.last_commit_time);
        status.rows = success.rows.filter(|rows| *rows > 0).or(status.rows);
        status.inputs = success.inputs;
        status.outputs = success.outputs;
    }
    status.oldest_pending_time = oldest_pending(facts).map(Time);
    let (state, obstacle) = state(facts);
    status.state = state;
    status.reason = obstacle.as_ref().map(|obstacle| cut(&obstacle.reason, 128));
    status.message = obstacle.map(|obstacle| cut(&obstacle.message, 1024));
    status
}

/// Since when something waits for this stage: remembered from the first look at it, and never before the last
/// succeeded run was made, because that run took everything that stood committed then.
fn oldest_pending(facts: &BatchFacts<'_>) -> Option<Timestamp> {
    let source = facts.source?;
    let success = facts.view.success();
    let consumed = success
        .as_ref()
        .map(|success| success.inputs.as_slice())
        .unwrap_or_default();
    if !is_new(facts.view.stage, &source.inputs, consumed) {
        return None;
    }
    let remembered = facts
        .view
        .previous
        .and_then(|previous| previous.oldest_pending_time.as_ref())
        .map(|time| time.0);
    let first = remembered.or(source.committed).unwrap_or(facts.now);
    let taken = success.and_then(|success| success.created);
    Some(whole_seconds(taken.map_or(first, |taken| first.max(taken))))
}

fn state(facts: &BatchFacts<'_>) -> (StageState, Option<Obstacle>) {
    if let Some(fault) = facts.pipeline.fault(facts.view.stage) {
        return (
            StageState::Blocked,
            Some(Obstacle {
                reason: fault.reason.to_owned(),
                message: fault.message.clone(),
            }),
        );
    }
    if let Some(step) = facts.step {
        return active(step);
    }
    if facts.pipeline.spec.suspend {
        return (StageState::Suspended, None);
    }
    if let Some(obstacle) = facts.waits_for {
        return (StageState::Pending, Some(obstacle.clone()));
    }
    match (facts.view.newest(), facts.decision) {
        (_, Decision::Start(_)) => (StageState::Running, None),
        (Some(newest), _) if run::has_failed(newest) => (StageState::Failed, failure_of(newest)),
        _ => (StageState::Idle, None),
    }
}

fn active(step: &RunStep) -> (StageState, Option<Obstacle>) {
    let succeeded = conditions::find(&step.status.conditions, "Succeeded");
    let word = |status: &str| {
        succeeded
            .filter(|condition| condition.status == status)
            .map(|condition| Obstacle {
                reason: condition.reason.clone(),
                message: condition.message.clone(),
            })
    };
    if let Some(failure) = word("False") {
        return (StageState::Failed, Some(failure));
    }
    if let Some(obstacle) = &step.obstacle {
        return (StageState::Blocked, Some(obstacle.clone()));
    }
    let doing = conditions::find(&step.status.conditions, "Reconciling").map(|condition| condition.reason.as_str());
    if doing == Some(run::BACKING_OFF) {
        return (StageState::Blocked, word("Unknown"));
    }
    (StageState::Running, None)
}

fn failure_of(run: &StageRun) -> Option<Obstacle> {
    let condition = conditions::find(&run.status.as_ref()?.conditions, "Succeeded")?;
    Some(Obstacle {
        reason: condition.reason.clone(),
        message: format!("run {}: {}", run.name_any(), condition.message),
    })
}
