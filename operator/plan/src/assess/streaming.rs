//! Where a streaming stage stands, from its Deployment, its pods and their progress. No network.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use medallion_crds::launch::ADMIN_PORT;
use medallion_crds::pipeline::{Retention, RunsOn, StageState, StageStatus};
use medallion_crds::progress::{Progress, TroubleClass};
use medallion_crds::{Reason, Stage};

use crate::model::child::Child;
use crate::model::kept_pod::Pod;
use crate::model::obstacle::Obstacle;
use crate::model::time::whole_seconds;
use crate::model::wish::WorkWish;
use crate::model::{conditions, deployment, names, pod, time};
use crate::stages::{Basis, Place, Work};

/// A streaming stage as it stands.
pub(crate) struct Streaming<'a> {
    pub place: Place<'a>,
    pub state: StageState,
    /// Why, when the state alone does not say it.
    pub obstacle: Option<Obstacle>,
    /// Pods that are ready; `None` while there is no Deployment.
    pub ready_replicas: Option<i32>,
    pub figures: Figures,
    /// The Deployment does what was last planned for it.
    pub rolled_out: bool,
    /// An autoscaler has changed the number of pods, and as many as before are ready.
    pub scales: bool,
    /// Why the progress of not all pods is known, of those that have had time to report it.
    pub unmeasured: Option<Obstacle>,
    /// When a pod that has not reported anything yet should have.
    pub turns_at: Option<Timestamp>,
}

/// What the pods say, and what was said before where they do not know.
#[derive(Clone, Default)]
pub(crate) struct Figures {
    pub position: Option<i64>,
    pub lag: Option<i64>,
    pub oldest_pending: Option<Timestamp>,
    pub last_commit: Option<Timestamp>,
    pub rows: Option<i64>,
    /// How much of what the source keeps is used.
    pub retention: Option<Retention>,
    /// Who holds the stream.
    pub held_by: Option<RunsOn>,
    /// The topic that is read.
    pub topic_id: Option<String>,
}

/// How long a pod may run before it reports how it is getting on.
const FIRST_ANSWER_SECONDS: i32 = 15;

/// In how many steps the use of what a source keeps is reported, so that a status does not tick.
const RETENTION_STEPS: i64 = 100;

/// All streaming stages. `planned` is what is planned for the cluster; `waits_for` tells why nothing is for a stage, if so.
pub(crate) fn all<'a>(
    basis: &Basis<'a>,
    planned: &[Child],
    waits_for: impl Fn(Place<'a>) -> Option<Obstacle>,
) -> Vec<Streaming<'a>> {
    basis
        .streaming()
        .map(|(place, _)| stage(basis, place, planned, waits_for(place)))
        .collect()
}

fn stage<'a>(basis: &Basis<'a>, place: Place<'a>, planned: &[Child], waits_for: Option<Obstacle>) -> Streaming<'a> {
    let Basis {
        pipeline,
        observed,
        now,
        ..
    } = *basis;
    if !place.wish.has_pods() {
        return unseen(basis, place);
    }
    let (stage, worker) = (place.entry.stage, place.entry.worker());
    let pods = observed.pods_of_worker(worker);
    let progress: Vec<&Progress> = pods.iter().filter_map(|pod| observed.progress_of(pod)).collect();
    let answers_due: Vec<Timestamp> = pods
        .iter()
        .filter(|pod| observed.progress_of(pod).is_none())
        .filter_map(|pod| pod::running_since(pod))
        .map(|since| time::later(since, FIRST_ANSWER_SECONDS))
        .collect();
    let ready = pods.iter().filter(|pod| pod::is_ready(pod)).count();
    let deployment = observed.deployment(&names::child(&pipeline.name, worker));
    let turns_at = answers_due.iter().copied().filter(|due| *due > now).min();

    let before = remembered(&observed.stored.stages, stage);
    let mut figures = measure(before, &progress, !answers_due.is_empty(), turns_at.is_some());
    let suspended = basis.is_suspended(place);
    let (doing, obstacle) = if let Some(fault) = pipeline.fault(stage) {
        let obstacle = Obstacle::new(fault.reason.clone(), &fault.message);
        (StageState::Blocked, Some(obstacle))
    } else if suspended && deployment.is_some_and(deployment::is_at_rest) {
        (StageState::Suspended, None)
    } else if let Some(deployment) = deployment.filter(|found| waits_for.is_none() || !deployment::is_at_rest(found)) {
        let refused = deployment::refused(deployment, &pipeline.namespace);
        let hindered = hindered(basis, &pods).or(refused);
        judge(&progress, ready, hindered)
    } else {
        let obstacle = waits_for.unwrap_or_else(Obstacle::starting);
        (StageState::Pending, Some(obstacle))
    };
    let planned = deployment::planned_hash(planned, &pipeline.name, worker);
    // While it pauses, or something keeps it from looking, nobody looks: something may wait from now on.
    let hinders = matches!(doing, StageState::Blocked | StageState::Failed);
    let blind = suspended || (deployment.is_some() && hinders && figures.lag.is_none());
    let unseen = (blind && keeps(place).is_some()).then(|| whole_seconds(now));
    figures.oldest_pending = figures.oldest_pending.or(unseen);
    figures.retention = retention(basis, place, &figures);
    let scales =
        obstacle.is_none() && deployment.is_some_and(|deployment| scales(basis, place, deployment, planned, ready));
    Streaming {
        place,
        state: doing,
        obstacle,
        scales,
        ready_replicas: deployment.map(|_| i32::try_from(ready).unwrap_or(i32::MAX)),
        figures,
        rolled_out: deployment.is_some_and(|deployment| deployment::is_rolled_out(deployment, planned)),
        unmeasured: unmeasured(basis, place, &pods).filter(|_| !suspended),
        turns_at,
    }
}

