//! Why something does not work: the word, and what users read. No network.

use medallion_crds::Reason;

/// Why something does not work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Obstacle {
    /// The word.
    pub reason: Reason,
    /// What, where and what to do.
    pub message: String,
}

impl Obstacle {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// What is in the way of pods that are on their way up.
    pub fn starting() -> Self {
        Self::new(Reason::Starting, "the worker's pods are being started")
    }

    /// Turns what Kubernetes says of a pod into a reason of ours and the fix.
    pub fn explained(word: &str, message: &str, namespace: &str) -> Self {
        let lower = message.to_lowercase();
        let (reason, fix) = if lower.contains("secret") && lower.contains("not found") {
            (
                Reason::SecretMissing,
                format!("create the Secret in namespace {namespace}; the pod then starts by itself"),
            )
        } else if lower.contains("references non-existent secret key") || lower.contains("couldn't find key") {
            (
                Reason::SecretKeyMissing,
                format!("add the key to the Secret in namespace {namespace}; the pod then starts by itself"),
            )
        } else if lower.contains("configmap")
            && (lower.contains("not found") || lower.contains("non-existent config key"))
        {
            (
                Reason::ConfigMapMissing,
                format!("create the ConfigMap with this key in namespace {namespace}; the pod then starts by itself"),
            )
        } else if lower.contains("serviceaccount") && lower.contains("not found") {
            (
                Reason::ServiceAccountMissing,
                format!("create the ServiceAccount in namespace {namespace}"),
            )
        } else if lower.contains("exceeded quota") {
            (
                Reason::QuotaExceeded,
                format!(
                    "raise the ResourceQuota of namespace {namespace}, or lower the worker's resources in the Helm values"
                ),
            )
        } else if lower.contains("violates podsecurity") {
            (
                Reason::PodSecurityViolated,
                format!(
                    "the workers keep the restricted standard: look at what the labels of namespace {namespace} ask for beyond it"
                ),
            )
        } else {
            return Self::new(Reason::from(word), message);
        };
        Self::new(reason, format!("{message}; {fix}"))
    }

    /// Why no pod is made at all, in the words of what should make it; no pod can tell.
    pub fn refused(message: &str, namespace: &str) -> Self {
        Self::explained("PodRefused", message, namespace)
    }
}
