//! Stories of shards: who may be read when, what is remembered, what is a risk. No network.

use super::*;

const HOUR: i64 = 3600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("time")
}

fn listed(shards: &[(&str, Option<&str>)]) -> Vec<Listed> {
    let shard = |(id, parent): &(&str, Option<&str>)| Listed {
        id: (*id).to_owned(),
        parent: parent.map(str::to_owned),
    };
    shards.iter().map(shard).collect()
}

fn sequence(number: u64) -> Sequence {
    Sequence::new(number.to_string())
}

fn fresh() -> Lineage {
    Lineage::resume("arn:1", Committed::default(), at(0)).expect("nothing to lose yet")
}

fn names(starts: Vec<Start>) -> Vec<(String, Option<u64>)> {
    let number = |after: Sequence| after.as_str().parse().expect("number");
    starts
        .into_iter()
        .map(|start| (start.shard, start.after.map(number)))
        .collect()
}

fn position(sequence: Option<u64>, closed: bool) -> Position {
    Position {
        sequence: sequence.map(self::sequence),
        closed,
    }
}

fn committed(as_of: i64, shards: &[(&str, Position)]) -> Committed {
    Committed {
        stream: Some(StreamPosition {
            arn: "arn:1".to_owned(),
            as_of: Some(at(as_of)),
            since: None,
            holder: RunsOn::Cluster,
        }),
        shards: shards
            .iter()
            .map(|(id, position)| ((*id).to_owned(), position.clone()))
            .collect(),
        ..Committed::default()
    }
}

#[test]
fn a_fresh_table_begins_at_the_oldest_record_of_the_oldest_shards() {
    let mut lineage = fresh();
    // `a` comes from a shard that was trimmed long ago: with nothing read yet, nothing of ours can be missing.
    let shards = listed(&[("a", Some("trimmed")), ("b", Some("a")), ("c", Some("a")), ("d", None)]);
    let starts = lineage.list("arn:1", &shards, at(0)).expect("no risk");
    assert_eq!(names(starts), [("a".to_owned(), None), ("d".to_owned(), None)]);
    assert_eq!(
        lineage.pending().shards.len(),
        4,
        "every shard that was seen is remembered with the first commit"
    );
}

#[test]
fn children_are_read_when_their_parent_has_been_read_to_its_end() {
    let mut lineage = fresh();
    lineage.list("arn:1", &listed(&[("a", None)]), at(0)).expect("no risk");
    assert!(lineage.advance("a", &sequence(1), at(0)));
    assert_eq!(
        names(
            lineage
                .list("arn:1", &listed(&[("a", None), ("b", Some("a"))]), at(1))
                .expect("no risk")
        ),
        []
    );
    assert_eq!(
        names(lineage.close("a", at(2)).expect("no risk")),
        [("b".to_owned(), None)]
    );
    let pending = lineage.pending();
    assert_eq!(pending.shards["a"], position(Some(1), true));
    assert_eq!(
        pending.shards["b"],
        position(None, false),
        "an empty child is committed without rows"
    );
    // A child that is listed after its parent was read to its end begins at once.
    let later = lineage.list(
        "arn:1",
        &listed(&[("a", None), ("b", Some("a")), ("c", Some("a"))]),
        at(3),
    );
    assert_eq!(names(later.expect("no risk")), [("c".to_owned(), None)]);
}

#[test]
fn a_restart_goes_on_behind_what_is_committed() {
    let log = committed(
        0,
        &[
            ("a", position(Some(5), true)),
            ("b", position(Some(7), false)),
            ("c", position(None, false)),
        ],
    );
    let mut lineage = Lineage::resume("arn:1", log, at(60)).expect("no risk");
    let shards = listed(&[("a", None), ("b", Some("a")), ("c", Some("a")), ("d", Some("b"))]);
    let starts = lineage.list("arn:1", &shards, at(60)).expect("no risk");
    assert_eq!(names(starts), [("b".to_owned(), Some(7)), ("c".to_owned(), None)]);
    assert!(
        !lineage.advance("b", &sequence(7), at(60)),
        "a record that is committed is dropped"
    );
    assert!(lineage.advance("b", &sequence(10), at(60)), "ten comes after seven");
}