/// A stage whose worker is a function on AWS Lambda: what was measured before says nothing of it, and its objects are no concern.
fn unseen<'a>(basis: &Basis<'a>, place: Place<'a>) -> Streaming<'a> {
    let (state, obstacle) = match basis.pipeline.fault(place.entry.stage) {
        Some(fault) => (StageState::Blocked, Obstacle::new(fault.reason.clone(), &fault.message)),
        None => (StageState::Unknown, Obstacle::on_lambda()),
    };
    Streaming {
        place,
        state,
        obstacle: Some(obstacle),
        ready_replicas: None,
        figures: Figures::default(),
        rolled_out: true,
        scales: false,
        unmeasured: None,
        turns_at: None,
    }
}

/// Whether what stood for this very spec still stands, and only the number of pods is an autoscaler's to change. Once fewer are ready
/// than before, and than it wants now, all must be.
fn scales(basis: &Basis<'_>, place: Place<'_>, deployment: &Deployment, planned: Option<&str>, ready: usize) -> bool {
    let stored = &basis.observed.stored;
    let was_ready = conditions::find(&stored.conditions, "Ready").is_some_and(|condition| {
        condition.status == "True" && condition.observed_generation == Some(basis.pipeline.generation)
    });
    let mut stages = stored.stages.iter();
    let before = stages.find(|status| status.name == place.entry.stage);
    let before = before.and_then(|status| status.ready_replicas).unwrap_or_default();
    // What it takes away is not missed.
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    matches!(place.wish.work, WorkWish::Streaming { replicas: None, .. })
        && was_ready
        && ready > 0
        && usize::try_from(before.min(wanted)).is_ok_and(|least| ready >= least)
        && deployment::is_of_one_template(deployment, planned)
}

/// What the status said. How much waits is not known unless somebody says so; how old it is at least, is.
fn remembered(stored: &[StageStatus], stage: Stage) -> Figures {
    let Some(before) = stored.iter().find(|status| status.name == stage) else {
        return Figures::default();
    };
    Figures {
        position: before.position,
        lag: None,
        oldest_pending: before.oldest_pending_time.as_ref().map(|time| time.0),
        last_commit: before.last_commit_time.as_ref().map(|time| time.0),
        rows: before.rows,
        retention: None,
        held_by: before.held_by,
        topic_id: None,
    }
}

/// Takes over what the pods say. Until a silent pod's answer is due, and while one says that it does not know what waits, what
/// was there to do is not known to be done; of a pod that stays silent nothing is known any more.
fn measure(before: Figures, progress: &[&Progress], some_silent: bool, answer_comes_soon: bool) -> Figures {
    if progress.is_empty() {
        return before;
    }
    let all = || progress.iter().map(|progress| &progress.work);
    let unknown = all().any(|work| work.lag.is_none());
    let remembered = before.oldest_pending.filter(|_| answer_comes_soon || unknown);
    let oldest = all().filter_map(|work| work.oldest_pending_time).min();
    let newest = all()
        .filter(|work| work.last_commit_time.is_some())
        .max_by_key(|work| work.last_commit_time);
    Figures {
        position: all().filter_map(|work| work.position).max().or(before.position),
        // One pod that does not know its share makes the sum unknown.
        lag: all()
            .map(|work| work.lag)
            .try_fold(0_i64, |sum, lag| Some(sum.saturating_add(lag?)))
            .filter(|_| !some_silent),
        oldest_pending: time::earlier(oldest, remembered).map(whole_seconds),
        last_commit: newest
            .and_then(|work| work.last_commit_time)
            .map(whole_seconds)
            .or(before.last_commit),
        rows: newest.and_then(|work| work.rows).or(before.rows),
        // The pod that is nearest to losing something speaks for all.
        retention: all()
            .filter_map(|work| work.retention)
            .max_by_key(|retention| retention.used_seconds.saturating_mul(1000) / retention.of_seconds.max(1)),
        held_by: all().find_map(|work| work.held_by).or(before.held_by),
        topic_id: all().find_map(|work| work.topic_id.clone()),
    }
}

