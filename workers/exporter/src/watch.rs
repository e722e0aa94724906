//! What an observer has read of a stream and somebody else has not committed yet. No network.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use crate::position::{Committed, Position};
use crate::sequence::Sequence;

/// More than this is not remembered: some 20 MB.
const MOST: usize = 200_000;

/// The records that wait, by shard and in order.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    log: BTreeMap<String, Position>,
    waiting: BTreeMap<String, VecDeque<(Sequence, Timestamp)>>,
    count: usize,
}

impl Watch {
    /// A record has been read.
    pub fn take(&mut self, shard: &str, sequence: &Sequence, changed_at: Timestamp) {
        if self.log.get(shard).is_some_and(|position| holds(position, sequence)) {
            return;
        }
        let waiting = self.waiting.entry(shard.to_owned()).or_default();
        waiting.push_back((sequence.clone(), changed_at));
        self.count += 1;
    }

    /// The log stands here now.
    pub fn log_says(&mut self, committed: &Committed) {
        let forgotten = |shard: &String| self.log.contains_key(shard) && !committed.shards.contains_key(shard);
        for (shard, waiting) in &mut self.waiting {
            if forgotten(shard) {
                waiting.clear();
            } else if let Some(position) = committed.shards.get(shard) {
                while waiting.front().is_some_and(|(sequence, _)| holds(position, sequence)) {
                    waiting.pop_front();
                }
            }
        }
        self.waiting.retain(|_, waiting| !waiting.is_empty());
        self.count = self.waiting.values().map(VecDeque::len).sum();
        self.log.clone_from(&committed.shards);
    }

    /// How many wait; not known when there may be more than are remembered.
    pub fn lag(&self) -> Option<i64> {
        i64::try_from(self.count).ok().filter(|_| !self.is_full())
    }

    /// When the oldest change that waits was made.
    pub fn oldest(&self) -> Option<Timestamp> {
        // Within a shard the first is the oldest, to the second that the stream's times have.
        self.waiting
            .values()
            .filter_map(|waiting| waiting.front())
            .map(|(_, time)| *time)
            .min()
    }

    /// Whether nothing more can be remembered.
    pub fn is_full(&self) -> bool {
        self.count >= MOST
    }
}

fn holds(position: &Position, sequence: &Sequence) -> bool {
    position.closed || position.sequence.as_ref().is_some_and(|last| last >= sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("time")
    }

    fn log(shards: &[(&str, Option<u64>, bool)]) -> Committed {
        let position = |(shard, sequence, closed): &(&str, Option<u64>, bool)| {
            let sequence = sequence.map(|number| Sequence::new(number.to_string()));
            let closed = *closed;
            ((*shard).to_owned(), Position { sequence, closed })
        };
        Committed {
            shards: shards.iter().map(position).collect(),
            ..Committed::default()
        }
    }

    fn read(watch: &mut Watch, shard: &str, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let time = at(i64::try_from(number).expect("small"));
            watch.take(shard, &Sequence::new(number.to_string()), time);
        }
    }

    #[test]
    fn what_waits_is_what_was_read_and_is_not_in_the_log() {
        let mut watch = Watch::default();
        assert_eq!((watch.lag(), watch.oldest()), (Some(0), None));
        read(&mut watch, "a", 8..12);
        read(&mut watch, "b", 20..21);
        assert_eq!((watch.lag(), watch.oldest()), (Some(5), Some(at(8))));
        watch.log_says(&log(&[("a", Some(10), false)]));
        assert_eq!((watch.lag(), watch.oldest()), (Some(2), Some(at(11))));
        read(&mut watch, "a", 9..11);
        read(&mut watch, "a", 12..13);
        assert_eq!(
            watch.lag(),
            Some(3),
            "what the log has does not wait, and ten comes after nine"
        );
        watch.log_says(&log(&[("a", Some(12), true), ("b", Some(20), false)]));
        assert_eq!((watch.lag(), watch.oldest()), (Some(0), None));
    }

    #[test]
    fn a_shard_that_the_log_has_forgotten_had_been_committed_whole() {
        let mut watch = Watch::default();
        watch.log_says(&log(&[("a", Some(1), false)]));
        read(&mut watch, "a", 2..5);
        read(&mut watch, "new", 7..8);
        watch.log_says(&log(&[]));
        assert_eq!((watch.lag(), watch.oldest()), (Some(1), Some(at(7))));
    }

    #[test]
    fn more_than_can_be_remembered_is_no_number() {
        let mut watch = Watch::default();
        read(&mut watch, "a", 0..u64::try_from(MOST).expect("small"));
        assert!(watch.is_full());
        assert_eq!((watch.lag(), watch.oldest()), (None, Some(at(0))));
    }
}
