//! Reads what pods and Jobs say about themselves. No network.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use medallion_crds::launch::report::Report;

use crate::pod::STARTUP_SECONDS;
use crate::rules;

/// Why a pod does not work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Obstacle {
    /// CamelCase word for why.
    pub reason: String,
    /// What, where and what to do.
    pub message: String,
}

/// Whether the pod was taken away rather than having failed.
pub(crate) fn is_disrupted(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let conditions = status
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    conditions
        .iter()
        .any(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True")
        || status.and_then(|status| status.reason.as_deref()) == Some("Evicted")
}

/// How the pod's container ended, if it has.
pub(crate) fn terminated(pod: &Pod) -> Option<&ContainerStateTerminated> {
    container(pod)?.state.as_ref()?.terminated.as_ref()
}

/// How the process before this one failed, while this one has not had the time to show that it does better.
pub(crate) fn failed_before(pod: &Pod, now: Timestamp) -> Option<&ContainerStateTerminated> {
    let last = container(pod)?.last_state.as_ref()?.terminated.as_ref()?;
    let young = running_since(pod).is_none_or(|since| now < rules::later(since, STARTUP_SECONDS));
    (last.exit_code != 0 && !is_ready(pod) && young).then_some(last)
}

/// The report in a termination message.
pub(crate) fn report(terminated: &ContainerStateTerminated) -> Option<Report> {
    serde_json::from_str(terminated.message.as_deref()?).ok()
}

/// Whether the pod's container runs, or has run.
pub(crate) fn has_started(pod: &Pod) -> bool {
    container(pod)
        .and_then(|container| container.state.as_ref())
        .is_some_and(|state| state.running.is_some() || state.terminated.is_some())
}

/// Since when the pod's container runs.
pub(crate) fn running_since(pod: &Pod) -> Option<Timestamp> {
    let running = container(pod)?.state.as_ref()?.running.as_ref()?;
    Some(running.started_at.as_ref()?.0)
}

/// How long after its time a pod that is being deleted counts as being there: a lost node must not hold up a stage for ever.
const OVERDUE_SECONDS: i32 = 60;

/// Whether the pod has ended for good, be it without ever having started: a node may refuse it.
pub fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether the pod's worker works, or may still begin to.
pub(crate) fn is_at_work(pod: &Pod, now: Timestamp) -> bool {
    let overdue = pod
        .metadata
        .deletion_timestamp
        .as_ref()
        .is_some_and(|due| now > rules::later(due.0, OVERDUE_SECONDS));
    !overdue && terminated(pod).is_none() && !has_ended(pod)
}

/// Whether the pod is on its way up.
pub(crate) fn is_starting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && !has_started(pod) && !has_ended(pod)
}

/// How a Job ended.
pub(crate) enum JobEnd<'a> {
    Complete,
    Failed { reason: &'a str, message: &'a str },
}

/// How a Job ended, if it has; its pods are gone or done then.
pub(crate) fn job_end(job: &Job) -> Option<JobEnd<'_>> {
    let conditions = job.status.as_ref()?.conditions.as_deref()?;
    conditions
        .iter()
        .filter(|condition| condition.status == "True")
        .find_map(|condition| match condition.type_.as_str() {
            "Complete" => Some(JobEnd::Complete),
            "Failed" => Some(JobEnd::Failed {
                reason: condition.reason.as_deref().unwrap_or_default(),
                message: condition.message.as_deref().unwrap_or_default(),
            }),
            _ => None,
        })
}

/// Why a pod does not come up; `warning` is its newest warning event, which alone names a Secret that cannot be mounted.
pub(crate) fn obstacle(pod: &Pod, warning: Option<&str>, namespace: &str) -> Option<Obstacle> {
    unschedulable(pod)
        .or_else(|| container(pod).and_then(|container| waiting(container, namespace)))
        .or_else(|| {
            let message = warning.filter(|_| !has_started(pod))?;
            Some(explain("PodNotStarting", message, namespace))
        })
}

/// Why no pod is made at all, in the words of what should make it; no pod can tell.
pub(crate) fn refused(message: &str, namespace: &str) -> Obstacle {
    explain("PodRefused", message, namespace)
}

