//! How long to wait after failures. No network.

use std::time::Duration;

use backon::ExponentialBuilder;
use kube::runtime::watcher::ExponentialBackoff;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Wait before a pipeline is looked at again after so many failures in a row, 1 for the first.
pub(crate) fn after_failures(failures: u32) -> Duration {
    FIRST
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(LONGEST)
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
}
