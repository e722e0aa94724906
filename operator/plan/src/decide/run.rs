//! The life of one run: intent, Job, judgement, further attempts, end. No network.
//!
//! The attempt's number is stored before its Job exists, the Job's name after it was seen. A crash between two writes is just another
//! start.

use std::ops::Deref;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use medallion_crds::launch::report::RunReport;
use medallion_crds::stage_run::{AttemptFailure, RunProgress};
use medallion_crds::text::cut;
use medallion_crds::{Reason, StageRun, StageRunStatus, labels};

use super::launch::StageLaunch;
use super::trigger::Cause;
use crate::assess::attempt::{self, AttemptState, Ending, EndingClass};
use crate::model::action::{ObjectId, PlannedEvent};
use crate::model::cluster::Observed;
use crate::model::conditions::{self, Wanted};
use crate::model::kept_pod::Pod;
use crate::model::obstacle::Obstacle;
use crate::model::product::Product;
use crate::model::time::{self, whole_seconds};
use crate::model::wish::BatchRules;
use crate::model::{names, pod, run};
use crate::runs::RunType;

/// Attempts that the limit does not count; beyond them each counts.
const FREE_ATTEMPTS: i32 = 10;
/// The longest wait before an attempt that the limit does not count.
const FREE_BACK_OFF_SECONDS: i32 = 60;
/// Anybody may write an annotation.
const STARTED_BY_BYTES: usize = 64;
/// How many failures a run's status keeps.
const FAILURES: usize = 5;

/// What a run's next step needs to know.
pub(crate) struct RunContext<'a> {
    pub kind: &'a RunType,
    pub observed: &'a Observed,
    pub rules: &'a BatchRules,
    /// What Jobs are made from now.
    pub launch: &'a StageLaunch<'a>,
    /// What decides the product, where it is another one than the run was begun with and a stage before is to take it up first.
    pub upstream_takes_up: Option<&'a Product>,
    /// The newest `requested-at`, while no run of the stage answers it: it takes away the wait under way when it came, and no other.
    pub request: Option<&'a str>,
    /// When the pipeline was made, by the server's clock.
    pub created: Option<Timestamp>,
    pub now: Timestamp,
}

/// A run's next step.
#[derive(Debug, Default)]
pub(crate) struct RunStep {
    /// The status after the step.
    pub status: StageRunStatus,
    /// The attempt whose Job must be created.
    pub create_job: Option<i32>,
    /// The Job to delete.
    pub delete_job: Option<ObjectId>,
    /// When to look again without any other reason to.
    pub wake_at: Option<Timestamp>,
    pub events: Vec<PlannedEvent>,
    /// What keeps the attempt's pod from starting.
    pub obstacle: Option<Obstacle>,
    /// A failed attempt is to be made again.
    pub backs_off: bool,
}

/// The next step of a run that has not ended.
pub(crate) fn advance(context: &RunContext<'_>, run: &StageRun) -> RunStep {
    let status = run.status.clone().unwrap_or_default();
    let new_request = context
        .request
        .filter(|request| status.last_handled_requested_at.as_deref() != Some(request));
    let mut step = Stepper {
        context,
        run,
        step: RunStep {
            status,
            ..RunStep::default()
        },
    };
    if run.metadata.deletion_timestamp.is_some() {
        // Its Job goes with it and must not be made again; the run keeps its place until it is gone.
        step.wake(time::later(context.now, 5));
    } else if step.step.status.attempt == 0 {
        step.begin_attempt();
    } else if let Some(retry) = step.step.status.retry_time.clone() {
        if context.now >= retry.0 || new_request.is_some() {
            step.begin_attempt();
        } else {
            step.step.backs_off = step.backs_off();
            step.wake(retry.0);
        }
    } else {
        step.judge();
    }
    if let Some(request) = new_request {
        step.step.status.last_handled_requested_at = Some(request.to_owned());
    }
    step.step
}

struct Stepper<'a> {
    context: &'a RunContext<'a>,
    run: &'a StageRun,
    step: RunStep,
}

