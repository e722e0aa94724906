//! Why one object could not be made as planned, while the others were. No network.

use medallion_crds::Reason;
use medallion_plan::ApplyFailure;
use thiserror::Error;

/// Why one object could not be made as planned.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum Failure {
    /// Somebody else's object has the name.
    #[error("{kind} {name} exists and is not this pipeline's")]
    Taken { kind: &'static str, name: String },
    /// The object of an earlier pipeline of that name is about to go.
    #[error("{kind} {name} of an earlier pipeline is still being deleted; waiting for it")]
    Leaving { kind: &'static str, name: String },
    /// The server will not have it.
    #[error("{0}")]
    Refused(String),
    /// The object cannot be written down, or nobody knows its kind: a bug.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// A user has to do something about it.
    pub const fn is_for_users(&self) -> bool {
        !matches!(self, Self::Leaving { .. })
    }

    /// The word of the metric.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "taken",
            Self::Leaving { .. } => "leaving",
            Self::Refused(_) => "refused",
            Self::Internal(_) => "internal",
        }
    }
}

/// What users read of everything that failed, in one message; `None` if nothing is for them.
pub(crate) fn words(failures: &[Failure], namespace: &str) -> Option<ApplyFailure> {
    let taken: Vec<_> = failures
        .iter()
        .filter_map(|failure| match failure {
            Failure::Taken { kind, name } => Some((*kind, name.as_str())),
            _ => None,
        })
        .collect();
    let mut parts = Vec::new();
    if !taken.is_empty() {
        let names: Vec<_> = taken.iter().map(|(kind, name)| format!("{kind} {name}")).collect();
        let targets: Vec<_> = taken
            .iter()
            .map(|(kind, name)| format!("{}/{name}", kind.to_lowercase()))
            .collect();
        parts.push(format!(
            "{} already there and not this Pipeline's; nothing of others is touched: remove them (kubectl -n {namespace} delete {}) or give the Pipeline another name",
            names.join(", "),
            targets.join(" "),
        ));
    }
    let others = failures
        .iter()
        .filter(|failure| failure.is_for_users() && !matches!(failure, Failure::Taken { .. }));
    parts.extend(others.map(ToString::to_string));
    let reason = if taken.is_empty() {
        Reason::ApplyFailed
    } else {
        Reason::Taken
    };
    (!parts.is_empty()).then(|| ApplyFailure {
        reason,
        message: parts.join("; "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_in_the_way_is_named_at_once_with_the_fix() {
        let taken = |kind, name: &str| Failure::Taken {
            kind,
            name: name.to_owned(),
        };
        let leaving = Failure::Leaving {
            kind: "Service",
            name: "b".to_owned(),
        };
        let failures = [
            taken("Service", "a-gateway"),
            leaving.clone(),
            taken("Deployment", "a-consumer"),
            Failure::Refused("apply ConfigMap c: quota".to_owned()),
        ];
        let ApplyFailure { reason, message: text } = words(&failures, "shop").unwrap();
        assert_eq!(reason, Reason::Taken);
        assert!(text.contains("Service a-gateway, Deployment a-consumer"), "{text}");
        assert!(
            text.contains("kubectl -n shop delete service/a-gateway deployment/a-consumer"),
            "{text}"
        );
        assert!(text.ends_with("apply ConfigMap c: quota"), "{text}");
        assert_eq!(words(&[leaving], "shop"), None);
    }
}
