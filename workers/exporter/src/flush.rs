//! When to write: by bytes, by age. Time is an argument. No network.

use jiff::{SignedDuration, Timestamp};

/// The rule of one exporter.
#[derive(Clone, Copy, Debug)]
pub struct FlushRule {
    /// Write when so many bytes wait.
    pub max_bytes: usize,
    /// Write when the first of what waits has waited so long.
    pub max_age: SignedDuration,
}

impl FlushRule {
    /// Whether to write now, given the bytes that wait and since when something does.
    pub fn is_due(&self, bytes: usize, since: Option<Timestamp>, now: Timestamp) -> bool {
        since.is_some() && (bytes >= self.max_bytes || self.remaining(since, now) == Some(SignedDuration::ZERO))
    }

    /// How long it may wait yet; nothing waits for ever.
    pub fn remaining(&self, since: Option<Timestamp>, now: Timestamp) -> Option<SignedDuration> {
        // A clock that was set back must not hold rows: what seems to come from the future has waited long enough.
        since.map(|since| {
            let waited = now.duration_since(since);
            if waited.is_negative() {
                SignedDuration::ZERO
            } else {
                (self.max_age - waited).max(SignedDuration::ZERO)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).expect("time")
    }

    #[rstest]
    #[case::nothing_waits(0, None, 1_000, false)]
    #[case::young_and_small(10, Some(0), 59, false)]
    #[case::old_enough(10, Some(0), 60, true)]
    #[case::large_enough(1_000, Some(0), 0, true)]
    #[case::only_positions_wait(0, Some(0), 61, true)]
    #[case::clock_set_back(10, Some(100), 0, true)]
    fn a_flush_is_due_by_bytes_or_age(
        #[case] bytes: usize,
        #[case] since: Option<i64>,
        #[case] now: i64,
        #[case] expected: bool,
    ) {
        let rule = FlushRule {
            max_bytes: 1_000,
            max_age: SignedDuration::from_secs(60),
        };
        assert_eq!(rule.is_due(bytes, since.map(at), at(now)), expected);
    }
}