impl Stepper<'_> {
    /// Stores the intent, and has the Job made right after it if nothing is in the way: the write is refused if anybody has written the
    /// run since it was seen, so it tells that the Job is this attempt's to make.
    fn begin_attempt(&mut self) {
        let now = Time(whole_seconds(self.context.now));
        let status = &mut self.step.status;
        status.attempt += 1;
        status.job = None;
        status.retry_time = None;
        status.progress = None;
        status.attempt_time = Some(now.clone());
        // The server's clock may be ahead of ours: a run that begins right after its pipeline was made must not seem an earlier one's.
        let created = self.context.created.map_or_else(|| now.clone(), Time);
        status.start_time.get_or_insert(now.max(created));
        self.unknown(&Reason::Pending, "the attempt's Job is about to be made");
        self.make_job();
    }

    /// Has the attempt's Job made, or says what it waits for.
    fn make_job(&mut self) {
        if let Some(pod) = self.other_at_work() {
            let message = format!(
                "pod {} of an earlier attempt still ends; the Job is made when it has",
                pod.name_any()
            );
            self.unknown(&Reason::EarlierPodEnds, &message);
        } else if let Some(product) = self.context.upstream_takes_up {
            let message = format!(
                "the {} was changed, and a stage before takes it up first: what it makes may be needed; the Job is made when it has",
                product.made_by
            );
            self.unknown(&Reason::RollingOut, &message);
        } else if let Some(obstacle) = self.context.launch.obstacle() {
            self.unknown(&obstacle.reason, &obstacle.message);
        } else if self.context.launch.hash().is_some() {
            self.step.create_job = Some(self.step.status.attempt);
        }
        self.wake(time::later(self.context.now, 5));
    }

    fn judge(&mut self) {
        let timeout = self.context.rules.timeout_seconds;
        match attempt::judge(
            self.context.kind,
            self.run,
            &self.step.status,
            self.context.observed,
            timeout,
            self.context.now,
        ) {
            AttemptState::NotCreated => self.make_job(),
            AttemptState::Pending {
                obstacle,
                launch_hash,
                job_uid,
            } => {
                if self.is_superseded(launch_hash.as_deref()) {
                    // A Job that cannot start must not hold up the change that lets it start.
                    self.step.delete_job = self.job_id(job_uid);
                }
                self.seen();
                match &obstacle {
                    Some(obstacle) => self.unknown(&obstacle.reason, &obstacle.message),
                    None => self.unknown(&Reason::Pending, "the attempt's pod is being started"),
                }
                self.step.obstacle = obstacle;
                self.wake(time::later(self.context.now, 15));
            }
            AttemptState::Running { pod_uid, stuck_at } => {
                self.seen();
                let progress = pod_uid.and_then(|uid| self.context.observed.progress.get(&uid));
                if let Some(run) = progress.and_then(|progress| progress.work.run.clone()) {
                    self.step.status.progress = Some(bounded(run));
                }
                let message = format!("attempt {} is at work", self.step.status.attempt);
                self.unknown(&Reason::Running, &message);
                self.wake(stuck_at);
            }
            AttemptState::Succeeded(report) => self.succeeded(report),
            AttemptState::Ended(ending) => self.ended(&ending),
            AttemptState::HeldOpen { job_uid, ending } | AttemptState::Stuck { job_uid, ending } => {
                self.step.delete_job = self.job_id(job_uid);
                self.ended(&ending);
            }
        }
    }

    /// A pod of the stage that still works although no Job of this attempt has made it: of a run that somebody deleted, of a
    /// Job that was stuck, or of an earlier pipeline of that name. The store would fence it; better to wait for its end.
    fn other_at_work(&self) -> Option<&Pod> {
        let stage = self.run.spec.stage?.as_str();
        self.context.observed.pods.iter().map(Deref::deref).find(|pod| {
            pod.labels().get(labels::STAGE).map(String::as_str) == Some(stage)
                && !self.may_be_own(pod)
                && pod::is_at_work(pod, self.context.now)
        })
    }

    /// Whether the pod may be this attempt's: the watch of pods can be ahead of that of Jobs. An earlier pipeline of that name
    /// had runs of the same names, but before this attempt was decided.
    fn may_be_own(&self, pod: &Pod) -> bool {
        let is = |label: &str, value: &str| pod.labels().get(label).is_some_and(|found| found == value);
        is(labels::RUN, &self.run.name_any())
            && is(labels::ATTEMPT, &self.step.status.attempt.to_string())
            && pod.creation_timestamp() >= self.step.status.attempt_time
    }

    /// Whether the wait under way follows a failed attempt.
    fn backs_off(&self) -> bool {
        let newest = self.step.status.failures.first();
        newest.is_some_and(|failure| !failure.uncounted)
    }

    fn is_superseded(&self, launch_hash: Option<&str>) -> bool {
        let current = self.context.launch.hash();
        current.is_some_and(|current| launch_hash != Some(current))
    }

    fn seen(&mut self) {
        self.step.status.job = Some(self.job_name());
    }

    fn job_id(&self, uid: Option<String>) -> Option<ObjectId> {
        uid.map(|uid| ObjectId {
            name: self.job_name(),
            uid,
        })
    }

    fn job_name(&self) -> String {
        names::attempt(&self.run.name_any(), self.step.status.attempt)
    }

    fn succeeded(&mut self, report: RunReport) {
        let (reason, message) = if report.already_committed {
            (
                Reason::AlreadyCommitted,
                "everything up to the run's inputs stood committed".to_owned(),
            )
        } else {
            (Reason::Committed, format!("{} rows committed", report.rows))
        };
        self.seen();
        let status = &mut self.step.status;
        status.rows = Some(report.rows);
        status.outputs = report.outputs;
        status.progress = None;
        self.over("True", &reason, &message, None);
        if !self.is_routine() {
            let (name, note) = (self.run.name_any(), self.note(&message));
            self.step.events.push(PlannedEvent::normal(reason, &name, &note));
        }
    }

    /// Whether the run was made for new data alone and no attempt has failed: its status tells its end, and an event for each of them
    /// would hide those that somebody waits for.
    fn is_routine(&self) -> bool {
        let why = self.run.annotations().get(labels::STARTED_BY);
        why.is_some_and(|why| *why == Cause::NewData.to_string()) && self.step.status.failures.is_empty()
    }

    fn ended(&mut self, ending: &Ending) {
        let free_so_far = self.step.status.attempt - 1 - self.step.status.failed_attempts;
        let free = ending.class == EndingClass::Free && free_so_far < FREE_ATTEMPTS;
        let changed = self.is_superseded(ending.launch_hash.as_deref()) && ending.launch_hash.is_some();
        let status = &mut self.step.status;
        if !free {
            status.failed_attempts += 1;
        }
        status.progress = None;
        status.failures.insert(
            0,
            AttemptFailure {
                attempt: status.attempt,
                reason: ending.reason.clone(),
                message: cut(&ending.message, 2048),
                exit_code: ending.exit_code,
                time: Time(whole_seconds(self.context.now)),
                uncounted: free,
            },
        );
        status.failures.truncate(FAILURES);
        let (attempt, failed, limit) = (status.attempt, status.failed_attempts, self.context.rules.retry.limit);
        if ending.class == EndingClass::Final {
            let message = format!(
                "{}; another attempt cannot help: {}",
                ending.message,
                what_helps(ending)
            );
            self.failed(&ending.reason, &message, &Reason::CannotSucceed);
        } else if !free && failed > limit {
            let message = format!(
                "{}; out of attempts ({failed} of {}): {}",
                ending.message,
                limit + 1,
                what_helps(ending)
            );
            self.failed(&ending.reason, &message, &Reason::OutOfAttempts);
        } else {
            let retry = &self.context.rules.retry;
            let wait = if changed {
                time::back_off(0, 0, 1)
            } else if free {
                time::back_off(1, FREE_BACK_OFF_SECONDS, free_so_far + 1)
            } else {
                time::back_off(retry.backoff_seconds, retry.max_backoff_seconds, failed)
            };
            let next = time::after(whole_seconds(self.context.now), wait);
            self.step.status.retry_time = Some(Time(next));
            let kind = if free { "not counted" } else { "counted" };
            let message = format!(
                "attempt {attempt} ({kind}): {}; the next attempt begins at {next}",
                ending.message
            );
            let doing = if free { Reason::Repeating } else { Reason::BackingOff };
            self.step.backs_off = !free;
            self.under_way(&ending.reason, &message, &doing);
            self.wake(next);
            self.warn(&ending.reason, &message);
        }
    }

    fn failed(&mut self, reason: &Reason, message: &str, stalled: &Reason) {
        self.over("False", reason, message, Some(stalled));
        self.warn(reason, message);
    }

    fn warn(&mut self, reason: &Reason, message: &str) {
        let (name, note) = (self.run.name_any(), self.note(message));
        self.step
            .events
            .push(PlannedEvent::warning(reason.clone(), &name, &note));
    }

    /// Which run, why it was started, and what became of it.
    fn note(&self, message: &str) -> String {
        let name = self.run.name_any();
        match self.run.annotations().get(labels::STARTED_BY) {
            Some(why) => format!("{name} ({}): {message}", cut(why, STARTED_BY_BYTES)),
            None => format!("{name}: {message}"),
        }
    }

    fn over(&mut self, succeeded: &str, reason: &Reason, message: &str, stalled: Option<&Reason>) {
        self.step.status.completion_time = Some(Time(whole_seconds(self.context.now)));
        let mut wanted = vec![Wanted {
            kind: "Succeeded",
            status: succeeded,
            reason,
            message,
        }];
        if let Some(reason) = stalled {
            wanted.push(Wanted {
                kind: "Stalled",
                status: "True",
                reason,
                message,
            });
        }
        self.set(&wanted);
    }

    fn unknown(&mut self, reason: &Reason, message: &str) {
        self.under_way(reason, message, reason);
    }

    fn under_way(&mut self, reason: &Reason, message: &str, doing: &Reason) {
        self.set(&[
            Wanted {
                kind: "Succeeded",
                status: "Unknown",
                reason,
                message,
            },
            Wanted {
                kind: "Reconciling",
                status: "True",
                reason: doing,
                message,
            },
        ]);
    }

    fn set(&mut self, wanted: &[Wanted<'_>]) {
        let generation = self.run.metadata.generation.unwrap_or_default();
        let status = &mut self.step.status;
        status.observed_generation = generation;
        status.conditions = conditions::set(&status.conditions, wanted, generation, self.context.now);
    }

    fn wake(&mut self, at: Timestamp) {
        self.step.wake_at = Some(self.step.wake_at.map_or(at, |other| other.min(at)));
    }
}

fn what_helps(ending: &Ending) -> &'static str {
    if run::is_helped_by_new_data(ending.exit_code, &ending.reason) {
        "the stage waits for new data, a changed spec or dbt image, or the annotation medallion.dev/requested-at"
    } else {
        "the stage waits for a changed spec, dbt image or setting, or the annotation medallion.dev/requested-at, whatever data comes"
    }
}

fn bounded(progress: RunProgress) -> RunProgress {
    RunProgress {
        current: progress.current.map(|step| cut(&step, 256)),
        ..progress
    }
}