#[test]
fn what_is_committed_is_not_pending_and_what_moves_meanwhile_is() {
    let mut lineage = fresh();
    lineage
        .list("arn:1", &listed(&[("a", None), ("b", None)]), at(0))
        .expect("no risk");
    lineage.advance("a", &sequence(1), at(0));
    let pending = lineage.pending();
    lineage.advance("b", &sequence(2), at(0));
    lineage.committed(pending);
    assert!(lineage.has_pending());
    assert_eq!(
        lineage.pending().shards.keys().collect::<Vec<_>>(),
        ["b"],
        "only changed shards are written"
    );
    let rest = lineage.pending();
    lineage.committed(rest);
    assert!(!lineage.has_pending());
}

#[test]
fn another_stream_is_a_risk_at_the_start_and_later() {
    let other = Lineage::resume("arn:2", committed(0, &[]), at(0)).expect_err("risk");
    assert_eq!(other.reason(), Reason::StreamReplaced);
    let mut lineage = fresh();
    lineage.list("arn:1", &listed(&[("a", None)]), at(0)).expect("no risk");
    let other = lineage.list("arn:2", &listed(&[("x", None)]), at(1)).expect_err("risk");
    assert!(other.to_string().contains("arn:2"), "{other}");
}

#[test]
fn a_break_longer_than_the_streams_memory_is_a_risk() {
    let log = committed(0, &[("a", position(Some(1), false))]);
    assert!(Lineage::resume("arn:1", log.clone(), at(24 * HOUR)).is_ok());
    let risk = Lineage::resume("arn:1", log, at(24 * HOUR + 1)).expect_err("risk");
    assert_eq!(risk.reason(), Reason::StreamRetentionPassed);
}

#[test]
fn a_child_that_begins_too_late_is_a_risk() {
    let log = committed(0, &[("a", position(Some(1), false))]);
    let mut lineage = Lineage::resume("arn:1", log, at(23 * HOUR)).expect("no risk yet");
    lineage
        .list("arn:1", &listed(&[("a", None), ("b", Some("a"))]), at(23 * HOUR))
        .expect("no risk yet");
    // Its first records may be gone, and reading from the oldest one would hide it.
    let risk = lineage.close("a", at(25 * HOUR)).expect_err("risk");
    assert_eq!(risk.reason(), Reason::StreamRetentionPassed);
}

#[test]
fn a_parent_that_nobody_knows_is_a_risk_when_listings_say_so_for_a_minute() {
    let mut lineage =
        Lineage::resume("arn:1", committed(0, &[("a", position(Some(1), false))]), at(0)).expect("no risk");
    let shards = listed(&[("a", None), ("x", Some("never seen"))]);
    let starts = lineage.list("arn:1", &shards, at(0)).expect("a listing may be behind");
    assert_eq!(
        names(starts),
        [("a".to_owned(), Some(1))],
        "the stranger is not read meanwhile"
    );
    assert!(lineage.awaits_listing());
    lineage
        .list("arn:1", &shards, at(59))
        .expect("a listing may be behind for a while");
    let risk = lineage.list("arn:1", &shards, at(60)).expect_err("risk");
    assert_eq!(risk.reason(), Reason::ParentShardUnknown);
    assert!(risk.to_string().contains("never seen"));
}

#[test]
fn a_late_listing_clears_a_suspect() {
    let mut lineage =
        Lineage::resume("arn:1", committed(0, &[("a", position(Some(1), false))]), at(0)).expect("no risk");
    lineage
        .list("arn:1", &listed(&[("a", None), ("c", Some("b"))]), at(0))
        .expect("suspicious only");
    let both = listed(&[("a", None), ("b", Some("a")), ("c", Some("b"))]);
    assert_eq!(names(lineage.list("arn:1", &both, at(10)).expect("explained")), []);
    assert_eq!(
        names(lineage.close("a", at(11)).expect("no risk")),
        [("b".to_owned(), None)]
    );
}

