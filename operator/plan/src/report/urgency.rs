//! How soon a change of a pipeline's status has to be written. No network.

use medallion_crds::pipeline::{PipelineStatus, StageStatus};

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
        stage.retention = None;
        stage.message = None;
        if is_moving(stage) {
            stage.position = None;
        }
    }
    for condition in &mut plain.conditions {
        // A message names the oldest input or counts tries, which move all the time; status and reason tell what matters.
        condition.message.clear();
    }
    plain
}

/// Whether the position moves with the data: a stage that works in runs has a new one with each run, for which somebody waits.
const fn is_moving(stage: &StageStatus) -> bool {
    stage.last_run.is_none()
}

#[cfg(test)]
mod tests {
    use medallion_crds::Stage;
    use medallion_crds::pipeline::StageState;

    use super::*;
    use crate::report::stage::empty;

    fn persist(state: StageState, message: &str) -> PipelineStatus {
        PipelineStatus {
            stages: vec![StageStatus {
                state,
                message: Some(message.to_owned()),
                ..empty(Stage::Persist)
            }],
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
