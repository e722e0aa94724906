//! What the spec says about time, per stage. No network.

use jiff::{SignedDuration, Timestamp};
use medallion_crds::Stage;
use medallion_crds::pipeline::{Retry, Stages};

/// How a batch stage's runs are started, limited and tried again.
pub(crate) struct BatchRules {
    pub retry: Retry,
    pub timeout_seconds: i32,
    /// Between the starts of two runs.
    pub min_interval_seconds: i32,
}

/// The rules of a batch stage; a streaming stage has none.
pub(crate) fn batch(stages: &Stages, stage: Stage) -> Option<BatchRules> {
    let (retry, timeout_seconds, min_interval_seconds) = match stage {
        Stage::Silver => (
            &stages.silver.retry,
            stages.silver.timeout_seconds,
            stages.silver.min_interval_seconds,
        ),
        Stage::Gold => (&stages.gold.retry, stages.gold.timeout_seconds, 0),
        Stage::Warehouse => (&stages.warehouse.retry, stages.warehouse.timeout_seconds, 0),
        Stage::Ingest | Stage::Persist | Stage::Bronze => return None,
    };
    Some(BatchRules {
        retry: retry.clone(),
        timeout_seconds,
        min_interval_seconds,
    })
}

/// How old the oldest waiting input of a stage may be.
pub(crate) const fn max_age_seconds(stages: &Stages, stage: Stage) -> i32 {
    match stage {
        Stage::Ingest => stages.ingest.max_age_seconds,
        Stage::Persist => stages.persist.max_age_seconds,
        Stage::Bronze => stages.bronze.max_age_seconds,
        Stage::Silver => stages.silver.max_age_seconds,
        Stage::Gold => stages.gold.max_age_seconds,
        Stage::Warehouse => stages.warehouse.max_age_seconds,
    }
}

/// How long to wait after the given number of failures, 1 for the first: doubled each time, up to the longest.
pub(crate) fn back_off(first_seconds: i32, longest_seconds: i32, failures: i32) -> SignedDuration {
    let doublings = u32::try_from(failures.saturating_sub(1).clamp(0, 30)).unwrap_or_default();
    let seconds = i64::from(first_seconds)
        .saturating_mul(1_i64 << doublings)
        .min(i64::from(longest_seconds));
    SignedDuration::from_secs(seconds.max(0))
}

/// A time so many seconds later; at the end of time, the end of time.
pub(crate) fn later(time: Timestamp, seconds: i32) -> Timestamp {
    after(time, SignedDuration::from_secs(i64::from(seconds)))
}

/// A time later by a duration; at the end of time, the end of time.
pub(crate) fn after(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(1, 10)]
    #[case(2, 20)]
    #[case(3, 40)]
    #[case(6, 300)]
    #[case(1000, 300)]
    fn waits_double_up_to_the_longest(#[case] failures: i32, #[case] seconds: i64) {
        assert_eq!(back_off(10, 300, failures), SignedDuration::from_secs(seconds));
    }
}