#[test]
fn a_trimmed_position_is_a_risk_unless_it_is_young() {
    let log = committed(0, &[("a", position(Some(1), false))]);
    let mut lineage = Lineage::resume("arn:1", log, at(0)).expect("no risk");
    lineage.list("arn:1", &listed(&[("a", None)]), at(0)).expect("no risk");
    assert_eq!(
        lineage.from_oldest("a", at(22 * HOUR)),
        Ok(()),
        "nothing younger than the retention can have been trimmed"
    );
    assert_eq!(
        lineage.from_oldest("a", at(23 * HOUR)).expect_err("risk").reason(),
        Reason::StreamTrimmed
    );
}

#[test]
fn a_closed_shard_is_remembered_until_the_stream_forgets_it_and_its_children_are_in_the_log() {
    let log = committed(0, &[("a", position(Some(5), true)), ("b", position(Some(9), false))]);
    let mut lineage = Lineage::resume("arn:1", log, at(0)).expect("no risk");
    lineage
        .list("arn:1", &listed(&[("a", None), ("b", Some("a"))]), at(0))
        .expect("no risk");
    assert!(lineage.pending().forget.is_empty(), "the stream still lists it");
    lineage
        .list("arn:1", &listed(&[("b", Some("a")), ("c", Some("a"))]), at(1))
        .expect("its child is known by it");
    let without = listed(&[("b", Some("a")), ("c", Some("a"))]);
    lineage.list("arn:1", &without, at(1 + HOUR)).expect("known");
    assert!(lineage.pending().forget.is_empty(), "a child is not in the log yet");
    let pending = lineage.pending();
    lineage.committed(pending);
    let pending = lineage.pending();
    assert_eq!(pending.forget, BTreeSet::from(["a".to_owned()]));
    lineage.committed(pending);
    assert!(!lineage.has_pending());
    assert_eq!(names(lineage.list("arn:1", &without, at(2 + HOUR)).expect("known")), []);
}

#[test]
fn a_listing_that_leaves_a_closed_shard_out_for_a_while_does_not_make_it_new() {
    let log = committed(0, &[("a", position(Some(5), true)), ("b", position(Some(9), false))]);
    let mut lineage = Lineage::resume("arn:1", log, at(0)).expect("no risk");
    let whole = listed(&[("a", Some("trimmed long ago")), ("b", Some("a"))]);
    lineage.list("arn:1", &whole, at(0)).expect("no risk");
    lineage
        .list("arn:1", &listed(&[("b", Some("a"))]), at(10))
        .expect("no risk");
    let pending = lineage.pending();
    assert!(pending.forget.is_empty(), "one listing proves nothing");
    lineage.committed(pending);
    let again = lineage.list("arn:1", &whole, at(20)).expect("it is no stranger");
    assert_eq!(names(again), [], "its records would be there twice");
    lineage
        .list("arn:1", &listed(&[("b", Some("a"))]), at(30))
        .expect("no risk");
    lineage
        .list("arn:1", &listed(&[("b", Some("a"))]), at(29 + HOUR))
        .expect("no risk");
    assert!(lineage.pending().forget.is_empty(), "the hour begins anew");
}

#[test]
fn a_shard_that_is_said_to_be_gone_is_read_on_if_it_is_listed() {
    let mut lineage =
        Lineage::resume("arn:1", committed(0, &[("a", position(Some(5), false))]), at(60)).expect("no risk");
    lineage
        .list("arn:1", &listed(&[("a", None), ("b", Some("a"))]), at(60))
        .expect("no risk");
    lineage.advance("a", &sequence(6), at(61));
    lineage.gone("a");
    assert!(lineage.awaits_listing());
    assert!(
        !lineage.pending().shards["a"].closed,
        "nothing is decided before a listing"
    );
    let starts = lineage.list("arn:1", &listed(&[("a", None), ("b", Some("a"))]), at(62));
    assert_eq!(names(starts.expect("no risk")), [("a".to_owned(), Some(6))]);

    lineage.gone("a");
    let other = lineage.list("arn:2", &listed(&[]), at(63)).expect_err("risk");
    assert_eq!(
        other.reason(),
        Reason::StreamReplaced,
        "the whole stream is gone, and no shard has come to its end"
    );
    let starts = lineage
        .list("arn:1", &listed(&[("b", Some("a"))]), at(64))
        .expect("dropped, and young");
    assert_eq!(names(starts), [("b".to_owned(), None)]);
    assert!(lineage.pending().shards["a"].closed);
}

