//! Where to begin in a partition, and whether the topic is still the one that was begun with. No network.
//!
//! A position is a topic's id and an offset in it. An offset alone says nothing: a topic that was deleted and made again
//! has offsets of its own, and going on at an old one would skip what stands before it, in silence.

use std::collections::BTreeSet;

use kafka_admin::{Stamp, adoption_of};
use medallion_crds::{Owner, Reason};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use worker_kit::{ErrorClass, WorkerError};

/// How a consumer that has halted goes on.
pub(crate) const GO_ON: &str = "when that is done, delete this pod, and its successor goes on";

/// Who reads, and of which topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reader {
    /// What is committed beside each offset: our owner, and the id that the topic has now.
    pub(crate) stamp: Stamp,
    /// The values of the annotation `medallion.dev/adopt`.
    pub(crate) adopt: Vec<String>,
}

/// What the group remembers of a partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Committed {
    /// The offset that is next, if any was committed.
    pub(crate) offset: Option<i64>,
    /// What stands beside it. Without an offset, what the group's anchor says: brokers forget a topic's offsets when it
    /// is deleted.
    pub(crate) stamp: Option<Stamp>,
}

impl Committed {
    /// What the brokers have answered about a partition. Where it has no offset the anchor must have been answered too: an
    /// answer that failed is not one that there is none.
    pub(crate) fn answered(
        offset: Option<i64>,
        stamp: Option<Stamp>,
        anchor: &KafkaResult<Option<Stamp>>,
    ) -> KafkaResult<Self> {
        let stamp = if offset.is_some() { stamp } else { anchor.clone()? };
        Ok(Self { offset, stamp })
    }
}

/// What the brokers have answered about the anchor. Where its topic does not exist none is kept.
pub(crate) fn anchor(answer: KafkaResult<()>, stamp: Option<Stamp>) -> KafkaResult<Option<Stamp>> {
    match answer {
        Ok(()) => Ok(stamp),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_missing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)
    )
}

/// What a partition's log holds: from the first offset up to, not including, the next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Log {
    pub(crate) first: i64,
    pub(crate) next: i64,
}

/// Where a partition's reading begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Start {
    /// At this offset.
    At(i64),
    /// Nowhere, and somebody must decide.
    Halt(Halt),
}

/// Why reading does not begin, or does not go on; the worst first.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Halt {
    /// Another pipeline reads with this group.
    GroupInUse {
        /// Text of its owner.
        owner: String,
    },
    /// The topic was deleted and made again: what was not read of the old one is gone.
    TopicReplaced {
        /// Id of the topic that was read.
        was: String,
        /// Id of the topic that is there now.
        is: String,
    },
    /// Records may be lost.
    OffsetsLost(String),
}

impl Halt {
    /// The error of all reasons that partitions of one topic have, by the worst of them; `None` if there is none.
    pub(crate) fn error(topic: &str, group: &str, mut halts: Vec<Self>) -> Option<WorkerError> {
        halts.sort();
        halts.dedup();
        let worst = halts.first()?;
        let (class, reason) = match worst {
            Self::GroupInUse { .. } => (ErrorClass::Record, Reason::GroupInUse),
            Self::TopicReplaced { .. } => (ErrorClass::LossRisk, Reason::TopicReplaced),
            Self::OffsetsLost(_) => (ErrorClass::LossRisk, Reason::OffsetsLost),
        };
        let message = match worst {
            Self::GroupInUse { owner } => format!(
                "consumer group {group} belongs to the Pipeline {owner}, and each of two would get half of the events: give this Pipeline a group of its own in spec.kafka.consumerGroup; or, if the other one is gone for good, take its place with the annotation medallion.dev/adopt: {owner}"
            ),
            Self::TopicReplaced { was, is } => format!(
                "topic {topic} was deleted and made again (its id was {was} and is {is}): what stood in the old one and was not read is gone. Send again what its senders still have; to accept that and read the new topic from its beginning, set the annotation medallion.dev/adopt: {} on the Pipeline",
                adoption_of(is)
            ),
            Self::OffsetsLost(_) => {
                let words = halts.iter().filter_map(|halt| match halt {
                    Self::OffsetsLost(words) => Some(words.as_str()),
                    _ => None,
                });
                format!("topic {topic}: {}; {GO_ON}", words.collect::<Vec<_>>().join("; "))
            }
        };
        Some(WorkerError::new(class, reason, message))
    }
}

