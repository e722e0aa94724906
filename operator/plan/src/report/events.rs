//! The events that turning conditions make. No network.

use medallion_crds::pipeline::PipelineStatus;
use medallion_crds::{Reason, Severity};

use crate::model::action::PlannedEvent;
use crate::model::conditions;

/// The conditions whose turns make events; the others explain them.
const TURNING: [&str; 2] = ["Ready", "Healthy"];

/// An event for each condition whose status or reason changes.
pub(super) fn of_transitions(stored: &PipelineStatus, status: &PipelineStatus) -> Vec<PlannedEvent> {
    let changed = status.conditions.iter().filter(|condition| {
        let before = conditions::find(&stored.conditions, &condition.type_);
        let same = before.is_some_and(|before| before.status == condition.status && before.reason == condition.reason);
        !same && TURNING.contains(&condition.type_.as_str())
    });
    changed
        .map(|condition| {
            let note = format!("{} is {}: {}", condition.type_, condition.status, condition.message);
            let reason = Reason::read(&condition.reason);
            let calm = condition.status == "True" || reason.severity() == Severity::Normal;
            let event = if calm {
                PlannedEvent::normal
            } else {
                PlannedEvent::warning
            };
            event(reason, &condition.type_, &note)
        })
        .collect()
}
