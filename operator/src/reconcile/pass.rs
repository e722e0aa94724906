//! One look at one pipeline: gather, plan, apply, report. Talks to the Kubernetes API.

use std::collections::HashSet;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use medallion_crds::pipeline::DependencyKind;
use medallion_crds::{Pipeline, Reason};
use medallion_plan::{
    Fault, Observed, PlanError, PlannedEvent, STAGES, ValidateError, ValidatedPipeline, is_over, plan,
};
use thiserror::Error;

use crate::api::call::CallError;
use crate::cache::{Cache, Pause, is_recent};
use crate::context::Context;
use crate::failure;
use crate::key::PipelineKey;
use crate::metrics::Metrics;
use crate::poll::ask::Target;
use crate::reconcile::apply::{Applier, Outcome, creates};
use crate::reconcile::report::{self, Reported};
use crate::reconcile::since::{Since, since};
use crate::reconcile::{gather, unknown};
use crate::watch::room::{GuardedPipeline, Room};

/// After a restart, workers are asked before anything is written about them; they are waited for no longer than this.
const FIRST_ANSWERS: Duration = Duration::from_secs(5);
/// How often it is looked whether they have answered.
const ASKED_YET: Duration = Duration::from_millis(200);
/// How long it holds that the server has called the pipeline as it is seen here, unless it says otherwise. What changes it beside this operator are people, and the
/// watch shows that at once, unless it is broken.
const CONFIRMED: Duration = Duration::from_mins(2);
/// How long a run of a pipeline that does not exist waits after a failed write of its status.
const RETRY: Duration = Duration::from_secs(5);

