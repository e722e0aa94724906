//! For how long an item is kept. No network.

use rdkafka::Timestamp;

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// How long items are kept after the time of their records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expiry {
    seconds: i64,
}

impl Expiry {
    /// After so many days.
    pub fn after_days(days: i32) -> Self {
        Self {
            seconds: i64::from(days) * DAY_SECONDS,
        }
    }

    /// The second of the epoch after which the item of a record of this time may be deleted: the same whenever it is asked for.
    /// `None`: the record has no time, and its item stays.
    pub(crate) fn of(self, time: Timestamp) -> Option<i64> {
        let second = time.to_millis()?.div_euclid(1000);
        Some(second.saturating_add(self.seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_from_the_record_s_time_whoever_gave_it() {
        let expiry = Expiry::after_days(3);
        let second = Some(1_700_000_000 + 3 * 86_400);
        assert_eq!(expiry.of(Timestamp::CreateTime(1_700_000_000_999)), second);
        assert_eq!(expiry.of(Timestamp::LogAppendTime(1_700_000_000_000)), second);
    }

    #[test]
    fn without_a_time_nothing_expires() {
        assert_eq!(Expiry::after_days(3).of(Timestamp::NotAvailable), None);
    }
}
