//! What was found about one dependency. No network.

use std::future::Future;
use std::time::Duration;

use medallion_crds::pipeline::{Dependency, DependencyKind, DependencyState};

/// What was found. Every state but `Exists` says more in words; where something must be done, what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// There, and as it must be.
    Exists,
    /// There, and workers can rely on it; but somebody should know this.
    Noted(String),
    /// Made just now.
    Created(String),
    /// Not there.
    Missing(String),
    /// There, but not as it must be.
    Differs(String),
    /// Could not be looked at.
    Unknown(String),
}

impl Finding {
    /// There, with what somebody should know, if there is anything.
    pub fn with_notes(notes: &[String]) -> Self {
        if notes.is_empty() {
            Self::Exists
        } else {
            Self::Noted(notes.join("; "))
        }
    }

    /// As the report has it.
    pub fn of(self, kind: DependencyKind, name: String) -> Dependency {
        let (state, message) = match self {
            Self::Exists => (DependencyState::Exists, None),
            Self::Noted(message) => (DependencyState::Exists, Some(message)),
            Self::Created(message) => (DependencyState::Created, Some(message)),
            Self::Missing(message) => (DependencyState::Missing, Some(message)),
            Self::Differs(message) => (DependencyState::Differs, Some(message)),
            Self::Unknown(message) => (DependencyState::Unknown, Some(message)),
        };
        Dependency {
            kind,
            name,
            state,
            message,
        }
    }
}

/// Looks for no longer than the limit.
pub async fn within(
    limit: Duration,
    kind: DependencyKind,
    name: String,
    look: impl Future<Output = Finding>,
) -> Dependency {
    let finding = match tokio::time::timeout(limit, look).await {
        Ok(finding) => finding,
        Err(_) => late(limit),
    };
    finding.of(kind, name)
}

/// What did not answer in time.
pub fn late(limit: Duration) -> Finding {
    Finding::Unknown(format!(
        "no answer within {} s: check that it can be reached",
        limit.as_secs()
    ))
}

/// What to add to every "missing" of a pipeline that only verifies.
pub const OR_MANAGED: &str = "or set spec.management: Managed";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_answer_is_unknown_and_nobody_waits_for_it() {
        let dependency = within(
            Duration::ZERO,
            DependencyKind::Topic,
            "Topic/a".to_owned(),
            std::future::pending(),
        )
        .await;
        assert_eq!(dependency.state, DependencyState::Unknown);
        assert!(dependency.message.is_some_and(|message| message.contains("within 0 s")));
    }
}