/// Decides from what the group remembers and what the log holds. There is no "latest" and no silent beginning in the
/// middle, and no offset of another topic.
pub(crate) fn start(partition: i32, committed: &Committed, log: Log, reader: &Reader) -> Start {
    let Some(stamp) = &committed.stamp else {
        // Of an earlier release, or set by a person: the offset itself is all there is.
        return within(partition, committed.offset, log);
    };
    if stamp.owner != reader.stamp.owner && !reader.adopt.contains(&stamp.owner) {
        let owner = stamp.owner.clone();
        return Start::Halt(Halt::GroupInUse { owner });
    }
    match is_same(stamp.topic_id.as_deref(), reader.stamp.topic_id.as_deref()) {
        Ok(()) => within(partition, committed.offset, log),
        Err(Halt::TopicReplaced { is, .. }) if reader.adopt.contains(&adoption_of(&is)) => within(partition, None, log),
        Err(halt) => Start::Halt(halt),
    }
}

/// Whether a topic is still the one of the id that is known. Where no id is known there is nothing to tell it by.
pub(crate) fn is_same(was: Option<&str>, is: Option<&str>) -> Result<(), Halt> {
    match (was, is) {
        (Some(was), Some(is)) if was != is => Err(Halt::TopicReplaced {
            was: was.to_owned(),
            is: is.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The first of these owners who is neither us nor displaced by us.
pub(crate) fn another(owners: &BTreeSet<String>, us: &Owner, adopt: &[String]) -> Option<Halt> {
    let us = us.to_string();
    let other = owners.iter().find(|owner| **owner != us && !adopt.contains(owner));
    other.map(|owner| Halt::GroupInUse { owner: owner.clone() })
}

fn within(partition: i32, committed: Option<i64>, log: Log) -> Start {
    let Log { first, next } = log;
    let lost = |words: String| Start::Halt(Halt::OffsetsLost(format!("partition {partition}: {words}")));
    match committed {
        Some(offset) if offset < first => lost(format!(
            "offset {offset} is next, but the log begins at {first}: {} records were deleted before they were read; restore them, or accept the loss by setting the group's offset to {first}",
            first - offset
        )),
        Some(offset) if offset > next => lost(format!(
            "offset {offset} is next, but the log ends at {next}: the topic was made anew or has lost records; set the group's offset to where it should go on"
        )),
        Some(offset) => Start::At(offset),
        None if first == 0 => Start::At(0),
        None => lost(format!(
            "the group has no committed offset and the log begins at {first}, not at 0: what stood before may never have been read; set the group's offset to where it should go on"
        )),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const US: &str = "0b7c/shop/orders";
    const OTHER: &str = "0b7c/shop/payments";

    fn stamp(owner: &str, topic_id: Option<&str>) -> Stamp {
        Stamp {
            owner: owner.to_owned(),
            topic_id: topic_id.map(str::to_owned),
        }
    }

    fn begin(
        offset: Option<i64>,
        beside: Option<Stamp>,
        log: (i64, i64),
        topic_id: Option<&str>,
        adopt: &[&str],
    ) -> Start {
        let committed = Committed { offset, stamp: beside };
        let reader = Reader {
            stamp: stamp(US, topic_id),
            adopt: adopt.iter().map(ToString::to_string).collect(),
        };
        let (first, next) = log;
        start(0, &committed, Log { first, next }, &reader)
    }

    #[rstest]
    #[case::stored(Ok(()), Some("a"), Ok(Some("a")))]
    #[case::never_stored(Ok(()), None, Ok(None))]
    #[case::no_such_topic(
        Err(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownTopicOrPartition)),
        None,
        Ok(None)
    )]
    #[case::not_allowed(
        Err(KafkaError::OffsetFetch(RDKafkaErrorCode::TopicAuthorizationFailed)),
        None,
        Err(KafkaError::OffsetFetch(RDKafkaErrorCode::TopicAuthorizationFailed))
    )]
    #[case::not_settled_yet(
        Err(KafkaError::OffsetFetch(RDKafkaErrorCode::UnstableOffsetCommit)),
        None,
        Err(KafkaError::OffsetFetch(RDKafkaErrorCode::UnstableOffsetCommit))
    )]
    fn an_anchor_that_was_not_answered_is_not_taken_for_none(
        #[case] answer: KafkaResult<()>,
        #[case] beside: Option<&str>,
        #[case] expected: KafkaResult<Option<&str>>,
    ) {
        let of = |id: Option<&str>| id.map(|id| stamp(US, Some(id)));
        let expected = expected.map(of);
        let found = anchor(answer, of(beside));
        assert_eq!(found, expected);
        let without_offset = Committed::answered(None, of(Some("beside nothing")), &found);
        assert_eq!(without_offset, expected.map(|stamp| Committed { offset: None, stamp }));
        let with_offset = Committed::answered(Some(5), of(Some("b")), &found);
        let its_own = Committed {
            offset: Some(5),
            stamp: of(Some("b")),
        };
        assert_eq!(
            with_offset,
            Ok(its_own),
            "where there is an offset the anchor does not matter"
        );
    }

    #[rstest]
    #[case::goes_on(Some(5), 0, 9, Some(5))]
    #[case::nothing_new(Some(9), 0, 9, Some(9))]
    #[case::at_the_very_edge(Some(3), 3, 9, Some(3))]
    #[case::new_group_whole_log(None, 0, 9, Some(0))]
    #[case::new_group_empty_log(None, 0, 0, Some(0))]
    #[case::deleted_before_read(Some(2), 3, 9, None)]
    #[case::beyond_the_log(Some(10), 0, 9, None)]
    #[case::offsets_expired(None, 1, 9, None)]
    #[case::offsets_expired_and_all_deleted(None, 9, 9, None)]
    fn it_begins_where_nothing_is_skipped_or_not_at_all(
        #[case] committed: Option<i64>,
        #[case] first: i64,
        #[case] next: i64,
        #[case] at: Option<i64>,
        #[values(None, Some(stamp(US, Some("a"))), Some(stamp(US, None)))] beside: Option<Stamp>,
    ) {
        match begin(committed, beside, (first, next), Some("a"), &[]) {
            Start::At(offset) => assert_eq!(Some(offset), at),
            Start::Halt(Halt::OffsetsLost(message)) => {
                assert_eq!(at, None, "{message}");
                assert!(message.contains("partition 0") && message.contains("set"), "{message}");
            }
            Start::Halt(other) => panic!("{other:?}"),
        }
    }

    /// Whatever the offsets say: fewer records than before, as many, more (the silent gap), or none remembered because the
    /// brokers have forgotten the old topic's offsets.
    #[rstest]
    fn an_offset_of_another_topic_is_never_gone_on_from(
        #[values(Some(250), Some(0), None)] offset: Option<i64>,
        #[values((0, 0), (0, 100), (0, 250), (0, 1000), (300, 1000))] log: (i64, i64),
    ) {
        let begun = begin(
            offset,
            Some(stamp(US, Some("old"))),
            log,
            Some("new"),
            &["topic/old", OTHER],
        );
        let Start::Halt(halt @ Halt::TopicReplaced { .. }) = begun else {
            panic!("{begun:?}");
        };
        let error = Halt::error("orders", "g", vec![halt.clone(), halt]).expect("an error");
        assert_eq!(
            (error.class, &error.reason),
            (ErrorClass::LossRisk, &Reason::TopicReplaced)
        );
        for words in ["orders", "old", "medallion.dev/adopt: topic/new"] {
            assert!(error.message.contains(words), "{error}");
        }
    }

    #[rstest]
    #[case::from_its_beginning(Some(250), (0, 1000), Start::At(0))]
    #[case::also_without_an_offset(None, (0, 1000), Start::At(0))]
    #[case::though_empty(Some(250), (0, 0), Start::At(0))]
    fn a_new_topic_that_is_named_is_read_from_its_beginning(
        #[case] offset: Option<i64>,
        #[case] log: (i64, i64),
        #[case] expected: Start,
    ) {
        let beside = Some(stamp(US, Some("old")));
        assert_eq!(begin(offset, beside, log, Some("new"), &["topic/new"]), expected);
    }

    #[test]
    fn accepting_the_old_topics_loss_accepts_none_of_the_new_ones() {
        let begun = begin(
            Some(250),
            Some(stamp(US, Some("old"))),
            (10, 1000),
            Some("new"),
            &["topic/new"],
        );
        assert!(matches!(begun, Start::Halt(Halt::OffsetsLost(_))), "{begun:?}");
    }

    #[test]
    fn an_acceptance_that_stays_there_changes_nothing_later() {
        let adopt = ["topic/new", "topic/old"];
        let begun = begin(Some(700), Some(stamp(US, Some("new"))), (0, 1000), Some("new"), &adopt);
        assert_eq!(begun, Start::At(700), "it goes on in the topic that was taken");
        let begun = begin(
            Some(700),
            Some(stamp(US, Some("new"))),
            (0, 1000),
            Some("third"),
            &adopt,
        );
        assert!(matches!(begun, Start::Halt(Halt::TopicReplaced { .. })), "{begun:?}");
    }

    #[test]
    fn a_group_of_another_is_refused_by_name_unless_it_is_named() {
        let beside = || Some(stamp(OTHER, Some("a")));
        let begun = begin(Some(5), beside(), (0, 9), Some("a"), &["0b7c/shop/else"]);
        let Start::Halt(halt) = begun else {
            panic!("{begun:?}");
        };
        let error = Halt::error(
            "orders",
            "medallion.group",
            vec![Halt::OffsetsLost(String::new()), halt],
        )
        .expect("an error");
        assert_eq!((error.class, &error.reason), (ErrorClass::Record, &Reason::GroupInUse));
        for words in [
            "medallion.group",
            OTHER,
            "medallion.dev/adopt: 0b7c/shop/payments",
            "consumerGroup",
        ] {
            assert!(error.message.contains(words), "{error}");
        }
        assert_eq!(begin(Some(5), beside(), (0, 9), Some("a"), &[OTHER]), Start::At(5));
        let begun = begin(Some(5), beside(), (0, 9), Some("b"), &[OTHER]);
        assert!(
            matches!(begun, Start::Halt(Halt::TopicReplaced { .. })),
            "taking the group over accepts no loss: {begun:?}"
        );
    }

    #[rstest]
    #[case::nobody(&[], &[], None)]
    #[case::we(&[US], &[], None)]
    #[case::we_and_another(&[US, OTHER], &[], Some(OTHER))]
    #[case::one_we_displace(&[US, OTHER], &[OTHER], None)]
    fn who_else_has_committed_is_named(#[case] owners: &[&str], #[case] adopt: &[&str], #[case] named: Option<&str>) {
        let owners = owners.iter().map(ToString::to_string).collect();
        let adopt: Vec<String> = adopt.iter().map(ToString::to_string).collect();
        let halt = another(&owners, &US.parse().expect("an owner"), &adopt);
        let expected = named.map(|owner| Halt::GroupInUse {
            owner: owner.to_owned(),
        });
        assert_eq!(halt, expected);
    }

    #[rstest]
    #[case(None, None, true)]
    #[case(None, Some("a"), true)]
    #[case(Some("a"), None, true)]
    #[case(Some("a"), Some("a"), true)]
    #[case(Some("a"), Some("b"), false)]
    fn a_topic_is_told_by_its_id(#[case] was: Option<&str>, #[case] is: Option<&str>, #[case] same: bool) {
        assert_eq!(is_same(was, is).is_ok(), same);
    }

    #[test]
    fn every_partition_that_lost_records_is_named_once() {
        let lost = |partition: i32| match within(partition, Some(10), Log { first: 0, next: 9 }) {
            Start::Halt(halt) => halt,
            Start::At(offset) => panic!("{offset}"),
        };
        let error = Halt::error("orders", "g", vec![lost(1), lost(0), lost(1)]).expect("an error");
        assert_eq!(
            (error.class, &error.reason),
            (ErrorClass::LossRisk, &Reason::OffsetsLost)
        );
        assert_eq!(error.message.matches("partition 1").count(), 1, "{error}");
        assert!(
            error.message.contains("partition 0") && error.message.contains(GO_ON),
            "{error}"
        );
        assert_eq!(Halt::error("orders", "g", Vec::new()), None);
    }
}
