//! Where a streaming stage stands, from its Deployment, its pods and their progress. No network.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use medallion_crds::launch::report::Report;
use medallion_crds::pipeline::{DeadLetterStatus, StageState, StageStatus};
use medallion_crds::progress::{Progress, TroubleClass};
use medallion_crds::text::cut;
use medallion_crds::{Stage, labels};

use crate::child::Child;
use crate::conditions::whole_seconds;
use crate::names;
use crate::observed::Observed;
use crate::pods::{self, Obstacle};
use crate::rules;
use crate::validate::ValidatedPipeline;

/// A streaming stage as it stands.
pub(crate) struct Streaming {
    pub status: StageStatus,
    /// The Deployment does what was last planned for it.
    pub rolled_out: bool,
    /// Whether the progress of all pods is known, of those that have had time to tell.
    pub measured: bool,
    /// When a pod that has not told anything yet should have.
    pub turns_at: Option<Timestamp>,
}

/// How long a pod may run before it tells how it is getting on.
const FIRST_ANSWER_SECONDS: i32 = 15;

/// Digest of what is planned for a stage's Deployment; `None` while nothing is.
pub(crate) fn planned_hash<'a>(children: &'a [Child], pipeline_name: &str, stage: Stage) -> Option<&'a str> {
    let name = names::child(pipeline_name, stage.worker());
    children
        .iter()
        .filter(|child| matches!(child, Child::Deployment(_)) && child.name() == name)
        .find_map(|child| hash_of(child.metadata()))
}

fn hash_of(metadata: &ObjectMeta) -> Option<&str> {
    Some(metadata.annotations.as_ref()?.get(labels::PLANNED_HASH)?)
}

/// Where the stage stands. `planned` is the digest of what is planned for its Deployment; absent while nothing is.
pub(crate) fn stage(
    pipeline: &ValidatedPipeline,
    observed: &Observed,
    stage: Stage,
    planned: Option<&str>,
    waits_for: Option<&Obstacle>,
    now: Timestamp,
) -> Streaming {
    let worker = stage.worker();
    let pods = observed.pods_of_worker(worker);
    let progress: Vec<&Progress> = pods.iter().filter_map(|pod| observed.progress_of(pod)).collect();
    let answers_due: Vec<Timestamp> = pods
        .iter()
        .filter(|pod| observed.progress_of(pod).is_none())
        .filter_map(|pod| pods::running_since(pod))
        .map(|since| rules::later(since, FIRST_ANSWER_SECONDS))
        .collect();
    let ready = pods.iter().filter(|pod| pods::is_ready(pod)).count();
    let deployment = observed.deployment(&names::child(&pipeline.name, worker));

    let mut status = previous(pipeline, stage);
    status.ready_replicas = deployment.map(|_| i32::try_from(ready).unwrap_or(i32::MAX));
    let turns_at = answers_due.iter().copied().filter(|due| *due > now).min();
    measure(&mut status, &progress, !answers_due.is_empty(), turns_at.is_some());
    let (found, obstacle) = if let Some(fault) = pipeline.fault(stage) {
        (
            StageState::Blocked,
            Some(Obstacle {
                reason: fault.reason.to_owned(),
                message: fault.message.clone(),
            }),
        )
    } else if let Some(deployment) = deployment {
        let refused = pods::refused_by(deployment, &pipeline.namespace);
        let hindered = obstacle(pipeline, observed, &pods, now).or(refused);
        state(&progress, ready, hindered)
    } else {
        (StageState::Pending, Some(waits_for.cloned().unwrap_or_else(starting)))
    };
    status.state = found;
    status.reason = obstacle.as_ref().map(|obstacle| cut(&obstacle.reason, 128));
    status.message = obstacle.map(|obstacle| cut(&obstacle.message, 1024));
    Streaming {
        rolled_out: deployment.is_some_and(|deployment| is_rolled_out(deployment, planned)),
        measured: !progress.is_empty() && answers_due.iter().all(|due| *due > now),
        turns_at,
        status,
    }
}

/// What the status said, without what is always found anew.
fn previous(pipeline: &ValidatedPipeline, stage: Stage) -> StageStatus {
    let known = pipeline
        .status
        .stages
        .iter()
        .find(|status| status.name == stage)
        .cloned();
    let mut status = known.unwrap_or_else(|| empty(stage));
    // How much waits is not known unless somebody says so; how old it is at least, is.
    status.lag = None;
    status
}

/// A stage of which nothing is known.
pub(crate) fn empty(stage: Stage) -> StageStatus {
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
        last_run: None,
        last_run_time: None,
        attempts: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
    }
}

