//! Judges one attempt of a run from its Job and pods: evidence first, conditions second. No network.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use medallion_crds::launch::ExitCode;
use medallion_crds::launch::report::{Report, RunReport};
use medallion_crds::{Reason, StageRun, StageRunStatus, labels};

use crate::model::cluster::Observed;
use crate::model::job::{self, JobEnd};
use crate::model::kept_pod::Pod;
use crate::model::obstacle::Obstacle;
use crate::model::{conditions, names, pod, time};
use crate::runs::RunType;

/// How long after its deadline a Job may take to end; then it counts as stuck.
const STUCK_SECONDS: i32 = 120;

/// The words for an attempt while nothing is in its way.
const UNHINDERED: [Reason; 3] = [Reason::Pending, Reason::Running, Reason::EarlierPodEnds];

/// Where an attempt stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AttemptState {
    /// The intent is stored, the Job is not seen yet.
    NotCreated,
    /// The Job has no running pod yet.
    Pending {
        obstacle: Option<Obstacle>,
        launch_hash: Option<String>,
        job_uid: Option<String>,
    },
    /// The worker works.
    Running {
        pod_uid: Option<String>,
        /// When it counts as stuck.
        stuck_at: Timestamp,
    },
    /// The worker left the evidence of its commit.
    Succeeded(RunReport),
    /// The attempt is over without evidence.
    Ended(Ending),
    /// The worker has ended without evidence, but a container beside it keeps its pod.
    HeldOpen { job_uid: Option<String>, ending: Ending },
    /// The Job should have ended long ago.
    Stuck { job_uid: Option<String>, ending: Ending },
}

/// How an attempt ended without evidence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ending {
    pub class: EndingClass,
    /// The word for why.
    pub reason: Reason,
    /// What, where and what to do.
    pub message: String,
    pub exit_code: Option<i32>,
    /// Digest of the launch settings the attempt was made from.
    pub launch_hash: Option<String>,
}

/// What must follow an attempt without evidence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EndingClass {
    /// Another attempt, as long as the limit allows.
    Counted,
    /// No further attempt can help: the input, the SQL, the settings or the data must change first.
    Final,
    /// Another attempt that the limit does not count: nobody failed, or nobody knows whether the work was done.
    Free,
}

/// Judges the attempt that the run's status names.
pub(crate) fn judge(
    kind: &RunType,
    run: &StageRun,
    status: &StageRunStatus,
    observed: &Observed,
    timeout_seconds: i32,
    now: Timestamp,
) -> AttemptState {
    let name = names::attempt(&run.name_any(), status.attempt);
    let Some(job) = observed.job(&name) else {
        return if status.job.is_some() {
            AttemptState::Ended(free(
                Reason::JobLost,
                format!("Job {name} is gone and left no report; the next attempt finds out what was committed"),
            ))
        } else {
            AttemptState::NotCreated
        };
    };
    let pods = observed.pods_of_job(job);
    if let Some(report) = pods.iter().find_map(|pod| evidence(kind, pod, run)) {
        return AttemptState::Succeeded(report);
    }
    let launch_hash = job.annotations().get(labels::LAUNCH_HASH).cloned();
    if let Some(end) = job::end(job) {
        let mut ending = ended(&end, pods.first().copied(), &name, || {
            timed_out(status, observed.obstacle_of(job, now), timeout_seconds)
        });
        ending.launch_hash = launch_hash;
        return AttemptState::Ended(ending);
    }
    let held = pods.first().filter(|newest| pod::held_by(newest, now).is_some());
    if let Some(terminated) = held.and_then(|newest| pod::terminated(newest)) {
        let mut ending = worker_ended(terminated);
        ending.launch_hash = launch_hash;
        return AttemptState::HeldOpen {
            job_uid: job.uid(),
            ending,
        };
    }
    let stuck_at = stuck_time(status, job, timeout_seconds, now);
    if now >= stuck_at {
        let mut ending = timed_out(status, observed.obstacle_of(job, now), timeout_seconds);
        ending.launch_hash = launch_hash;
        return AttemptState::Stuck {
            job_uid: job.uid(),
            ending,
        };
    }
    match pods.first() {
        Some(newest) if pod::has_started(newest) => AttemptState::Running {
            pod_uid: newest.uid(),
            stuck_at,
        },
        _ => AttemptState::Pending {
            obstacle: observed.obstacle_of(job, now),
            launch_hash,
            job_uid: job.uid(),
        },
    }
}

/// When a Job that has not ended counts as stuck. It may have been made long after it was wanted: while a quota was full, or
/// the pods of an earlier attempt ended.
fn stuck_time(status: &StageRunStatus, job: &Job, timeout_seconds: i32, now: Timestamp) -> Timestamp {
    let wanted = status.attempt_time.as_ref().map_or(now, |at| at.0);
    let made = job.creation_timestamp().map_or(wanted, |at| at.0);
    time::later(wanted.max(made), timeout_seconds.saturating_add(STUCK_SECONDS))
}

