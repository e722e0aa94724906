//! Why something does not work: the word, and what users read. No network.

use std::collections::BTreeSet;

use medallion_crds::{Reason, Worker};

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

    /// Why a stage without pods is not known.
    pub fn on_lambda() -> Self {
        let message =
            "runs as a function on AWS Lambda, which the operator does not measure; see the function's log and alarms";
        Self::new(Reason::NotMeasured, message)
    }

    /// Turns what Kubernetes says of a pod into a reason of ours and the fix, or into this reason and its own words.
    pub fn explained(otherwise: Reason, message: &str, namespace: &str) -> Self {
        Self::known(message, namespace).unwrap_or_else(|| Self::new(otherwise, message))
    }

    /// What is known to make Kubernetes say this of a pod, with the fix.
    pub fn known(message: &str, namespace: &str) -> Option<Self> {
        let lower = message.to_lowercase();
        // First, because it names the account after the pipeline, whatever that is called.
        let (reason, fix) = if lower.contains("serviceaccount \"") && lower.contains("not found") {
            (
                Reason::ServiceAccountMissing,
                format!("create the ServiceAccount in namespace {namespace}"),
            )
        } else if lower.contains("secret") && lower.contains("not found") {
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
/// Containers that somebody puts beside the workers are not given anything by the Helm values.
fn unspecified(message: &str, namespace: &str) -> String {
    let (_, rest) = message.split_once("must specify").unwrap_or_default();
    let (mut values, mut strangers) = (Vec::new(), BTreeSet::new());
    for part in rest.split(';') {
        let (resources, containers) = part.split_once(" for:").unwrap_or((part, ""));
        let (own, others): (Vec<_>, Vec<_>) = words(containers).partition(|name| is_worker(name));
        if !own.is_empty() || others.is_empty() {
            values.extend(
                words(resources)
                    .filter(|resource| is_resource(resource))
                    .map(helm_value),
            );
        }
        strangers.extend(others);
    }
    let mut fixes = Vec::new();
    if !values.is_empty() {
        fixes.push(format!(
            "set {} of the worker's size in the operator's Helm values",
            values.join(" and ")
        ));
    } else if strangers.is_empty() {
        fixes.push("set sizes.<size>.resources of the worker's size in the operator's Helm values".to_owned());
    }
    if !strangers.is_empty() {
        let names: Vec<_> = strangers.into_iter().collect();
        fixes.push(format!(
            "have what puts container {} there, which is not the product's, name it, or give the namespace a LimitRange with defaults",
            names.join(", ")
        ));
    }
    format!(
        "the ResourceQuota of namespace {namespace} counts what the pod does not name: {}",
        fixes.join("; and ")
    )
}

/// The first word of each entry of a list.
fn words(list: &str) -> impl Iterator<Item = &str> {
    let entries = list.split(',').map(str::trim);
    entries
        .filter_map(|entry| entry.split(' ').next())
        .filter(|word| !word.is_empty())
}

fn is_worker(container: &str) -> bool {
    Worker::ALL.iter().any(|worker| worker.as_str() == container)
}

fn is_resource(word: &str) -> bool {
    word.contains('.') || ["cpu", "memory", "ephemeral-storage"].contains(&word)
}

fn helm_value(resource: &str) -> String {
    let (kind, name) = resource.split_once('.').unwrap_or(("requests", resource));
    format!("sizes.<size>.resources.{kind}.{name}")
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
    fn a_quota_on_what_a_stranger_does_not_name_is_not_told_as_the_workers() {
        let told = |resources: &str| {
            let message = format!("pods \"p-gateway-x\" is forbidden: failed quota: compute: must specify {resources}");
            Obstacle::refused(&message, "shop").message
        };
        let message = told("limits.cpu for: istio-proxy; limits.memory for: istio-proxy");
        assert!(
            message.contains("container istio-proxy there") && !message.contains("sizes.<size>"),
            "{message}"
        );
        let message = told("limits.cpu for: dbt-runner,istio-proxy; limits.memory for: istio-proxy");
        assert!(message.contains("container istio-proxy there"), "{message}");
        assert!(
            message.contains("limits.cpu of the worker's size") && !message.contains("resources.limits.memory"),
            "{message}"
        );
    }

    #[test]
    fn a_pipeline_may_be_called_what_it_likes() {
        let message = "error looking up service account shop/secret-orders-gateway: serviceaccount \"secret-orders-gateway\" not found";
        let obstacle = Obstacle::refused(message, "shop");
        assert_eq!(obstacle.reason, Reason::ServiceAccountMissing);
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