/// Takes over what the pods say. Until a silent pod's answer is due, what it had to do is not known to be done; after that
/// nothing is known of it any more.
fn measure(status: &mut StageStatus, progress: &[&Progress], some_silent: bool, answer_comes_soon: bool) {
    if progress.is_empty() {
        return;
    }
    let remembered = status.oldest_pending_time.take().filter(|_| answer_comes_soon);
    let all = || progress.iter().map(|progress| &progress.work);
    status.position = all().filter_map(|work| work.position).max().or(status.position);
    // One pod that does not know its share makes the sum unknown.
    status.lag = all()
        .map(|work| work.lag)
        .try_fold(0_i64, |sum, lag| Some(sum.saturating_add(lag?)))
        .filter(|_| !some_silent);
    let oldest = all().filter_map(|work| work.oldest_pending_time).min().map(time);
    status.oldest_pending_time = oldest.into_iter().chain(remembered).min();
    let newest = all()
        .filter(|work| work.last_commit_time.is_some())
        .max_by_key(|work| work.last_commit_time);
    if let Some(work) = newest {
        status.last_commit_time = work.last_commit_time.map(time);
        status.rows = work.rows.or(status.rows);
    }
}

fn time(time: Timestamp) -> Time {
    Time(whole_seconds(time))
}

fn state(progress: &[&Progress], ready: usize, hindered: Option<Obstacle>) -> (StageState, Option<Obstacle>) {
    let trouble = |class: TroubleClass| {
        let found = progress.iter().filter_map(|progress| progress.work.trouble.as_ref());
        found
            .filter(|trouble| trouble.class == class)
            .min_by_key(|trouble| trouble.since)
            .map(|trouble| Obstacle {
                reason: trouble.reason.clone(),
                message: trouble.message.clone(),
            })
    };
    if let Some(risk) = trouble(TroubleClass::LossRisk) {
        return (StageState::Failed, Some(risk));
    }
    if let Some(outside) = trouble(TroubleClass::Environment) {
        return (StageState::Blocked, Some(outside));
    }
    match (ready, hindered) {
        (0, Some(obstacle)) => (StageState::Blocked, Some(obstacle)),
        (0, None) => (StageState::Pending, Some(starting())),
        (_, obstacle) => (StageState::Running, obstacle),
    }
}

/// What is in the way of the first pod that anything is in the way of.
fn obstacle(pipeline: &ValidatedPipeline, observed: &Observed, pods: &[&Pod], now: Timestamp) -> Option<Obstacle> {
    pods.iter().copied().find_map(|pod| {
        let ended = || pods::terminated(pod).or_else(|| pods::failed_before(pod, now));
        pods::obstacle(pod, observed.warning_of(pod), &pipeline.namespace).or_else(|| ended().map(started_again))
    })
}

fn starting() -> Obstacle {
    Obstacle {
        reason: "Starting".to_owned(),
        message: "the worker's pods are being started".to_owned(),
    }
}

/// A standing worker that has ended and is started again.
fn started_again(ended: &ContainerStateTerminated) -> Obstacle {
    match pods::report(ended) {
        Some(Report::Failure(failure)) => Obstacle {
            reason: failure.reason,
            message: failure.message,
        },
        _ => Obstacle {
            reason: ended
                .reason
                .clone()
                .filter(|reason| reason == "OOMKilled")
                .unwrap_or_else(|| "WorkerEnded".to_owned()),
            message: format!(
                "the worker ended with exit code {} and is started again",
                ended.exit_code
            ),
        },
    }
}

/// Whether the plan stands there, and not an earlier one that was carried out long ago, and all pods are of it.
fn is_rolled_out(deployment: &Deployment, planned: Option<&str>) -> bool {
    let Some(status) = deployment.status.as_ref() else {
        return false;
    };
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    planned.is_none_or(|planned| hash_of(&deployment.metadata) == Some(planned))
        && status.observed_generation >= deployment.metadata.generation
        && status.updated_replicas.unwrap_or_default() >= wanted
        && status.replicas.unwrap_or_default() == status.updated_replicas.unwrap_or_default()
        && status.available_replicas.unwrap_or_default() >= wanted
}

/// Dead letters as the consumer last measured them.
pub(crate) fn dead_letters(pipeline: &ValidatedPipeline, observed: &Observed) -> Option<DeadLetterStatus> {
    let pods = observed.pods_of_worker(Stage::Persist.worker());
    let newest = pods
        .iter()
        .filter_map(|pod| observed.progress_of(pod))
        .filter(|progress| progress.work.dead_letters.is_some())
        .max_by_key(|progress| (progress.time, progress.identity.pod_uid.clone()));
    let Some(measured) = newest.and_then(|progress| progress.work.dead_letters.clone()) else {
        return pipeline.status.dead_letters.clone();
    };
    let newest = measured
        .newest
        .into_iter()
        .take(10)
        .map(|mut reason| {
            reason.reason = cut(&reason.reason, 128);
            reason.message = cut(&reason.message, 512);
            reason.source = cut(&reason.source, 300);
            reason.time = Time(whole_seconds(reason.time.0));
            reason
        })
        .collect();
    Some(DeadLetterStatus {
        count: measured.count,
        newest,
    })
}

/// Names of the settings that pods still have mounted.
pub(crate) fn mounted_settings(observed: &Observed) -> impl Iterator<Item = &str> {
    let volumes = observed
        .pods
        .iter()
        .filter_map(|pod| pod.spec.as_ref()?.volumes.as_deref())
        .flatten();
    volumes
        .filter_map(|volume| volume.config_map.as_ref())
        .map(|source| source.name.as_str())
}
