//! Where to begin in a partition. No network.

/// How a consumer that has halted goes on.
pub(crate) const GO_ON: &str = "when that is done, delete this pod, and its successor goes on";

/// Where a partition's reading begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Start {
    /// At this offset.
    At(i64),
    /// Nowhere: records may be lost, and somebody must decide.
    LossRisk(String),
}

/// Decides from the group's committed offset and the log's first and next offset. There is no "latest" and no silent
/// beginning in the middle.
pub(crate) fn start(partition: i32, committed: Option<i64>, first: i64, next: i64) -> Start {
    match committed {
        Some(offset) if offset < first => Start::LossRisk(format!(
            "partition {partition}: offset {offset} is next, but the log begins at {first}: {} records were deleted before they were read; restore them, or accept the loss by setting the group's offset to {first}",
            first - offset
        )),
        Some(offset) if offset > next => Start::LossRisk(format!(
            "partition {partition}: offset {offset} is next, but the log ends at {next}: the topic was made anew or has lost records; set the group's offset to where it should go on"
        )),
        Some(offset) => Start::At(offset),
        None if first == 0 => Start::At(0),
        None => Start::LossRisk(format!(
            "partition {partition}: the group has no committed offset and the log begins at {first}, not at 0: what stood before may never have been read; set the group's offset to where it should go on"
        )),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::goes_on(Some(5), 0, 9, Some(5))]
    #[case::nothing_new(Some(9), 0, 9, Some(9))]
    #[case::at_the_very_edge(Some(3), 3, 9, Some(3))]
    #[case::new_group_whole_log(None, 0, 9, Some(0))]
    #[case::new_group_empty_log(None, 0, 0, Some(0))]
    #[case::deleted_before_read(Some(2), 3, 9, None)]
    #[case::topic_made_anew(Some(10), 0, 9, None)]
    #[case::offsets_expired(None, 1, 9, None)]
    #[case::offsets_expired_and_all_deleted(None, 9, 9, None)]
    fn it_begins_where_nothing_is_skipped_or_not_at_all(
        #[case] committed: Option<i64>,
        #[case] first: i64,
        #[case] next: i64,
        #[case] at: Option<i64>,
    ) {
        match start(0, committed, first, next) {
            Start::At(offset) => assert_eq!(Some(offset), at),
            Start::LossRisk(message) => {
                assert_eq!(at, None, "{message}");
                assert!(message.contains("partition 0") && message.contains("set"), "{message}");
            }
        }
    }
}
