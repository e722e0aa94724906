//! Rules of time: waits that grow, and times that never overflow. No network.

use jiff::{SignedDuration, Timestamp};

/// A worker that runs all the time has so long to come up.
pub(crate) const STARTUP_SECONDS: i32 = 120;

/// How long to wait after the given number of failures, 1 for the first: doubled each time, up to the longest.
pub(crate) fn back_off(first_seconds: i32, longest_seconds: i32, failures: i32) -> SignedDuration {
    let doublings = u32::try_from(failures.saturating_sub(1).clamp(0, 30)).unwrap_or_default();
    let seconds = i64::from(first_seconds)
        .saturating_mul(1_i64 << doublings)
        .min(i64::from(longest_seconds));
    SignedDuration::from_secs(seconds.max(0))
}

/// A wait by up to a quarter longer or shorter, the same for the same seed: what failed together is not tried again together.
pub(crate) fn jittered(wait: SignedDuration, seed: &str) -> SignedDuration {
    let wait_millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    let quarter = wait_millis / 4;
    let shift = share(seed, quarter.saturating_mul(2)).saturating_sub(quarter);
    SignedDuration::from_millis(wait_millis.saturating_add(shift))
}

/// A number from 0 up to, not including, a limit that a seed always falls on; 0 for a limit of 0.
pub(crate) fn share(seed: &str, limit: i64) -> i64 {
    // FNV-1a: spreads well and is the same in every version.
    let hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    i64::try_from(hash >> 1)
        .unwrap_or_default()
        .checked_rem(limit)
        .unwrap_or_default()
}

/// A time so many seconds later; at the end of time, the end of time.
pub(crate) fn later(time: Timestamp, seconds: i32) -> Timestamp {
    after(time, SignedDuration::from_secs(i64::from(seconds)))
}

/// A time later by a duration; at the end of time, the end of time.
pub(crate) fn after(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

/// The earlier of two times, as far as there are any.
pub(crate) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

/// The time as Kubernetes stores it.
pub(crate) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
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

    #[test]
    fn a_jittered_wait_is_always_the_same_and_never_far_off() {
        let wait = SignedDuration::from_secs(100);
        for seed in ["a", "b", "c", "d", "e"] {
            let jittered = jittered(wait, seed);
            assert_eq!(jittered, super::jittered(wait, seed));
            assert!((75..=125).contains(&jittered.as_secs()), "{jittered}");
        }
        assert_ne!(jittered(wait, "a"), jittered(wait, "b"));
        assert_eq!(share("a", 0), 0);
    }
}
