//! What users read: conditions, stages, events. No network.

mod bounded;
mod events;
mod health;
mod readiness;
mod stage;
pub(crate) mod status;
mod urgency;

pub use urgency::{Urgency, urgency};
