//! Publishes an event on an object: the one place where events are made. Talks to the Kubernetes API.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use medallion_crds::text::cut;
use medallion_plan::PlannedEvent;

use crate::api::call::call;

/// The API server takes no longer ones.
const LONGEST_NOTE: usize = 1024;

/// What happened; of what somebody should look at, with the page that says what to do.
fn note(event: &PlannedEvent) -> String {
    let page = event.reason.runbook().filter(|_| event.warning);
    let page = page.map(|page| format!(" (see {page})")).unwrap_or_default();
    format!("{}{page}", cut(&event.note, LONGEST_NOTE.saturating_sub(page.len())))
}

/// Publishes one event. A lost one is not worth a second try: what it tells stands in a status or in the log as well.
pub(crate) async fn publish(recorder: &Recorder, object: &ObjectReference, event: &PlannedEvent) {
    let published = Event {
        type_: if event.warning {
            EventType::Warning
        } else {
            EventType::Normal
        },
        reason: event.reason.to_string(),
        note: Some(note(event)),
        // Events of one reason about different things are not counted together.
        action: event.about.clone(),
        secondary: None,
    };
    let what = || format!("publish event {}", event.reason);
    if let Err(error) = call(what, recorder.publish(&published, object)).await {
        tracing::warn!(%error, reason = %event.reason, "event lost");
    }
}

#[cfg(test)]
mod tests {
    use medallion_crds::Reason;

    use super::*;

    #[test]
    fn a_warning_names_its_page_however_long_it_is() {
        let mut event = PlannedEvent {
            warning: true,
            reason: Reason::SecretMissing,
            about: "Ready".to_owned(),
            note: "Ready is False".to_owned(),
        };
        assert_eq!(note(&event), "Ready is False (see docs/runbooks.md#secretmissing)");
        event.note = "x".repeat(2000);
        assert!(note(&event).len() <= LONGEST_NOTE);
        assert!(note(&event).ends_with("… (see docs/runbooks.md#secretmissing)"));
        event.warning = false;
        event.note = "done".to_owned();
        assert_eq!(note(&event), "done");
        (event.warning, event.reason) = (true, Reason::read("FromTheFuture"));
        assert_eq!(note(&event), "done");
    }
}
