//! The pipeline's status: readiness, assembly, and how soon a change has to be written. No network.

use jiff::Timestamp;
use medallion_crds::Stage;
use medallion_crds::pipeline::{Dependency, DependencyState, PipelineStatus, StageState};

use crate::conditions::{self, Wanted};
use crate::health::Health;
use crate::pods::Obstacle;
use crate::streaming::Streaming;
use crate::validate::ValidatedPipeline;

/// Whether the workloads do what the spec says.
pub(crate) struct Readiness {
    pub ready: bool,
    /// Nothing but a changed spec or configuration helps.
    pub stalled: bool,
    pub reason: String,
    pub message: String,
}

/// Judges the workloads.
pub(crate) fn readiness(
    pipeline: &ValidatedPipeline,
    waits_for: Option<&Obstacle>,
    streaming: &[Streaming],
    apply_failure: Option<&str>,
) -> Readiness {
    let not_ready = |reason: &str, message: String, stalled| Readiness {
        ready: false,
        stalled,
        reason: reason.to_owned(),
        message,
    };
    if let Some(fault) = pipeline.faults.first() {
        return not_ready(fault.reason, fault.message.clone(), true);
    }
    if let Some(obstacle) = waits_for {
        return not_ready(&obstacle.reason, obstacle.message.clone(), false);
    }
    if let Some(failure) = apply_failure {
        return not_ready("ApplyFailed", failure.to_owned(), false);
    }
    if let Some(stage) = streaming.iter().find(|stage| !stage.rolled_out) {
        let status = &stage.status;
        let reason = status.reason.as_deref().unwrap_or("RollingOut");
        let message = status
            .message
            .as_deref()
            .unwrap_or("the worker's pods are being replaced");
        return not_ready(reason, format!("{}: {message}", status.name), false);
    }
    let (reason, message) = if pipeline.spec.suspend {
        (
            "Suspended",
            "the streaming stages run; no new runs of silver, gold and warehouse start (spec.suspend)",
        )
    } else {
        ("Running", "all workloads do what the spec says")
    };
    Readiness {
        ready: true,
        stalled: false,
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}

/// The four conditions, as generic tools read them.
pub(crate) fn conditions(
    pipeline: &ValidatedPipeline,
    readiness: &Readiness,
    health: &Health,
    now: Timestamp,
) -> Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    let ready = Wanted {
        kind: "Ready",
        status: if readiness.ready { "True" } else { "False" },
        reason: &readiness.reason,
        message: &readiness.message,
    };
    let healthy = Wanted {
        kind: "Healthy",
        status: health.status,
        reason: &health.reason,
        message: &health.message,
    };
    let mut wanted = vec![ready, healthy];
    if !readiness.ready {
        wanted.push(Wanted {
            kind: if readiness.stalled { "Stalled" } else { "Reconciling" },
            status: "True",
            reason: &readiness.reason,
            message: &readiness.message,
        });
    }
    conditions::set(&pipeline.status.conditions, &wanted, pipeline.generation, now)
}

/// The dependency on the gateway's Secret, which the operator must not read: known only by what its pods say.
pub(crate) fn secret_dependency(name: String, streaming: &[Streaming]) -> Dependency {
    let ingest = streaming
        .iter()
        .map(|stage| &stage.status)
        .find(|status| status.name == Stage::Ingest);
    let reason = ingest.and_then(|status| status.reason.as_deref());
    let (state, message) = match reason {
        Some("SecretMissing") => (
            DependencyState::Missing,
            ingest.and_then(|status| status.message.clone()),
        ),
        Some("SecretKeyMissing") => (
            DependencyState::Differs,
            ingest.and_then(|status| status.message.clone()),
        ),
        _ if ingest.is_some_and(|status| status.ready_replicas.unwrap_or_default() > 0) => {
            (DependencyState::Exists, None)
        }
        _ => (DependencyState::Unknown, None),
    };
    Dependency { name, state, message }
}

/// How soon a changed status has to be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Urgency {
    /// Nothing changed.
    None,
    /// Only figures that move with the data, or the words about the same matter: a few seconds may pass.
    Progress,
    /// Somebody waits for it.
    Now,
}

/// Compares two statuses.
pub fn urgency(stored: &PipelineStatus, wanted: &PipelineStatus) -> Urgency {
    if stored == wanted {
        Urgency::None
    } else if without_figures(stored) == without_figures(wanted) {
        Urgency::Progress
    } else {
        Urgency::Now
    }
}

fn without_figures(status: &PipelineStatus) -> PipelineStatus {
    let mut plain = status.clone();
    plain.dead_letters = None;
    for stage in &mut plain.stages {
        stage.lag = None;
        stage.oldest_pending_time = None;
        stage.last_commit_time = None;
        stage.rows = None;
        stage.message = None;
        if !stage.name.is_batch() {
            stage.position = None;
        }
    }
    for condition in &mut plain.conditions {
        // A message names the oldest input or counts tries, which move all the time; status and reason tell what matters.
        condition.message.clear();
    }
    plain
}

/// The first streaming stage that does not tell how it is getting on, as far as it is expected to.
pub(crate) fn unmeasured(streaming: &[Streaming]) -> Option<Stage> {
    streaming
        .iter()
        .find(|stage| !stage.measured && stage.status.state != StageState::Failed)
        .map(|stage| stage.status.name)
}

#[cfg(test)]
mod tests {
    use medallion_crds::pipeline::StageStatus;

    use super::*;

    fn persist(state: StageState, message: &str) -> PipelineStatus {
        let stage = StageStatus {
            state,
            message: Some(message.to_owned()),
            ..crate::streaming::empty(Stage::Persist)
        };
        PipelineStatus {
            stages: vec![stage],
            ..PipelineStatus::default()
        }
    }

    #[test]
    fn words_about_the_same_matter_are_no_hurry() {
        let stored = persist(StageState::Blocked, "the table is throttled, try 7");
        assert_eq!(urgency(&stored, &stored), Urgency::None);
        let again = persist(StageState::Blocked, "the table is throttled, try 8");
        assert_eq!(urgency(&stored, &again), Urgency::Progress);
        assert_eq!(urgency(&stored, &persist(StageState::Failed, "")), Urgency::Now);
    }
}
