//! The pipeline's status: readiness, assembly, and how soon a change has to be written. No network.

use jiff::Timestamp;
use medallion_crds::Stage;
use medallion_crds::pipeline::{Dependency, DependencyState, PipelineStatus, StageState};
use medallion_crds::text::cut;

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

/// A status has at most so many bytes as JSON.
const STATUS_BYTES: usize = 32 * 1024;

/// The status within its bound: words are shortened as far as it takes, positions never.
pub(crate) fn bounded(status: PipelineStatus) -> Result<PipelineStatus, serde_json::Error> {
    let mut fitting = status;
    for limit in [512, 256, 128, 64] {
        if serde_json::to_vec(&fitting)?.len() <= STATUS_BYTES {
            break;
        }
        shorten(&mut fitting, limit);
    }
    Ok(fitting)
}

fn shorten(status: &mut PipelineStatus, limit: usize) {
    let optional = |text: &mut Option<String>| *text = text.take().map(|text| cut(&text, limit));
    for stage in &mut status.stages {
        optional(&mut stage.message);
    }
    for dependency in &mut status.dependencies {
        optional(&mut dependency.message);
    }
    if let Some(provisioning) = &mut status.provisioning {
        optional(&mut provisioning.message);
    }
    for condition in &mut status.conditions {
        condition.message = cut(&condition.message, limit);
    }
    for letter in status.dead_letters.iter_mut().flat_map(|letters| &mut letters.newest) {
        letter.message = cut(&letter.message, limit);
    }
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
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use medallion_crds::pipeline::{DeadLetterReason, DeadLetterStatus, StageStatus};
    use medallion_crds::stage_run::TableVersion;

    use super::*;

    fn persist(state: StageState, message: &str) -> PipelineStatus {
        PipelineStatus {
            stages: vec![StageStatus {
                state,
                message: Some(message.to_owned()),
                ..crate::streaming::empty(Stage::Persist)
            }],
            ..PipelineStatus::default()
        }
    }

    /// As long as everything may be: ten letters, a stage of many tables (a report has 4 KiB), long words everywhere.
    #[test]
    fn a_status_full_to_the_brim_stays_within_its_bound_and_keeps_positions() {
        let tables: Vec<_> = (0..60)
            .map(|number| TableVersion {
                name: format!("a_table_of_the_shop_{number:03}"),
                version: 1_000_000,
            })
            .collect();
        let long = || "é".repeat(512);
        let mut status = PipelineStatus::default();
        for stage in Stage::BATCH {
            status.stages.push(StageStatus {
                message: Some(long()),
                inputs: tables.clone(),
                outputs: tables.clone(),
                ..crate::streaming::empty(stage)
            });
        }
        status.dependencies = (0..12)
            .map(|number| Dependency {
                name: format!("Topic/{number}"),
                state: DependencyState::Missing,
                message: Some(long()),
            })
            .collect();
        let letter = DeadLetterReason {
            reason: "SchemaViolation".to_owned(),
            message: cut(&long(), 512),
            source: "purchase_orders/3/1234567".to_owned(),
            time: Time(Timestamp::UNIX_EPOCH),
        };
        status.dead_letters = Some(DeadLetterStatus {
            count: 10,
            newest: vec![letter; 10],
        });
        assert!(
            serde_json::to_vec(&status).unwrap().len() > STATUS_BYTES,
            "more than fits"
        );
        let bounded = bounded(status).unwrap();
        assert!(serde_json::to_vec(&bounded).unwrap().len() <= STATUS_BYTES);
        assert!(bounded.stages.iter().all(|stage| stage.outputs == tables));
        assert_eq!(bounded.dead_letters.unwrap().newest.len(), 10);
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