/// The report of this run's commit, from whichever attempt's pod.
fn evidence(kind: &RunType, pod: &Pod, run: &StageRun) -> Option<RunReport> {
    let terminated = pod::terminated(pod).filter(|terminated| terminated.exit_code == 0)?;
    (kind.evidence)(run, pod::report(terminated)?)
}

fn ended(end: &JobEnd<'_>, newest: Option<&Pod>, name: &str, timed_out: impl FnOnce() -> Ending) -> Ending {
    match end {
        JobEnd::Complete => free(
            Reason::ReportLost,
            format!("Job {name} ended well but its report is lost; the next attempt finds out what was committed"),
        ),
        JobEnd::Failed {
            reason: "DeadlineExceeded",
            ..
        } => timed_out(),
        JobEnd::Failed { message, .. } => match newest {
            Some(newest) if pod::is_disrupted(newest) => free(
                Reason::Disrupted,
                format!("the pod was taken away: {message}; the attempt is made again"),
            ),
            Some(newest) => match pod::terminated(newest) {
                Some(terminated) => worker_ended(terminated),
                None => free(
                    Reason::PodLost,
                    format!("the pod was lost before it ended: {message}; the attempt is made again"),
                ),
            },
            None => free(
                Reason::PodLost,
                format!(
                    "the pod of Job {name} is gone and left no report: {message}; the next attempt finds out what was committed"
                ),
            ),
        },
    }
}

fn worker_ended(terminated: &k8s_openapi::api::core::v1::ContainerStateTerminated) -> Ending {
    let code = terminated.exit_code;
    let (reason, message) = match pod::report(terminated) {
        Some(Report::Failure(failure)) => (Some(failure.reason), failure.message),
        _ => (None, last_words(terminated.message.as_deref())),
    };
    let out_of_memory = terminated.reason.as_deref() == Some("OOMKilled");
    let class = match ExitCode::from_code(code) {
        Some(ExitCode::Record | ExitCode::LossRisk | ExitCode::Settings) => EndingClass::Final,
        Some(ExitCode::Done | ExitCode::Fenced) => EndingClass::Free,
        // Killed from outside: not the work's fault, and its commit may stand.
        None if (code == 137 || code == 143) && !out_of_memory => EndingClass::Free,
        Some(ExitCode::Environment) | None => EndingClass::Counted,
    };
    let (reason, message) = match reason {
        Some(reason) => (reason, message),
        None if out_of_memory => (
            Reason::OutOfMemory,
            "the worker needed more memory than its limit; raise the worker's memory limit in the Helm values"
                .to_owned(),
        ),
        None if class == EndingClass::Free => (
            Reason::Killed,
            format!("the worker was killed (exit code {code}); the attempt is made again"),
        ),
        None => (
            Reason::WorkerFailed,
            format!("the worker ended with exit code {code}: {message}"),
        ),
    };
    Ending {
        class,
        reason,
        message,
        exit_code: Some(code),
        launch_hash: None,
    }
}

/// `obstacle`: what keeps the pod from starting, or kept it from being made, as far as Kubernetes still shows it.
fn timed_out(status: &StageRunStatus, obstacle: Option<Obstacle>, timeout_seconds: i32) -> Ending {
    // A pod that runs out of time is deleted: of one that never started no more is left than the word for why.
    let of_deleted = || {
        let last = conditions::find(&status.conditions, "Succeeded")?;
        let reason = Reason::read(&last.reason);
        let meaning = reason.meaning();
        (!UNHINDERED.contains(&reason)).then(|| Obstacle::new(reason, meaning))
    };
    let help = match obstacle.or_else(of_deleted) {
        Some(Obstacle { reason, message, .. }) => format!("its pod did not start: {reason}: {message}"),
        None => "raise it, or look at what the worker waited for".to_owned(),
    };
    Ending {
        class: EndingClass::Counted,
        reason: Reason::TimedOut,
        message: format!("the attempt took longer than timeoutSeconds ({timeout_seconds}); {help}"),
        exit_code: None,
        launch_hash: None,
    }
}

fn free(reason: Reason, message: String) -> Ending {
    Ending {
        class: EndingClass::Free,
        reason,
        message,
        exit_code: None,
        launch_hash: None,
    }
}

/// The end of a log, as far as there is room for it.
fn last_words(message: Option<&str>) -> String {
    let text = message.unwrap_or("no message").trim();
    let mut start = text.len().saturating_sub(1500);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default().to_owned()
}
