//! What users read of a stage: from its pods if it works all the time, from its runs if it works in runs. No network.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use medallion_crds::pipeline::{StageState, StageStatus};
use medallion_crds::stage_run::AttemptFailure;
use medallion_crds::text::cut;
use medallion_crds::{Reason, Stage, StageRun};

use crate::assess::stage_runs::is_new;
use crate::assess::streaming::Streaming;
use crate::decide::batch::BatchStage;
use crate::decide::run::RunStep;
use crate::decide::stranded;
use crate::decide::trigger::Decision;
use crate::model::obstacle::Obstacle;
use crate::model::time::whole_seconds;
use crate::model::{conditions, run};
use crate::stages::Basis;

/// Status of a stage that works all the time.
pub(super) fn streaming(basis: &Basis<'_>, stage: &Streaming<'_>) -> StageStatus {
    let figures = &stage.figures;
    let status = StageStatus {
        lag: figures.lag,
        position: figures.position,
        oldest_pending_time: figures.oldest_pending.map(Time),
        last_commit_time: figures.last_commit.map(Time),
        rows: figures.rows,
        ready_replicas: stage.ready_replicas,
        retention: figures.retention,
        held_by: figures.held_by,
        ..stored(basis, stage.place.entry.stage)
    };
    said(status, stage.state, stage.obstacle.as_ref())
}

/// Status of a stage that works in runs.
pub(super) fn batch(basis: &Basis<'_>, stage: &BatchStage<'_>) -> StageStatus {
    let runs = &stage.runs;
    let mut status = stored(basis, stage.place.entry.stage);
    if let Some(newest) = runs.newest_own() {
        status.last_run = Some(newest.name_any());
        status.last_run_time = newest.creation_timestamp();
        let stepped = stage
            .step
            .as_ref()
            .filter(|_| runs.active().map(ResourceExt::name_any) == Some(newest.name_any()));
        status.attempts = stepped
            .map(|step| step.status.attempt)
            .or_else(|| newest.status.as_ref().map(|status| status.attempt));
    }
    if let Some(success) = runs.success() {
        status.position = success.number.or(status.position);
        status.last_commit_time = success
            .completed
            .map(whole_seconds)
            .map(Time)
            .or(status.last_commit_time);
        status.rows = success.rows.filter(|rows| *rows > 0).or(status.rows);
        status.inputs = success.inputs;
        status.outputs = success.outputs;
    }
    status.oldest_pending_time = oldest_pending(basis, stage).map(Time);
    let (doing, obstacle) = state(basis, stage);
    said(status, doing, obstacle.as_ref())
}

fn said(status: StageStatus, state: StageState, obstacle: Option<&Obstacle>) -> StageStatus {
    StageStatus {
        state,
        reason: obstacle.map(|obstacle| obstacle.reason.clone()),
        message: obstacle.map(|obstacle| cut(&obstacle.message, 1024)),
        ..status
    }
}

/// What the status said before.
fn stored(basis: &Basis<'_>, stage: Stage) -> StageStatus {
    let known = basis.observed.stored.stages.iter().find(|status| status.name == stage);
    known.cloned().unwrap_or_else(|| empty(stage))
}

/// A stage of which nothing is known.
pub(super) fn empty(stage: Stage) -> StageStatus {
    StageStatus {
        name: stage,
        state: StageState::Pending,
        reason: None,
        message: None,
        position: None,
        lag: None,
        oldest_pending_time: None,
        last_commit_time: None,
        rows: None,
        ready_replicas: None,
        retention: None,
        held_by: None,
        last_run: None,
        last_run_time: None,
        attempts: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
    }
}

/// Since when something waits for this stage: remembered from the first look at it, and never before the last
/// succeeded run was made, because that run took everything that stood committed then.
fn oldest_pending(basis: &Basis<'_>, stage: &BatchStage<'_>) -> Option<Timestamp> {
    let source = stage.source.as_ref()?;
    let success = stage.runs.success();
    let consumed = success
        .as_ref()
        .map(|success| success.inputs.as_slice())
        .unwrap_or_default();
    if !is_new(stage.batch.is_new, &source.inputs, consumed) {
        return None;
    }
    let remembered = stage
        .runs
        .previous
        .and_then(|previous| previous.oldest_pending_time.as_ref())
        .map(|time| time.0);
    let first = remembered.or(source.committed).unwrap_or(basis.now);
    let taken = success.and_then(|success| success.created);
    Some(whole_seconds(taken.map_or(first, |taken| first.max(taken))))
}

fn state(basis: &Basis<'_>, stage: &BatchStage<'_>) -> (StageState, Option<Obstacle>) {
    if let Some(fault) = basis.pipeline.fault(stage.place.entry.stage) {
        let obstacle = Obstacle::new(fault.reason.clone(), &fault.message);
        return (StageState::Blocked, Some(obstacle));
    }
    if let Some(step) = &stage.step {
        return active(step);
    }
    // It has a next step, unless this version does not know what it is to do.
    if let Some(run) = stage.runs.active() {
        return (StageState::Blocked, Some(stranded::of_another_version(run)));
    }
    if basis.is_suspended(stage.place) {
        return (StageState::Suspended, None);
    }
    if let Some(obstacle) = &stage.waits_for {
        return (StageState::Pending, Some(obstacle.clone()));
    }
    match (stage.runs.newest(), &stage.decision) {
        (_, Decision::Start(..)) => (StageState::Running, None),
        (Some(newest), _) if run::has_failed(newest) => (StageState::Failed, failure_of(newest)),
        _ => (StageState::Idle, None),
    }
}

fn active(step: &RunStep) -> (StageState, Option<Obstacle>) {
    let succeeded = conditions::find(&step.status.conditions, "Succeeded");
    let word = |status: &str| {
        succeeded
            .filter(|condition| condition.status == status)
            .map(|condition| Obstacle::new(Reason::read(&condition.reason), &condition.message))
    };
    if let Some(failure) = word("False") {
        return (StageState::Failed, Some(failure));
    }
    if let Some(obstacle) = &step.obstacle {
        return (StageState::Blocked, Some(obstacle.clone()));
    }
    // One failure makes an event, and the next attempt may do better. After a second one the stage is not well until the run
    // ends, so that it does not seem to be each time that an attempt begins.
    let again = step.status.failed_attempts > 1;
    let obstacle = if step.backs_off {
        word("Unknown")
    } else {
        step.status.failures.first().filter(|_| again).map(under_way_again)
    };
    let state = if again {
        StageState::Blocked
    } else {
        StageState::Running
    };
    (state, obstacle)
}

fn under_way_again(last: &AttemptFailure) -> Obstacle {
    let message = format!("attempt {}: {}; the next one is under way", last.attempt, last.message);
    Obstacle::new(last.reason.clone(), message)
}

fn failure_of(run: &StageRun) -> Option<Obstacle> {
    let condition = conditions::find(&run.status.as_ref()?.conditions, "Succeeded")?;
    Some(Obstacle::new(
        Reason::read(&condition.reason),
        format!("run {}: {}", run.name_any(), condition.message),
    ))
}