#[test]
fn a_shard_that_is_gone_with_an_old_position_is_a_risk() {
    let log = committed(0, &[("a", position(Some(5), false))]);
    let mut lineage = Lineage::resume("arn:1", log, at(23 * HOUR)).expect("no risk yet");
    lineage.list("arn:1", &listed(&[]), at(23 * HOUR)).expect("no risk yet");
    lineage.gone("a");
    let risk = lineage
        .list("arn:1", &listed(&[]), at(23 * HOUR + 1))
        .expect_err("risk");
    assert_eq!(risk.reason(), Reason::StreamTrimmed);
}

#[test]
fn a_day_without_a_reader_is_a_risk_from_the_first_commit_on() {
    let mut lineage = fresh();
    lineage
        .list("arn:1", &listed(&[("a", None), ("b", Some("a"))]), at(0))
        .expect("no risk");
    let pending = lineage.pending();
    assert_eq!(
        pending.stream.as_of, None,
        "nobody knows yet how far the shard has been read"
    );
    let log = Committed {
        stream: Some(pending.stream.clone()),
        shards: pending.shards.clone(),
        read_until: pending.read_until.clone(),
    };
    lineage.committed(pending);
    assert!(Lineage::resume("arn:1", log.clone(), at(22 * HOUR)).is_ok());
    let risk = Lineage::resume("arn:1", log, at(24 * HOUR)).expect_err("risk");
    assert_eq!(risk.reason(), Reason::StreamRetentionPassed);
    // The same in a process that lives on, but is kept from reading.
    assert_eq!(lineage.from_oldest("a", at(22 * HOUR)), Ok(()));
    let risk = lineage.from_oldest("a", at(24 * HOUR)).expect_err("risk");
    assert_eq!(risk.reason(), Reason::StreamRetentionPassed);
    let risk = lineage.close("a", at(24 * HOUR)).expect_err("risk");
    assert_eq!(risk.reason(), Reason::StreamRetentionPassed);
}

#[test]
fn what_was_written_long_before_the_first_reader_is_taken_as_far_as_it_is_there() {
    let mut lineage = fresh();
    let shards = listed(&[("a", None), ("b", Some("a"))]);
    lineage.list("arn:1", &shards, at(0)).expect("no risk");
    lineage.advance("a", &sequence(1), at(-24 * HOUR));
    let pending = lineage.pending();
    let log = Committed {
        stream: Some(pending.stream.clone()),
        shards: pending.shards.clone(),
        read_until: pending.read_until.clone(),
    };
    lineage.committed(pending);
    assert_eq!(
        lineage.from_oldest("a", at(60)),
        Ok(()),
        "trimmed while it was being read"
    );
    assert_eq!(
        names(lineage.close("a", at(60)).expect("no risk")),
        [("b".to_owned(), None)]
    );
    let mut again = Lineage::resume("arn:1", log, at(120)).expect("nor after a restart");
    assert_eq!(
        names(again.list("arn:1", &shards, at(120)).expect("no risk")),
        [("a".to_owned(), Some(1))]
    );
}

#[test]
fn how_far_everything_is_read_is_said_by_the_slowest_shard() {
    let log = committed(0, &[("a", position(Some(1), false)), ("b", position(Some(1), false))]);
    let mut lineage = Lineage::resume("arn:1", log, at(60)).expect("no risk");
    lineage
        .list("arn:1", &listed(&[("a", None), ("b", None)]), at(60))
        .expect("no risk");
    lineage.advance("a", &sequence(2), at(1000));
    assert_eq!(lineage.as_of(), Some(at(0)), "b may be far behind");
    lineage.empty("b", at(2000));
    assert_eq!(lineage.as_of(), Some(at(0)), "one empty answer proves nothing");
    lineage.empty("b", at(2300));
    assert_eq!(
        lineage.as_of(),
        Some(at(1000)),
        "b has been at its tip for five minutes, a has read up to here"
    );
    lineage.advance("b", &sequence(3), at(2400));
    lineage.empty("b", at(2500));
    assert_eq!(lineage.pending().stream.as_of, Some(at(1000)));
}

