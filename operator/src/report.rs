//! Writes the pipeline's status, when it has changed, and tells what happened by events. Talks to the Kubernetes API.

use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource, ResourceExt};
use medallion_crds::{Pipeline, labels};
use medallion_plan::{Plan, PlannedEvent, Urgency, ValidatedPipeline, urgency};
use serde_json::json;

use crate::apply::MOVED;
use crate::calls::{CallError, call};
use crate::context::Context;
use crate::memory::{Memory, rest};
use crate::metrics::Metrics;

/// How often figures that move with the data are written at most.
const PROGRESS: Duration = Duration::from_secs(5);

/// Writes the status; tells how long a write was put off.
pub(crate) async fn status(
    context: &Context,
    seen: &Pipeline,
    pipeline: &ValidatedPipeline,
    memory: &mut Memory,
    plan: &Plan,
) -> Result<Option<Duration>, CallError> {
    let Some(wanted) = &plan.status else { return Ok(None) };
    let urgency = match &seen.status {
        None => Urgency::Now,
        Some(stored) => urgency(stored, wanted),
    };
    match urgency {
        Urgency::None => return Ok(None),
        Urgency::Progress => {
            if let Some(rest) = rest(memory.status_written, PROGRESS) {
                return Ok(Some(rest));
            }
        }
        Urgency::Now => {}
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
        Ok(written) => {
            Metrics::count(&context.metrics.writes, "Pipeline/status");
            memory.status_written = Some(Instant::now());
            memory.written = Some((seen.resource_version(), written));
            Ok(None)
        }
        // Deleted meanwhile: nothing is true of it any more.
        Err(error) if error.is_not_found() => Ok(None),
        // Decided on an old picture: the next one decides.
        Err(error) if error.is_conflict() => Ok(Some(MOVED)),
        Err(error) => Err(error),
    }
}

/// Publishes what happened. A lost event is not worth a second try: the status says the same.
pub(crate) async fn events(context: &Context, pipeline: &Pipeline, events: &[PlannedEvent]) {
    for event in events {
        publish(context, pipeline, event).await;
    }
}

/// Publishes one event on an object.
pub(crate) async fn publish<K: Resource<DynamicType = ()>>(context: &Context, object: &K, event: &PlannedEvent) {
    let published = Event {
        type_: if event.warning {
            EventType::Warning
        } else {
            EventType::Normal
        },
        reason: event.reason.to_string(),
        note: Some(event.note.clone()),
        // Events of one reason about different things are not counted together.
        action: event.about.clone(),
        secondary: None,
    };
    let reference = object.object_ref(&());
    let call = call(
        || format!("publish event {}", event.reason),
        context.recorder.publish(&published, &reference),
    );
    if let Err(error) = call.await {
        tracing::warn!(%error, reason = %event.reason, "event lost");
    }
}
