//! How long to wait after failures. No network.

use std::time::Duration;

use backon::ExponentialBuilder;
use kube::runtime::watcher::ExponentialBackoff;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Wait after a look that was decided on an old picture: the watch shows the new one soon.
pub(crate) const MOVED: Duration = Duration::from_millis(200);
/// After so many of them in a row the watch is late, or broken.
const IN_TIME: u32 = 5;
/// As long as a watch that is broken waits between its tries.
const LATE: Duration = Duration::from_secs(5);

/// Wait before a pipeline is looked at again after so many failures in a row, 1 for the first.
pub(crate) fn after_failures(failures: u32) -> Duration {
    FIRST
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(LONGEST)
}

/// Wait after so many looks in a row that were decided on an old picture, 1 for the first. What the watch shows is looked at when it
/// comes: until then each further look is for nothing, and may be one of those that keep an API server from catching up.
pub(crate) fn after_moves(moves: u32) -> Duration {
    MOVED
        .saturating_mul(1 << moves.saturating_sub(IN_TIME).min(10))
        .min(LATE)
}

/// Wait between the tries of a watch: short, because an API server that is back should be followed again soon.
pub(crate) fn of_watch() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(5))
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute() {
        assert_eq!(after_failures(1), Duration::from_millis(500));
        assert_eq!(after_failures(2), Duration::from_secs(1));
        assert_eq!(after_failures(40), LONGEST);
    }

    #[test]
    fn a_watch_that_is_late_is_waited_for_longer_each_time() {
        assert_eq!(after_moves(1), MOVED);
        assert_eq!(after_moves(IN_TIME), MOVED);
        assert_eq!(after_moves(IN_TIME + 1), MOVED * 2);
        assert_eq!(after_moves(IN_TIME + 2), MOVED * 4);
        assert_eq!(after_moves(u32::MAX), LATE);
    }
}