#[test]
fn a_closed_shard_without_children_is_asked_for_again_soon() {
    let mut lineage = fresh();
    lineage.list("arn:1", &listed(&[("a", None)]), at(0)).expect("no risk");
    assert!(!lineage.awaits_listing());
    lineage.close("a", at(1)).expect("no risk");
    assert!(lineage.awaits_listing());
    lineage
        .list("arn:1", &listed(&[("a", None), ("b", Some("a"))]), at(2))
        .expect("no risk");
    assert!(!lineage.awaits_listing());
}

#[test]
fn the_hold_is_committed_before_anything_else_where_the_log_names_another() {
    let mut lineage = fresh();
    lineage.hold(RunsOn::Cluster);
    assert!(!lineage.takes_over(), "a pod's first rows name it");
    lineage.hold(RunsOn::Lambda);
    assert!(lineage.takes_over(), "a function waits until it is named");
    let pending = lineage.pending();
    assert_eq!(pending.stream.holder, RunsOn::Lambda);
    lineage.committed(pending);
    assert!(!lineage.takes_over());
    lineage.hold(RunsOn::Cluster);
    assert!(lineage.takes_over());
}

#[test]
fn of_a_shards_ancestors_the_oldest_that_is_open_comes_first() {
    let log = committed(0, &[("a", position(Some(1), false))]);
    let mut lineage = Lineage::resume("arn:1", log, at(60)).expect("no risk");
    let shards = listed(&[("a", None), ("b", Some("a")), ("c", Some("b"))]);
    lineage.list("arn:1", &shards, at(60)).expect("no risk");
    assert_eq!(lineage.open_ancestor("c").as_deref(), Some("a"));
    lineage.close("a", at(61)).expect("no risk");
    assert_eq!(lineage.open_ancestor("c").as_deref(), Some("b"));
    lineage.close("b", at(62)).expect("no risk");
    assert_eq!(lineage.open_ancestor("c"), None);
    assert!(lineage.is_being_read("c"));
    assert_eq!(lineage.open_ancestor("unknown"), None);
}

#[test]
fn a_process_that_reads_single_shards_says_of_the_others_what_the_log_says() {
    let mut log = committed(0, &[("a", position(Some(1), false)), ("b", position(Some(1), false))]);
    log.read_until.insert("b".to_owned(), at(HOUR));
    let mut lineage = Lineage::resume("arn:1", log, at(2 * HOUR)).expect("no risk");
    assert_eq!(lineage.as_of(), Some(at(0)), "of a nothing later is known");
    assert_eq!(lineage.quiet(at(2 * HOUR)), ["a", "b"]);
    lineage.advance("a", &sequence(2), at(2 * HOUR));
    assert_eq!(lineage.as_of(), Some(at(HOUR)));
    let pending = lineage.pending();
    assert_eq!(
        (pending.read_until.get("a"), pending.read_until.get("b")),
        (Some(&at(2 * HOUR)), None),
        "only of what the commit moves"
    );
    lineage.at_tip("b", at(2 * HOUR));
    assert_eq!(
        lineage.as_of(),
        Some(at(2 * HOUR - 300)),
        "b may have had something since"
    );
    assert!(lineage.quiet(at(2 * HOUR)).is_empty());
    let pending = lineage.pending();
    assert_eq!(pending.read_until.get("b"), Some(&at(2 * HOUR - 300)));
    lineage.committed(pending);
    assert!(!lineage.has_pending(), "it is news once");
}

#[test]
fn a_process_that_lists_once_forgets_what_is_surely_gone() {
    let mut log = committed(0, &[("a", position(Some(5), true)), ("b", position(Some(9), false))]);
    let listing = listed(&[("b", Some("a"))]);
    if let Some(stream) = &mut log.stream {
        stream.as_of = None;
    }
    log.read_until.insert("a".to_owned(), at(0));
    log.read_until.insert("b".to_owned(), at(24 * HOUR));
    let forgotten = |now: i64| {
        let mut lineage = Lineage::resume("arn:1", log.clone(), at(now)).expect("no risk");
        lineage.list("arn:1", &listing, at(now)).expect("no risk");
        lineage.pending().forget
    };
    assert!(
        forgotten(24 * HOUR).is_empty(),
        "a listing may be wrong about what is not that old"
    );
    assert_eq!(forgotten(25 * HOUR), BTreeSet::from(["a".to_owned()]));
}
