//! What is remembered between two looks: since when records wait, and up to where dead letters are acknowledged. No network.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::ledger::Position;

/// Remembers since when records wait in a partition where no record's own time is known: none is in flight, or it has none.
#[derive(Debug, Default)]
pub(crate) struct Waiting(BTreeMap<i32, (i64, Timestamp)>);

impl Waiting {
    /// The time of the oldest unprocessed input of the partition, if any waits.
    pub(crate) fn since(&mut self, position: &Position, end: i64, now: Timestamp) -> Option<Timestamp> {
        if let Some(oldest) = position.oldest {
            self.0.remove(&position.partition);
            return Some(oldest);
        }
        if !position.in_flight && end <= position.mark {
            self.0.remove(&position.partition);
            return None;
        }
        let noticed = self.0.entry(position.partition).or_insert((position.mark, now));
        if noticed.0 != position.mark {
            *noticed = (position.mark, now);
        }
        Some(noticed.1)
    }
}

/// Up to where a person has acknowledged dead letters, in the dead-letter topic that is there now.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged(BTreeMap<i32, (Option<String>, i64)>);

impl Acknowledged {
    /// The first offset that waits for a person. An acknowledgement holds for the topic in which it was first seen: brokers
    /// forget those of a topic that is deleted, but not at once. One beyond the end is of a topic that is no more.
    pub(crate) fn from(
        &mut self,
        partition: i32,
        topic_id: Option<&str>,
        offset: Option<i64>,
        first: i64,
        end: i64,
    ) -> i64 {
        let Some(offset) = offset.filter(|offset| *offset <= end) else {
            return first;
        };
        let seen = self
            .0
            .entry(partition)
            .or_insert_with(|| (topic_id.map(str::to_owned), offset));
        if seen.1 != offset {
            *seen = (topic_id.map(str::to_owned), offset);
        }
        match (seen.0.as_deref(), topic_id) {
            (Some(was), Some(is)) if was != is => first,
            _ => offset.max(first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_unread_grows_old_until_the_mark_moves() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let position = |mark, oldest: Option<Timestamp>| Position {
            partition: 0,
            mark,
            in_flight: oldest.is_some(),
            oldest,
        };
        let mut waiting = Waiting::default();
        assert_eq!(waiting.since(&position(5, None), 5, at(1)), None, "nothing waits");
        assert_eq!(waiting.since(&position(5, None), 9, at(2)), Some(at(2)));
        assert_eq!(
            waiting.since(&position(5, None), 9, at(8)),
            Some(at(2)),
            "still the same wait"
        );
        assert_eq!(
            waiting.since(&position(6, None), 9, at(9)),
            Some(at(9)),
            "the mark has moved"
        );
        assert_eq!(
            waiting.since(&position(6, Some(at(3))), 9, at(10)),
            Some(at(3)),
            "the record's own time"
        );
        assert_eq!(waiting.since(&position(9, None), 9, at(11)), None);

        let timeless = Position {
            in_flight: true,
            ..position(9, None)
        };
        assert_eq!(waiting.since(&timeless, 10, at(12)), Some(at(12)));
        assert_eq!(
            waiting.since(&timeless, 10, at(20)),
            Some(at(12)),
            "a record without a time grows old too"
        );
    }

    #[test]
    fn an_acknowledgement_holds_for_the_topic_in_which_it_was_seen() {
        let mut acknowledged = Acknowledged::default();
        assert_eq!(
            acknowledged.from(0, Some("a"), None, 2, 30),
            2,
            "nobody has acknowledged any"
        );
        assert_eq!(acknowledged.from(0, Some("a"), Some(20), 2, 30), 20);
        assert_eq!(
            acknowledged.from(0, Some("b"), Some(20), 0, 25),
            0,
            "the topic was made anew"
        );
        assert_eq!(
            acknowledged.from(0, Some("b"), Some(21), 0, 25),
            21,
            "a person has acknowledged these"
        );
        assert_eq!(
            acknowledged.from(1, Some("b"), Some(20), 0, 5),
            0,
            "more than there are"
        );
        assert_eq!(
            acknowledged.from(1, Some("b"), Some(1), 3, 5),
            3,
            "the others were deleted"
        );
        assert_eq!(acknowledged.from(2, None, Some(4), 0, 5), 4, "topics without ids");
    }
}
