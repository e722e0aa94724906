//! Whether data is fresh, dead letters are within budget and nothing is at risk. No network.

use jiff::Timestamp;
use medallion_crds::Reason;
use medallion_crds::pipeline::{DeadLetterStatus, StageState, StageStatus};

use super::{batch_stages, is_batch};
use crate::model::obstacle::Obstacle;
use crate::model::pipeline::ValidatedPipeline;
use crate::model::time;

/// The judgement.
pub(crate) struct Health {
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    pub reason: Reason,
    pub message: String,
    /// When a stage becomes too old, if nothing happens before.
    pub turns_at: Option<Timestamp>,
}

/// Judges stages and dead letters.
pub(crate) fn judge(
    pipeline: &ValidatedPipeline,
    stages: &[StageStatus],
    dead_letters: Option<&DeadLetterStatus>,
    unmeasured: Option<&Obstacle>,
    now: Timestamp,
) -> Health {
    let mut problems: Vec<(Reason, String)> = Vec::new();
    let mut turns_at: Option<Timestamp> = None;
    for stage in stages {
        if let Some(message) = near_the_end(stage) {
            problems.push((Reason::RetentionAtRisk, message));
        }
        match stage.state {
            StageState::Suspended => {}
            StageState::Failed | StageState::Blocked => problems.push((
                stage.reason.clone().unwrap_or(Reason::StageFailed),
                format!("{}: {}", stage.name, stage.message.as_deref().unwrap_or("no message")),
            )),
            _ => match too_old(pipeline, stage, now) {
                Age::TooOld(message) => problems.push((Reason::Stale, message)),
                Age::FreshUntil(time) => turns_at = time::earlier(turns_at, Some(time)),
                Age::Fresh => {}
            },
        }
    }
    let budget = pipeline.dead_letter_budget;
    if let Some(letters) = dead_letters.filter(|letters| letters.count > budget) {
        let newest = letters
            .newest
            .first()
            .map(|letter| format!("; newest: {} {}", letter.reason, letter.message));
        problems.push((
            Reason::DeadLettersOverBudget,
            format!(
                "{} dead letters wait in {}, more than deadLetters.maxCount ({budget}){}",
                letters.count,
                pipeline.kafka.dead_letter_topic,
                newest.unwrap_or_default()
            ),
        ));
    }
    let (status, reason, message) = if let Some((reason, _)) = problems.first() {
        let texts: Vec<_> = problems.iter().map(|(_, message)| message.as_str()).collect();
        ("False", reason.clone(), texts.join("; "))
    } else if let Some(obstacle) = unmeasured {
        ("Unknown", obstacle.reason.clone(), obstacle.message.clone())
    } else if pipeline.suspend {
        (
            "True",
            Reason::Suspended,
            format!(
                "the streaming stages are fresh; {} are suspended and not judged",
                batch_stages(pipeline)
            ),
        )
    } else if let Some(paused) = paused(stages) {
        (
            "True",
            Reason::Suspended,
            format!("{paused}: suspended and not judged; the others are fresh"),
        )
    } else {
        (
            "True",
            Reason::Fresh,
            format!("data is fresh and dead letters are within budget{}", unseen(stages)),
        )
    };
    Health {
        status,
        reason,
        message,
        turns_at,
    }
}

/// From this share of what a source keeps on, what waits is at risk.
const RISK_PERCENT: i64 = 80;

fn near_the_end(stage: &StageStatus) -> Option<String> {
    let retention = stage.retention?;
    let percent = retention.used_seconds.saturating_mul(100) / retention.of_seconds.max(1);
    (percent >= RISK_PERCENT).then(|| {
        format!(
            "{}: unread input has used {percent} % of the {} s that its source keeps it; at the end of it, it is gone",
            stage.name, retention.of_seconds
        )
    })
}

fn paused(stages: &[StageStatus]) -> Option<String> {
    let paused = stages.iter().filter(|stage| stage.state == StageState::Suspended);
    let names: Vec<_> = paused.map(|stage| stage.name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Whom the judgement leaves out, because nobody sees what it does.
fn unseen(stages: &[StageStatus]) -> String {
    let unseen = stages.iter().filter(|stage| stage.state == StageState::Unknown);
    let names: Vec<_> = unseen.map(|stage| stage.name.as_str()).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("; {}: not measured and not judged", names.join(", "))
    }
}

enum Age {
    Fresh,
    FreshUntil(Timestamp),
    TooOld(String),
}

fn too_old(pipeline: &ValidatedPipeline, stage: &StageStatus, now: Timestamp) -> Age {
    let (Some(wish), Some(oldest)) = (pipeline.wish(stage.name), &stage.oldest_pending_time) else {
        return Age::Fresh;
    };
    if pipeline.suspend && is_batch(wish) {
        return Age::Fresh;
    }
    let limit = wish.max_age_seconds;
    let turns = time::later(oldest.0, limit);
    if now <= turns {
        return Age::FreshUntil(time::later(turns, 1));
    }
    Age::TooOld(format!(
        "{}: input of {} waits longer than maxAgeSeconds ({limit})",
        stage.name, oldest.0
    ))
}
