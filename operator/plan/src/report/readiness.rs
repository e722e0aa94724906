//! Whether the workloads do what the spec says. No network.

use medallion_crds::Reason;

use super::batch_stages;
use crate::assess::streaming::Streaming;
use crate::model::obstacle::Obstacle;
use crate::stages::Basis;

/// Whether the workloads do what the spec says.
pub(super) struct Readiness {
    pub ready: bool,
    /// Nothing but a changed spec or configuration helps.
    pub stalled: bool,
    pub reason: Reason,
    pub message: String,
}

/// Judges the workloads. `waits_for`: what the whole pipeline waits for.
pub(super) fn judge(basis: &Basis<'_>, waits_for: Option<&Obstacle>, streaming: &[Streaming<'_>]) -> Readiness {
    let not_ready = |reason: &Reason, message: String, stalled| Readiness {
        ready: false,
        stalled,
        reason: reason.clone(),
        message,
    };
    if let Some(fault) = basis.pipeline.faults.first() {
        return not_ready(&fault.reason, fault.message.clone(), true);
    }
    // What cannot be made may be what everything else waits for.
    if let Some(failure) = &basis.observed.apply_failure {
        return not_ready(&failure.reason, failure.message.clone(), false);
    }
    if let Some(obstacle) = waits_for {
        return not_ready(&obstacle.reason, obstacle.message.clone(), false);
    }
    if let Some(stage) = streaming.iter().find(|stage| !stage.rolled_out && !stage.scales) {
        let rolled = Obstacle::new(Reason::RollingOut, "the worker's pods are being rolled out");
        let obstacle = stage.obstacle.as_ref().unwrap_or(&rolled);
        let message = format!("{}: {}", stage.place.entry.stage, obstacle.message);
        return not_ready(&obstacle.reason, message, false);
    }
    let paused: Vec<_> = basis
        .places()
        .filter(|place| basis.is_suspended(*place))
        .map(|place| place.entry.stage.as_str())
        .collect();
    let (reason, message) = if basis.pipeline.suspend {
        let batch = batch_stages(basis.pipeline);
        let message = format!("the streaming stages run; no new runs of {batch} start (spec.suspend)");
        (Reason::Suspended, message)
    } else if paused.is_empty() {
        let message = "all workloads do what the spec says".to_owned();
        (Reason::AllStagesRunning, message)
    } else {
        (Reason::Suspended, format!("paused by the spec: {}", paused.join(", ")))
    };
    Readiness {
        ready: true,
        stalled: false,
        reason,
        message,
    }
}
