//! Reads what pods say about themselves. No network.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, PodCondition};
use medallion_crds::launch::report::Report;
use medallion_crds::{Reason, labels};

use super::kept_pod::Pod;
use super::obstacle::Obstacle;
use super::time::{self, STARTUP_SECONDS};

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
    let young = running_since(pod).is_none_or(|since| now < time::later(since, STARTUP_SECONDS));
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
        .is_some_and(|due| now > time::later(due.0, OVERDUE_SECONDS));
    !overdue && terminated(pod).is_none() && !has_ended(pod)
}

/// Whether the pod is on its way up.
pub(crate) fn is_starting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && !has_started(pod) && !has_ended(pod)
}

/// How long a pod may be without a node: nodes are added when pods need them.
const NODE_SECONDS: i32 = 120;

/// Why a pod does not come up; `warning` is its newest warning event, which alone names a Secret that cannot be mounted.
pub(crate) fn obstacle(pod: &Pod, warning: Option<&str>, namespace: &str, now: Timestamp) -> Option<Obstacle> {
    if let Some(condition) = unschedulable(pod) {
        let since = condition.last_transition_time.as_ref();
        let since = since.or(pod.metadata.creation_timestamp.as_ref());
        let overdue = since.is_none_or(|since| now >= time::later(since.0, NODE_SECONDS));
        return overdue.then(|| without_node(condition));
    }
    container(pod)
        .and_then(|container| waiting(container, namespace))
        .or_else(|| {
            let message = warning.filter(|_| !has_started(pod))?;
            Some(Obstacle::explained(Reason::PodNotStarting, message, namespace))
        })
}

fn unschedulable(pod: &Pod) -> Option<&PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    })
}

fn without_node(condition: &PodCondition) -> Obstacle {
    Obstacle::new(
        Reason::Unschedulable,
        format!(
            "no node takes the pod: {}; add room, or change the worker's resources, node selector or tolerations in the Helm values",
            condition.message.as_deref().unwrap_or_default()
        ),
    )
}

fn waiting(container: &ContainerStatus, namespace: &str) -> Option<Obstacle> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    let message = waiting.message.as_deref().unwrap_or_default();
    match reason {
        BEING_MADE | "PodInitializing" => None,
        "CrashLoopBackOff" => Some(crash(container)),
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" => Some(Obstacle::new(
            Reason::ImageNotPulled,
            format!(
                "image {}: {message}; check the image's name in the Helm values and the pull secrets",
                container.image
            ),
        )),
        _ => Some(Obstacle::known(message, namespace).unwrap_or_else(|| {
            // Kubernetes has words of its own, and ever new ones: they are for people, and stand in the message.
            Obstacle::new(Reason::PodNotStarting, format!("{reason}: {message}"))
        })),
    }
}

/// Why a container is started again and again: what the last one left.
fn crash(container: &ContainerStatus) -> Obstacle {
    let last = container
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    let Some(last) = last else {
        return Obstacle::new(
            Reason::CrashLoopBackOff,
            format!(
                "the container ends again and again ({} restarts)",
                container.restart_count
            ),
        );
    };
    last_words(last, Reason::CrashLoopBackOff, |exit_code, message| {
        format!("the container ends again and again, last with exit code {exit_code}: {message}")
    })
}

/// A worker that has ended and is started again.
pub(crate) fn started_again(ended: &ContainerStateTerminated) -> Obstacle {
    last_words(ended, Reason::WorkerEnded, |exit_code, _| {
        format!("the worker ended with exit code {exit_code} and is started again")
    })
}

/// What a container that has ended left: its report, or else the given reason and words.
fn last_words(
    ended: &ContainerStateTerminated,
    otherwise: Reason,
    words: impl FnOnce(i32, &str) -> String,
) -> Obstacle {
    if let Some(Report::Failure(failure)) = report(ended) {
        return Obstacle::new(failure.reason, failure.message);
    }
    let out_of_memory = ended.reason.as_deref() == Some("OOMKilled");
    let message = ended.message.as_deref().unwrap_or("no message").trim();
    Obstacle::new(
        if out_of_memory { Reason::OutOfMemory } else { otherwise },
        words(ended.exit_code, message),
    )
}

