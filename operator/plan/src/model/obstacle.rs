//! Why something does not work: the word, and what users read. No network.

use medallion_crds::Reason;

/// Why something does not work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Obstacle {
    /// The word.
    pub reason: Reason,
    /// What, where and what to do.
    pub message: String,
    /// The pod's volume that the kubelet could not mount, where that is what is the matter.
    pub volume: Option<String>,
}

impl Obstacle {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            volume: None,
        }
    }

    /// What is in the way of pods that are on their way up.
    pub fn starting() -> Self {
        Self::new(Reason::Starting, "the worker's pods are being started")
    }

    /// Turns what Kubernetes says of a pod into a reason of ours and the fix, or into this reason and its own words.
    pub fn explained(otherwise: Reason, message: &str, namespace: &str) -> Self {
        Self::known(message, namespace).unwrap_or_else(|| Self::new(otherwise, message))
    }

    /// What is known to make Kubernetes say this of a pod, with the fix.
    pub fn known(message: &str, namespace: &str) -> Option<Self> {
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
        } else if lower.contains("failed quota") && lower.contains("must specify") {
            (Reason::QuotaExceeded, unspecified(message, namespace))
        } else if lower.contains("exceeded quota") {
            (
                Reason::QuotaExceeded,
                format!(
                    "raise the ResourceQuota of namespace {namespace}, or lower sizes.<size>.resources of the worker's size in the operator's Helm values"
                ),
            )
        } else if lower.contains("usage per container") || lower.contains("usage per pod") {
            (
                Reason::QuotaExceeded,
                format!(
                    "change the LimitRange of namespace {namespace}, or sizes.<size>.resources of the worker's size in the operator's Helm values"
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
            return None;
        };
        Some(Self {
            volume: volume(message),
            ..Self::new(reason, format!("{message}; {fix}"))
        })
    }

    /// Why no pod is made at all, in the words of what should make it; there is no pod to say it.
    pub fn refused(message: &str, namespace: &str) -> Self {
        Self::explained(Reason::PodRefused, message, namespace)
    }
}

/// The volume of which the kubelet speaks: `MountVolume.SetUp failed for volume "tokens" : secret "shop" not found`.
fn volume(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("for volume \"")?;
    let (name, _) = rest.split_once('"')?;
    Some(name.to_owned())
}

/// A quota on a resource refuses pods that do not say how much of it they want: `must specify limits.cpu for: gateway; cpu for: gateway`.
fn unspecified(message: &str, namespace: &str) -> String {
    let (_, rest) = message.split_once("must specify").unwrap_or_default();
    let values: Vec<_> = rest
        .split([';', ','])
        .filter_map(|part| part.trim().split([' ', ':']).next())
        .filter(|resource| resource.contains(['.']) || ["cpu", "memory", "ephemeral-storage"].contains(resource))
        .map(|resource| {
            let (kind, name) = resource.split_once('.').unwrap_or(("requests", resource));
            format!("sizes.<size>.resources.{kind}.{name}")
        })
        .collect();
    let values = if values.is_empty() {
        "sizes.<size>.resources".to_owned()
    } else {
        values.join(" and ")
    };
    format!(
        "the ResourceQuota of namespace {namespace} counts what the pod does not name: set {values} of the worker's size in the operator's Helm values"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_on_what_a_pod_does_not_name_is_reported_with_the_helm_value() {
        for (resources, values) in [
            ("limits.cpu for: gateway", "set sizes.<size>.resources.limits.cpu of"),
            ("limits.cpu", "set sizes.<size>.resources.limits.cpu of"),
            (
                "cpu for: gateway; limits.memory for: gateway,proxy",
                "set sizes.<size>.resources.requests.cpu and sizes.<size>.resources.limits.memory of",
            ),
        ] {
            let message = format!("pods \"p-gateway-x\" is forbidden: failed quota: compute: must specify {resources}");
            let obstacle = Obstacle::refused(&message, "shop");
            assert_eq!(obstacle.reason, Reason::QuotaExceeded);
            assert!(obstacle.message.contains(values), "{}", obstacle.message);
            assert!(obstacle.message.contains("namespace shop"), "{}", obstacle.message);
        }
    }

    #[test]
    fn the_volume_that_cannot_be_mounted_is_known_by_its_name() {
        for (message, volume) in [
            (
                "MountVolume.SetUp failed for volume \"kafka-ca\" : secret \"brokers\" not found",
                Some("kafka-ca"),
            ),
            (
                "MountVolume.SetUp failed for volume \"tokens\" : references non-existent secret key: kafka-ca",
                Some("tokens"),
            ),
            ("secret \"kafka-ca\" not found", None),
        ] {
            let obstacle = Obstacle::known(message, "shop").unwrap();
            assert_eq!(obstacle.volume.as_deref(), volume, "{message}");
        }
    }

    #[test]
    fn a_range_of_limits_is_reported_with_the_helm_value() {
        let message = "pods \"x\" is forbidden: maximum memory usage per Container is 64Mi, but limit is 1Gi";
        let obstacle = Obstacle::refused(message, "shop");
        assert_eq!(obstacle.reason, Reason::QuotaExceeded);
        assert!(obstacle.message.contains("LimitRange") && obstacle.message.contains("sizes.<size>"));
    }
}
