//! Writes the pipeline's status, when it has changed, and publishes what happened as events. Talks to the Kubernetes API.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use medallion_crds::{Pipeline, Reason, labels};
use medallion_plan::{Plan, PlannedEvent, Urgency, ValidatedPipeline, urgency};
use serde_json::json;

use crate::api::call::{CallError, call};
use crate::api::event;
use crate::cache::{Cache, rest};
use crate::context::Context;
use crate::metrics::Metrics;
use crate::reconcile::apply::MOVED;

/// How often figures that move with the data are written at most.
pub(crate) const PROGRESS: Duration = Duration::from_secs(5);

/// A run that has just been made is seen within a moment, and moves the status again: both moves are one write.
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
    /// When to look again because of it.
    pub const fn again(self) -> Option<Duration> {
        match self {
            Self::PutOff(rest) => Some(rest),
            Self::Moved => Some(MOVED),
            Self::Stands | Self::Accepted | Self::Gone => None,
        }
    }
}

/// Writes the status, if it differs; `makes_run`: the look that it is the result of has just made a run.
pub(crate) async fn status(
    context: &Context,
    seen: &Pipeline,
    pipeline: &ValidatedPipeline,
    cache: &mut Cache,
    plan: &Plan,
    makes_run: bool,
) -> Result<Reported, CallError> {
    // However often the watch does not show it yet, the moment counts from the first time.
    cache.run_made = makes_run.then(|| cache.run_made.unwrap_or_else(Instant::now));
    let Some(wanted) = &plan.status else {
        return Ok(Reported::Stands);
    };
    let urgency = match &seen.status {
        None => Urgency::Now,
        Some(stored) => urgency(stored, wanted),
    };
    match urgency {
        Urgency::None => return Ok(Reported::Stands),
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
    let patch = json!({
        "apiVersion": Pipeline::api_version(&()),
        "kind": Pipeline::kind(&()),
        // The version makes it of this very object: the server does not look at a UID here.
        "metadata": {"name": pipeline.name, "resourceVersion": seen.resource_version()},
        "status": wanted,
    });
    let api: Api<Pipeline> = Api::namespaced(context.client.clone(), &pipeline.namespace);
    let parameters = PatchParams::apply(labels::MANAGER).force();
    let answer = call(
        || format!("write status of Pipeline {}", pipeline.name),
        api.patch_status(&pipeline.name, &parameters, &Patch::Apply(&patch)),
    )
    .await;
    match answer {
        Ok(mut written) => {
            Metrics::count(&context.metrics.writes, "Pipeline/status");
            written.metadata.managed_fields = None;
            cache.status_written = Some(Instant::now());
            cache.pipeline = Some((seen.resource_version(), Arc::new(written)));
            Ok(Reported::Accepted)
        }
        Err(error) if error.is_not_found() => Ok(Reported::Gone),
        Err(error) if error.is_conflict() => Ok(Reported::Moved),
        Err(error) => Err(error),
    }
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