/// Why a Deployment gets no pods.
pub(crate) fn refused_by(deployment: &Deployment, namespace: &str) -> Option<Obstacle> {
    let conditions = deployment.status.as_ref()?.conditions.as_deref()?;
    let failure = conditions
        .iter()
        .find(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True")?;
    Some(refused(failure.message.as_deref().unwrap_or_default(), namespace))
}

fn unschedulable(pod: &Pod) -> Option<Obstacle> {
    let conditions = pod.status.as_ref()?.conditions.as_deref()?;
    let condition = conditions.iter().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    })?;
    Some(Obstacle {
        reason: "Unschedulable".to_owned(),
        message: format!(
            "no node takes the pod: {}; add room, or change the worker's resources, node selector or tolerations in the Helm values",
            condition.message.as_deref().unwrap_or_default()
        ),
    })
}

fn waiting(container: &ContainerStatus, namespace: &str) -> Option<Obstacle> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    let message = waiting.message.as_deref().unwrap_or_default();
    match reason {
        "ContainerCreating" | "PodInitializing" => None,
        "CrashLoopBackOff" => Some(crash(container)),
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" => Some(Obstacle {
            reason: "ImageNotPulled".to_owned(),
            message: format!(
                "image {}: {message}; check the image's name in the Helm values and the pull secrets",
                container.image
            ),
        }),
        _ => Some(explain(reason, message, namespace)),
    }
}

/// Why a container is started again and again: what the last one left.
fn crash(container: &ContainerStatus) -> Obstacle {
    let last = container
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    let Some(last) = last else {
        return Obstacle {
            reason: "CrashLoopBackOff".to_owned(),
            message: format!(
                "the container ends again and again ({} restarts)",
                container.restart_count
            ),
        };
    };
    match report(last) {
        Some(Report::Failure(failure)) => Obstacle {
            reason: failure.reason,
            message: failure.message,
        },
        _ => Obstacle {
            reason: last
                .reason
                .clone()
                .filter(|reason| reason == "OOMKilled")
                .unwrap_or_else(|| "CrashLoopBackOff".to_owned()),
            message: format!(
                "the container ends again and again, last with exit code {}: {}",
                last.exit_code,
                last.message.as_deref().unwrap_or("no message").trim()
            ),
        },
    }
}

/// Turns what the kubelet says into a reason of ours and the fix.
fn explain(reason: &str, message: &str, namespace: &str) -> Obstacle {
    let lower = message.to_lowercase();
    let (word, fix) = if lower.contains("secret") && lower.contains("not found") {
        (
            "SecretMissing",
            format!("create the Secret in namespace {namespace}; the pod then starts by itself"),
        )
    } else if lower.contains("references non-existent secret key") || lower.contains("couldn't find key") {
        (
            "SecretKeyMissing",
            format!("add the key to the Secret in namespace {namespace}; the pod then starts by itself"),
        )
    } else if lower.contains("configmap") && (lower.contains("not found") || lower.contains("non-existent config key"))
    {
        (
            "ConfigMapMissing",
            format!("create the ConfigMap with this key in namespace {namespace}; the pod then starts by itself"),
        )
    } else if lower.contains("serviceaccount") && lower.contains("not found") {
        (
            "ServiceAccountMissing",
            format!("create the ServiceAccount in namespace {namespace}"),
        )
    } else if lower.contains("exceeded quota") {
        (
            "QuotaExceeded",
            format!(
                "raise the ResourceQuota of namespace {namespace}, or lower the worker's resources in the Helm values"
            ),
        )
    } else if lower.contains("violates podsecurity") {
        (
            "PodSecurityViolated",
            format!(
                "the workers keep the restricted standard: look at what the labels of namespace {namespace} ask for beyond it"
            ),
        )
    } else {
        return Obstacle {
            reason: reason.to_owned(),
            message: message.to_owned(),
        };
    };
    Obstacle {
        reason: word.to_owned(),
        message: format!("{message}; {fix}"),
    }
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_deref()?.first()
}

/// Whether the pod is ready.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
