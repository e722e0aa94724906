//! Publishes an event on an object: the one place where events are made. Talks to the Kubernetes API.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use medallion_plan::PlannedEvent;

use crate::api::call::call;

/// Publishes one event. A lost one is not worth a second try: what it tells stands in a status or in the log as well.
pub(crate) async fn publish(recorder: &Recorder, object: &ObjectReference, event: &PlannedEvent) {
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
    let what = || format!("publish event {}", event.reason);
    if let Err(error) = call(what, recorder.publish(&published, object)).await {
        tracing::warn!(%error, reason = %event.reason, "event lost");
    }
}