/// Why what a stage does is not known.
fn unmeasured(basis: &Basis<'_>, place: Place<'_>, pods: &[&Pod]) -> Option<Obstacle> {
    let Basis { observed, now, .. } = *basis;
    let stage = place.entry.stage;
    let overdue = |pod: &&&Pod| {
        let since = pod::running_since(pod);
        observed.progress_of(pod).is_none()
            && since.is_some_and(|since| now >= time::later(since, FIRST_ANSWER_SECONDS))
    };
    let Some(silent) = pods.iter().find(overdue) else {
        let unknown = pods.iter().all(|pod| observed.progress_of(pod).is_none());
        let message = format!("{stage}: no pod has reported its progress yet");
        return unknown.then(|| Obstacle::new(Reason::Starting, message));
    };
    let name = silent.metadata.name.as_deref().unwrap_or_default();
    Some(if let Some(age) = observed.outdated(silent) {
        let message = format!(
            "{stage}: what pod {name} tells was true {age} s ago; its loop does not turn, and /livez ends it unless it goes on"
        );
        Obstacle::new(Reason::NotMeasured, message)
    } else if pod::is_ready(silent) {
        // The kubelet reaches the port, so the worker is well: something between the operator and the pod is in the way.
        let message = format!(
            "{stage}: pod {name} is ready, but the operator gets no answer from its port {ADMIN_PORT}; allow connections from the operator's pods to port {ADMIN_PORT} in namespace {} (NetworkPolicy, service mesh); the chart's NetworkPolicies do",
            basis.pipeline.namespace
        );
        Obstacle::new(Reason::Unreachable, message)
    } else {
        let message = format!("{stage}: pod {name} does not tell how it is getting on");
        Obstacle::new(Reason::NotMeasured, message)
    })
}

const fn keeps(place: Place<'_>) -> Option<i64> {
    match place.entry.work {
        Work::Streaming(streaming) => streaming.source_keeps_seconds,
        Work::Batch(_) => None,
    }
}

/// How much of what the source keeps is used: as the pods say, or, while none does, by the age of the oldest input known to wait.
fn retention(basis: &Basis<'_>, place: Place<'_>, figures: &Figures) -> Option<Retention> {
    let stored = basis.observed.stored.stages.iter();
    let before = stored
        .filter(|status| status.name == place.entry.stage)
        .find_map(|status| status.retention);
    let said = figures.retention.or_else(|| {
        let oldest = figures.oldest_pending?;
        Some(Retention {
            used_seconds: basis.now.as_second().saturating_sub(oldest.as_second()).max(0),
            of_seconds: keeps(place).or(before.map(|before| before.of_seconds))?,
        })
    })?;
    let step = (said.of_seconds / RETENTION_STEPS).max(1);
    Some(Retention {
        used_seconds: said.used_seconds / step * step,
        ..said
    })
}

fn judge(progress: &[&Progress], ready: usize, hindered: Option<Obstacle>) -> (StageState, Option<Obstacle>) {
    let trouble = |class: TroubleClass| {
        let found = progress.iter().filter_map(|progress| progress.work.trouble.as_ref());
        found
            .filter(|trouble| trouble.class == class)
            .min_by_key(|trouble| trouble.since)
            .map(|trouble| Obstacle::new(trouble.reason.clone(), &trouble.message))
    };
    if let Some(risk) = trouble(TroubleClass::LossRisk) {
        return (StageState::Failed, Some(risk));
    }
    if let Some(outside) = trouble(TroubleClass::Environment) {
        return (StageState::Blocked, Some(outside));
    }
    match (ready, hindered) {
        (0, Some(obstacle)) => (StageState::Blocked, Some(obstacle)),
        (0, None) => (StageState::Pending, Some(Obstacle::starting())),
        (_, obstacle) => (StageState::Running, obstacle),
    }
}

/// What is in the way of the first pod that anything is in the way of.
fn hindered(basis: &Basis<'_>, pods: &[&Pod]) -> Option<Obstacle> {
    pods.iter().copied().find_map(|pod| {
        let ended = || pod::terminated(pod).or_else(|| pod::failed_before(pod, basis.now));
        pod::obstacle(
            pod,
            basis.observed.warning_of(pod),
            &basis.pipeline.namespace,
            basis.now,
        )
        .or_else(|| ended().map(pod::started_again))
        .or_else(|| pod::held_back(pod))
    })
}
