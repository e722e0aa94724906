//! Whether data is fresh, dead letters are within budget and nothing is at risk. No network.

use jiff::Timestamp;
use medallion_crds::Stage;
use medallion_crds::pipeline::{DeadLetterStatus, StageState, StageStatus};

use crate::rules;
use crate::validate::ValidatedPipeline;

/// The judgement.
pub(crate) struct Health {
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    pub reason: String,
    pub message: String,
    /// When a stage becomes too old, if nothing happens before.
    pub turns_at: Option<Timestamp>,
}

/// Judges stages and dead letters.
pub(crate) fn judge(
    pipeline: &ValidatedPipeline,
    stages: &[StageStatus],
    dead_letters: Option<&DeadLetterStatus>,
    unmeasured: Option<Stage>,
    now: Timestamp,
) -> Health {
    let mut problems: Vec<(String, String)> = Vec::new();
    let mut turns_at: Option<Timestamp> = None;
    for stage in stages {
        match stage.state {
            StageState::Failed | StageState::Blocked => problems.push((
                stage.reason.clone().unwrap_or_else(|| "StageFailed".to_owned()),
                format!("{}: {}", stage.name, stage.message.as_deref().unwrap_or("no message")),
            )),
            _ => match too_old(pipeline, stage, now) {
                Age::TooOld(message) => problems.push(("Stale".to_owned(), message)),
                Age::FreshUntil(time) => turns_at = Some(turns_at.map_or(time, |other| other.min(time))),
                Age::Fresh => {}
            },
        }
    }
    let budget = pipeline.spec.dead_letters.max_count;
    if let Some(letters) = dead_letters.filter(|letters| letters.count > budget) {
        let newest = letters
            .newest
            .first()
            .map(|letter| format!("; newest: {} {}", letter.reason, letter.message));
        problems.push((
            "DeadLettersOverBudget".to_owned(),
            format!(
                "{} dead letters wait in {}, more than deadLetters.maxCount ({budget}){}",
                letters.count,
                pipeline.spec.kafka.dead_letter_topic,
                newest.unwrap_or_default()
            ),
        ));
    }
    let (status, reason, message) = if let Some((reason, _)) = problems.first() {
        let texts: Vec<_> = problems.iter().map(|(_, message)| message.as_str()).collect();
        ("False", reason.clone(), texts.join("; "))
    } else if let Some(stage) = unmeasured {
        (
            "Unknown",
            "NotMeasured".to_owned(),
            format!("{stage}: not every pod tells how it is getting on"),
        )
    } else if pipeline.spec.suspend {
        (
            "True",
            "Suspended".to_owned(),
            "the streaming stages are fresh; silver, gold and warehouse are suspended and not judged".to_owned(),
        )
    } else {
        (
            "True",
            "Fresh".to_owned(),
            "data is fresh and dead letters are within budget".to_owned(),
        )
    };
    Health {
        status,
        reason,
        message,
        turns_at,
    }
}

enum Age {
    Fresh,
    FreshUntil(Timestamp),
    TooOld(String),
}

fn too_old(pipeline: &ValidatedPipeline, stage: &StageStatus, now: Timestamp) -> Age {
    if pipeline.spec.suspend && stage.name.is_batch() {
        return Age::Fresh;
    }
    let Some(oldest) = &stage.oldest_pending_time else {
        return Age::Fresh;
    };
    let limit = rules::max_age_seconds(&pipeline.spec.stages, stage.name);
    let turns = rules::later(oldest.0, limit);
    if now <= turns {
        return Age::FreshUntil(rules::later(turns, 1));
    }
    Age::TooOld(format!(
        "{}: input of {} waits longer than maxAgeSeconds ({limit})",
        stage.name, oldest.0
    ))
}
