//! Conditions whose transition times move with the status alone. No network.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use medallion_crds::Reason;
use medallion_crds::text::cut;

use super::time::whole_seconds;

/// Longest message of a condition.
const MESSAGE_BYTES: usize = 1024;

/// A condition as it must stand now.
pub struct Wanted<'a> {
    /// Its type.
    pub kind: &'a str,
    /// `True`, `False` or `Unknown`.
    pub status: &'a str,
    /// Why.
    pub reason: &'a Reason,
    /// What, where and what to do.
    pub message: &'a str,
}

/// The conditions, each with the transition time it had if its status is the same.
pub fn set(previous: &[Condition], wanted: &[Wanted<'_>], generation: i64, now: Timestamp) -> Vec<Condition> {
    wanted
        .iter()
        .map(|want| {
            let since = find(previous, want.kind)
                .filter(|old| old.status == want.status)
                .map_or(Time(whole_seconds(now)), |old| old.last_transition_time.clone());
            Condition {
                type_: want.kind.to_owned(),
                status: want.status.to_owned(),
                reason: want.reason.to_string(),
                message: cut(want.message, MESSAGE_BYTES),
                observed_generation: Some(generation),
                last_transition_time: since,
            }
        })
        .collect()
}

/// A condition by its type.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}