/// Why a look failed; the next one starts from what stands.
#[derive(Debug, Error)]
pub(crate) enum PassError {
    /// The object has no identity.
    #[error(transparent)]
    Validate(#[from] ValidateError),
    /// The cluster could not be looked at.
    #[error("cannot observe: {0}")]
    Observe(#[source] CallError),
    /// No plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The server does not work.
    #[error("cannot apply: {0}")]
    Apply(#[source] CallError),
    /// The status could not be written.
    #[error("cannot report: {0}")]
    Report(#[source] CallError),
    /// A bug; other pipelines go on.
    #[error("the look panicked")]
    Panicked,
}

impl PassError {
    /// The word of the metric.
    const fn word(&self) -> &'static str {
        match self {
            Self::Validate(_) => "invalid",
            Self::Observe(_) => "observe_failed",
            Self::Plan(_) => "plan_failed",
            Self::Apply(_) => "apply_failed",
            Self::Report(_) => "report_failed",
            Self::Panicked => "panicked",
        }
    }
}

/// Looks at a pipeline; tells when to look again without any other reason to.
pub(crate) async fn guarded(context: &Context, key: &PipelineKey) -> Option<Duration> {
    let now = Instant::now();
    // Whoever begins to lead is asked to look at everything.
    let since = context.leadership.leads_since(&key.namespace, now)?;
    // And so is who has everything listed.
    if !context.health.is_filled(&key.namespace) {
        return None;
    }
    let room = context.index.room(key).unwrap_or_default();
    let Some(object) = room.pipeline.clone() else {
        context.caches.forget(key);
        return without_pipeline(context, key, &room).await;
    };
    if now.duration_since(since) < FIRST_ANSWERS && has_unasked_workers(context, key, &room) {
        return Some(ASKED_YET);
    }
    let uid = object.uid()?;
    let cache = context.caches.of(key, &uid);
    let mut cache = cache.lock().await;
    let wish = wish(&object);
    if let Some(rest) = cache.pause.as_ref().and_then(|pause| pause.rest(&wish, now)) {
        return Some(rest);
    }
    // A panic harms the pipeline whose data caused it, no other.
    let looked = AssertUnwindSafe(look(context, key, &room, &object, &mut cache, since))
        .catch_unwind()
        .await
        .unwrap_or(Err(PassError::Panicked));
    context.metrics.reconcile_seconds.observe(now.elapsed().as_secs_f64());
    let word = looked.as_ref().err().map_or("ok", PassError::word);
    Metrics::count(&context.metrics.reconciles, word);
    match looked {
        Ok(again) => {
            if let Some(pause) = cache.pause.take() {
                tracing::info!(pipeline = %key, failures = pause.failures, "looks succeed again");
            }
            again
        }
        Err(error) => {
            let pause = Pause::after(cache.pause.as_ref(), wish, error.to_string(), Instant::now());
            if cache.pause.as_ref().is_none_or(|before| before.error != pause.error) {
                tracing::warn!(pipeline = %key, %error, "look failed, trying again");
            }
            let rest = pause.until.duration_since(Instant::now());
            cache.pause = Some(pause);
            Some(rest)
        }
    }
}

/// Things that name a pipeline that does not exist.
async fn without_pipeline(context: &Context, key: &PipelineKey, room: &Room) -> Option<Duration> {
    match unknown::settle(context, key, room).await {
        Ok(()) => None,
        Err(error) => {
            tracing::warn!(pipeline = %key, %error, "the status of runs of a missing Pipeline could not be written");
            Some(RETRY)
        }
    }
}

/// What a user can change of a pipeline.
fn wish(object: &GuardedPipeline) -> String {
    let metadata = object.meta();
    format!("{:?} {:?}", metadata.generation, metadata.annotations)
}

fn has_unasked_workers(context: &Context, key: &PipelineKey, room: &Room) -> bool {
    room.pods.values().any(|pod| {
        let target = Target::of(pod, key.clone(), String::new());
        target.is_some_and(|target| !context.board.was_asked(&target.uid))
    })
}

async fn look(
    context: &Context,
    key: &PipelineKey,
    room: &Room,
    object: &GuardedPipeline,
    cache: &mut Cache,
    leads_since: Instant,
) -> Result<Option<Duration>, PassError> {
    let stored = match &object.0 {
        Ok(pipeline) => pipeline,
        Err(invalid) => {
            // Its workers go on and answer, which is no reason to say it again.
            if cache.unreadable != object.resource_version() {
                cache.unreadable = object.resource_version();
                report::unreadable(context, object, &invalid.error).await;
            }
            return Ok(None);
        }
    };
    let seen = newest(stored, cache);
    let mut pipeline = ValidatedPipeline::new(&seen, &context.config)?;
    pipeline.faults.extend(group_fault(context, key));
    let client = &context.client;
    let mut observed = gather::gather(client, &context.board, room, &seen, &pipeline, cache)
        .await
        .map_err(PassError::Observe)?;
    observed.pipelines = i64::try_from(context.index.count_pipelines()).unwrap_or(i64::MAX);
    let now = Timestamp::now();
    let mut planned = plan(STAGES, &pipeline, &observed, &context.config, now)?;
    let is_to_be_confirmed = !planned.create_runs.is_empty() && !is_confirmed(cache, leads_since);
    if creates(room, &planned) || is_to_be_confirmed {
        match since(client, &seen).await.map_err(PassError::Observe)? {
            Since::Same => cache.confirmed = Some(Instant::now()),
            Since::Changed => {
                cache.confirmed = None;
                return Ok(Some(cache.after_moved()));
            }
            Since::Gone => return Ok(None),
        }
    }
    let mut applier = Applier {
        context,
        room,
        pipeline: &pipeline,
        cache,
        clock: &Instant::now,
        outcome: Outcome::default(),
    };
    applier.apply(&planned).await.map_err(PassError::Apply)?;
    let outcome = applier.outcome;
    let failure = failure::words(&outcome.failures, &pipeline.namespace);
    if failure != observed.apply_failure {
        // What could not be done is said at once: a status without it would call the pipeline ready.
        cache.apply_failure.clone_from(&failure);
        observed.apply_failure = failure;
        planned = plan(STAGES, &pipeline, &observed, &context.config, now)?;
    }
    let makes_run = !planned.create_runs.is_empty() && outcome.failures.is_empty();
    let reported = report::status(context, &seen, cache, &planned, makes_run)
        .await
        .map_err(PassError::Report)?;
    let happened = planned
        .events
        .iter()
        .filter(|event| has_happened(event, reported, &outcome, &observed));
    report::events(context, &seen, happened).await;
    cache.tidy(&under_way(&observed), planned.keep.as_ref());
    let next_picture = if outcome.has_moved || reported == Reported::Moved {
        Some(cache.after_moved())
    } else {
        cache.moved = 0;
        None
    };
    let Some(wake_at) = planned.wake_at else {
        return Ok(None);
    };
    let planned = Duration::try_from(wake_at.duration_since(now)).unwrap_or_default();
    let next = [reported.again(), outcome.again, next_picture]
        .into_iter()
        .flatten()
        .fold(planned, Duration::min);
    Ok(Some(next))
}

/// Whether a run may be made on the picture of the pipeline that there is. Its name is the next number, so it is never made twice while
/// the one before it stands, and each one moves the status, of which the leader alone is the writer and knows what it wrote. So only a
/// picture from before it began to lead can be too old to count on.
fn is_confirmed(cache: &Cache, leads_since: Instant) -> bool {
    let since_it_leads = cache.confirmed.filter(|at| *at > leads_since);
    is_recent(since_it_leads, CONFIRMED)
}

/// An event speaks of a run's step or of the pipeline's status: it is published once that write has been accepted.
fn has_happened(event: &PlannedEvent, reported: Reported, outcome: &Outcome, observed: &Observed) -> bool {
    let speaks_of_run = observed
        .runs
        .iter()
        .any(|run| run.metadata.name.as_deref() == Some(event.about.as_str()));
    if speaks_of_run {
        !outcome.refused_runs.contains(&event.about)
    } else {
        reported == Reported::Accepted
    }
}

/// Two pipelines with one consumer group would each get half of the events: the older one keeps it.
fn group_fault(context: &Context, key: &PipelineKey) -> Option<Fault> {
    let (group, holder) = context.index.other_holder_of_group(key)?;
    Some(Fault {
        stage: STAGES
            .iter()
            .find(|entry| entry.needs.contains(&DependencyKind::ConsumerGroup))
            .map(|entry| entry.stage),
        reason: Reason::GroupInUse,
        message: format!(
            "spec.kafka.consumerGroup: Pipeline {holder} reads with consumer group {group} already, and each would get only a part of the events; leave the field out or name another group"
        ),
    })
}

/// UIDs of the runs that have not ended.
fn under_way(observed: &Observed) -> HashSet<String> {
    let runs = observed.runs.iter().filter(|run| !is_over(run));
    runs.filter_map(|run| run.metadata.uid.clone()).collect()
}

/// The object as it is known best.
enum Newest<'a> {
    /// As the watch shows it.
    Shown(&'a Pipeline),
    /// What our last write made of it, until the watch has shown anything newer.
    Written(Arc<Pipeline>),
}

impl Deref for Newest<'_> {
    type Target = Pipeline;

    fn deref(&self) -> &Pipeline {
        match self {
            Self::Shown(shown) => shown,
            Self::Written(written) => written,
        }
    }
}

fn newest<'a>(shown: &'a Pipeline, cache: &mut Cache) -> Newest<'a> {
    let version = shown.resource_version();
    if let Some(own) = &mut cache.pipeline {
        if let Some(at) = own.over.iter().position(|over| *over == version) {
            // What the watch has passed it does not show again.
            own.over.drain(..at);
            return Newest::Written(own.after.clone());
        }
        cache.pipeline = None;
    }
    Newest::Shown(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::OwnWrite;

    #[test]
    fn runs_are_made_on_what_the_server_has_confirmed_lately_and_to_this_leader() {
        let now = Instant::now();
        let ago = |minutes| now.checked_sub(Duration::from_mins(minutes)).unwrap();
        let confirmed = |at: Option<Instant>| Cache {
            confirmed: at,
            ..Cache::default()
        };
        assert!(is_confirmed(&confirmed(Some(now)), ago(10)));
        assert!(!is_confirmed(&confirmed(None), ago(10)), "never");
        assert!(!is_confirmed(&confirmed(Some(ago(3))), ago(10)), "long ago");
        assert!(
            !is_confirmed(&confirmed(Some(ago(1))), now),
            "another may have led meanwhile"
        );
    }

    #[test]
    fn what_was_written_is_known_until_the_watch_has_caught_up_however_often_it_was_written() {
        let text = include_str!("../../../crds/examples/smallest.yaml");
        let pipeline = |version: &str| {
            let mut pipeline: Pipeline = serde_saphyr::from_str(text).unwrap();
            pipeline.metadata.resource_version = Some(version.to_owned());
            pipeline
        };
        let mut cache = Cache {
            pipeline: Some(OwnWrite {
                over: ["1", "2"].map(|version| Some(version.to_owned())).into(),
                after: Arc::new(pipeline("3")),
            }),
            ..Cache::default()
        };
        let mut seen = |shown: &str| newest(&pipeline(shown), &mut cache).resource_version().unwrap();
        assert_eq!(seen("1"), "3", "two writes late");
        assert_eq!(seen("2"), "3", "one");
        assert_eq!(seen("3"), "3");
        assert_eq!(seen("4"), "4", "somebody else's");
    }
}