/// The worker's own container, which bears its name: others may have been put beside it.
fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let worker = pod.metadata.labels.as_ref()?.get(labels::WORKER)?;
    let all = pod.status.as_ref()?.container_statuses.as_deref()?;
    all.iter().find(|container| container.name == *worker)
}

/// What the worker's container is doing, if the kubelet has said anything of it.
pub fn worker_state(pod: &Pod) -> Option<&ContainerState> {
    container(pod)?.state.as_ref()
}

/// What is said of a container that is on its way up.
const BEING_MADE: &str = "ContainerCreating";

/// How long the worker may have ended before the pod has: then something else keeps the pod.
const HELD_SECONDS: i32 = 20;

/// The containers that keep a pod from ending although its worker has ended.
pub(crate) fn held_by(pod: &Pod, now: Timestamp) -> Option<Vec<&str>> {
    let ended = terminated(pod)?.finished_at.as_ref()?.0;
    if has_ended(pod) || now < time::later(ended, HELD_SECONDS) {
        return None;
    }
    let all = pod.status.as_ref()?.container_statuses.as_deref()?;
    // One that has never come up keeps it as well.
    let staying = all.iter().filter(|container| {
        let state = container.state.as_ref();
        state.is_none_or(|state| state.terminated.is_none())
    });
    let names: Vec<_> = staying.map(|container| container.name.as_str()).collect();
    (!names.is_empty()).then_some(names)
}

/// The container that keeps a pod from being ready although its worker works: others may have been put beside it.
pub(crate) fn held_back(pod: &Pod) -> Option<Obstacle> {
    let worker = container(pod)?;
    let works = worker.state.as_ref().is_some_and(|state| state.running.is_some());
    if !works || is_ready(pod) {
        return None;
    }
    let all = pod.status.as_ref()?.container_statuses.as_deref()?;
    all.iter().filter(|other| other.name != worker.name).find_map(|other| {
        let waiting = other.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref().filter(|reason| *reason != BEING_MADE)?;
        Some(Obstacle::new(
            Reason::PodNotStarting,
            format!(
                "the worker runs, but container {}, which is not the product's, keeps its pod from being ready: {reason}: {}; look at what puts it there",
                other.name,
                waiting.message.as_deref().unwrap_or_default()
            ),
        ))
    })
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn obstacle_of(status: &Value) -> Obstacle {
        let pod = json!({
            "metadata": {"labels": {labels::WORKER: "gateway"}},
            "status": {"containerStatuses": [{
                "name": "gateway", "image": "gateway", "imageID": "", "ready": false, "restartCount": 3,
                "state": status["state"], "lastState": status["lastState"],
            }]},
        });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        obstacle(&pod, None, "shop", Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn words_of_kubernetes_stand_in_the_message_and_ours_is_the_reason() {
        for word in ["CreateContainerError", "RunContainerError", "FromTheFuture"] {
            let found = obstacle_of(&json!({"state": {"waiting": {"reason": word, "message": "no such device"}}}));
            assert_eq!(found.reason, Reason::PodNotStarting);
            assert_eq!(found.message, format!("{word}: no such device"));
        }
        let message = "couldn't find key token in Secret shop/tokens";
        let found =
            obstacle_of(&json!({"state": {"waiting": {"reason": "CreateContainerConfigError", "message": message}}}));
        assert_eq!(found.reason, Reason::SecretKeyMissing);
    }

    #[test]
    fn a_worker_of_any_kind_that_needs_more_memory_is_reported_by_the_same_word() {
        let killed = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        let found = obstacle_of(&json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": killed}));
        assert_eq!(found.reason, Reason::OutOfMemory);
    }
}
