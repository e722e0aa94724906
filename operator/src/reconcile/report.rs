//! Writes the pipeline's status, when it has changed, and publishes what happened as events. Talks to the Kubernetes API.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::{Resource, ResourceExt};
use medallion_crds::{Pipeline, Reason};
use medallion_plan::{Plan, PlannedEvent, Urgency, urgency};

use crate::api::call::CallError;
use crate::api::event;
use crate::api::status::replace;
use crate::cache::{Cache, OwnWrite, rest};
use crate::context::Context;
use crate::metrics::Metrics;

/// How often figures that move with the data are written at most.
pub(crate) const PROGRESS: Duration = Duration::from_secs(5);

/// A run that has just been made is seen, given its Job, and perhaps over within a moment, and moves the status each time: these moves are
/// one write, and none of them waits for longer.
pub(crate) const TOGETHER: Duration = Duration::from_secs(1);

/// What became of the status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reported {
    /// It says what is true.
    Stands,
    /// Written.
    Accepted,
    /// Only figures have moved, or a run was just made: it is written after a while.
    PutOff(Duration),
    /// Decided on an old picture: the next one decides.
    Moved,
    /// Deleted meanwhile: nothing is true of it any more.
    Gone,
}

impl Reported {
    /// When to look again because of it, but for another picture.
    pub const fn again(self) -> Option<Duration> {
        match self {
            Self::PutOff(rest) => Some(rest),
            Self::Stands | Self::Accepted | Self::Moved | Self::Gone => None,
        }
    }
}

/// Writes the status, if it differs; `makes_run`: the look that it is the result of has just made a run, or has tried to, because the
/// watch does not show it yet.
pub(crate) async fn status(
    context: &Context,
    seen: &Pipeline,
    cache: &mut Cache,
    plan: &Plan,
    makes_run: bool,
) -> Result<Reported, CallError> {
    if makes_run {
        // Runs that follow each other closely do not hold the status up: the moment counts from the first that it does not tell of.
        cache.run_made.get_or_insert_with(Instant::now);
    }
    let Some(wanted) = &plan.status else {
        return Ok(Reported::Stands);
    };
    let urgency = match &seen.status {
        None => Urgency::Now,
        Some(stored) => urgency(stored, wanted),
    };
    match urgency {
        Urgency::None => {
            cache.run_made = None;
            return Ok(Reported::Stands);
        }
        Urgency::Progress => {
            if let Some(rest) = rest(cache.status_written, PROGRESS) {
                return Ok(Reported::PutOff(rest));
            }
        }
        Urgency::Now => {}
    }
    if let Some(rest) = rest(cache.run_made, TOGETHER) {
        return Ok(Reported::PutOff(rest));
    }
    match replace::<Pipeline>(&context.client, &seen.metadata, wanted).await {
        Ok(written) => {
            Metrics::count(&context.metrics.writes, "Pipeline/status");
            cache.status_written = Some(Instant::now());
            cache.confirmed = cache.status_written;
            cache.run_made = None;
            remember(cache, seen, written);
            Ok(Reported::Accepted)
        }
        Err(error) if error.is_not_found() => Ok(Reported::Gone),
        Err(error) if error.is_conflict() => {
            // The server has just said that the pipeline is not as it is seen here.
            cache.confirmed = None;
            Ok(Reported::Moved)
        }
        Err(error) => Err(error),
    }
}

/// Remembers what a write of the status has made of the object, until the watch shows it.
fn remember(cache: &mut Cache, seen: &Pipeline, mut written: Pipeline) {
    let version = seen.resource_version();
    // Of a write that changes nothing, as when the installed kind does not have a field, the watch has nothing to show.
    if written.resource_version() == version {
        return;
    }
    written.metadata.managed_fields = None;
    let before = cache.pipeline.take();
    let before = before.filter(|own| own.after.resource_version() == version);
    let mut over = before.map(|own| own.over).unwrap_or_default();
    over.push(version);
    let after = Arc::new(written);
    cache.pipeline = Some(OwnWrite { over, after });
}

/// Says of an object that this version cannot read it.
pub(crate) async fn unreadable<K>(context: &Context, object: &K, error: &str)
where
    K: Resource<DynamicType = ()> + Sync,
{
    let (name, namespace) = (object.name_any(), object.namespace());
    tracing::warn!(object = name, namespace, error, "{} not readable", K::kind(&()));
    let event = PlannedEvent {
        warning: true,
        reason: Reason::NotReadable,
        about: "Read".to_owned(),
        note: format!("this operator cannot read the object: {error}"),
    };
    event::publish(&context.recorder, &object.object_ref(&()), &event).await;
}

/// Publishes what happened, once the write that it speaks of has been accepted.
pub(crate) async fn events<'a>(context: &Context, pipeline: &Pipeline, events: impl Iterator<Item = &'a PlannedEvent>) {
    let object = pipeline.object_ref(&());
    let (name, namespace) = (pipeline.name_any(), pipeline.namespace());
    for event in events {
        if event.warning {
            tracing::warn!(pipeline = name, namespace, reason = %event.reason, "{}", event.note);
        } else {
            tracing::info!(pipeline = name, namespace, reason = %event.reason, "{}", event.note);
        }
        event::publish(&context.recorder, &object, event).await;
    }
}
