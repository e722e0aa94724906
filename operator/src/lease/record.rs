//! Reads a Lease and decides whether it may be taken. Time is what has passed here: clocks of other machines are not believed. No network.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

/// A Lease that has not been renewed for so long is free.
pub(crate) const DURATION: Duration = Duration::from_secs(15);
/// How often it is renewed.
pub(crate) const PERIOD: Duration = Duration::from_secs(5);
/// How often who waits for a Lease that another holds looks at it: while it is given back and not taken, nobody works.
pub(crate) const STANDBY: Duration = Duration::from_secs(1);
/// Who could not renew it for so long stops working, before anybody else may begin.
pub(crate) const WORKS_ON: Duration = Duration::from_secs(10);

/// When a Lease was last seen to change.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastChange {
    version: Option<String>,
    since: Option<Instant>,
}

/// What is to be done about a Lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// It is ours: renew it.
    Renew,
    /// It is free: take it.
    Take,
    /// Somebody else has it.
    Wait,
}

impl LastChange {
    /// Takes note of a Lease as it is now.
    pub fn see(&mut self, lease: &Lease, now: Instant) {
        if self.since.is_none() || self.version != lease.metadata.resource_version {
            self.version.clone_from(&lease.metadata.resource_version);
            self.since = Some(now);
        }
    }

    /// Whether nobody has renewed it for its whole duration.
    pub fn has_expired(&self, lease: &Lease, now: Instant) -> bool {
        let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let duration = seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(DURATION, Duration::from_secs);
        self.since.is_some_and(|since| now.duration_since(since) > duration)
    }

    /// What is to be done about it by `me`.
    pub fn decide(&mut self, lease: &Lease, me: &str, now: Instant) -> Step {
        self.see(lease, now);
        match holder(lease) {
            Some(holder) if holder == me => Step::Renew,
            None => Step::Take,
            Some(_) if self.has_expired(lease, now) => Step::Take,
            Some(_) => Step::Wait,
        }
    }
}

/// Who holds a Lease.
pub(crate) fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}

/// The Lease after `me` has renewed or taken it.
pub(crate) fn held(before: Option<&LeaseSpec>, me: &str, now: Timestamp) -> LeaseSpec {
    let same = before.is_some_and(|spec| spec.holder_identity.as_deref() == Some(me));
    let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or_default();
    LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        acquire_time: before
            .and_then(|spec| spec.acquire_time.clone())
            .filter(|_| same)
            .or(Some(MicroTime(now))),
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(transitions + i32::from(before.is_some() && !same)),
        ..LeaseSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lease(holder: &str, version: &str) -> Lease {
        serde_json::from_value(json!({
            "metadata": {"resourceVersion": version},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
        }))
        .unwrap()
    }

    #[test]
    fn a_lease_is_taken_only_when_it_is_free() {
        let (mut change, begin) = (LastChange::default(), Instant::now());
        assert_eq!(change.decide(&lease("me", "1"), "me", begin), Step::Renew);
        assert_eq!(change.decide(&lease("", "2"), "me", begin), Step::Take);
        assert_eq!(change.decide(&lease("other", "3"), "me", begin), Step::Wait);
        let renewed = begin + Duration::from_secs(14);
        assert_eq!(change.decide(&lease("other", "4"), "me", renewed), Step::Wait);
        let later = begin + Duration::from_secs(28);
        assert_eq!(
            change.decide(&lease("other", "4"), "me", later),
            Step::Wait,
            "renewed 14 s ago"
        );
        let expired = begin + Duration::from_secs(30);
        assert_eq!(change.decide(&lease("other", "4"), "me", expired), Step::Take);
    }

    #[test]
    fn a_renewal_keeps_since_when_and_a_transition_counts() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = held(None, "a", at(1));
        let renewed = held(Some(&first), "a", at(6));
        assert_eq!(renewed.acquire_time, first.acquire_time);
        assert_eq!(renewed.lease_transitions, Some(0));
        let taken = held(Some(&renewed), "b", at(60));
        assert_eq!(
            (taken.lease_transitions, taken.acquire_time),
            (Some(1), Some(MicroTime(at(60))))
        );
    }
}
