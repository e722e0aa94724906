//! Positions as the Bronze table's log keeps them: one domain per shard, one for the stream. No network.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use medallion_crds::pipeline::RunsOn;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sequence::Sequence;

/// Domain of the stream's own position.
pub const STREAM_DOMAIN: &str = "medallion.stream";
/// Beginning of a shard's domain.
pub const SHARD_PREFIX: &str = "medallion.shard.";

/// Where a shard stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Position {
    /// The last record that is committed; none yet if absent.
    pub sequence: Option<Sequence>,
    /// The shard is closed, and all of it is committed.
    pub closed: bool,
}

/// Which stream the positions belong to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamPosition {
    /// The stream. A stream that was switched off and on again is another one.
    pub arn: String,
    /// Every record written before this time is committed. Against it the stream's retention is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// From this time on nothing may be missing: when the stream was read for the first time, or somewhat earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Who alone may commit. Every commit carries it, so nobody commits over a change of it. What was committed before
    /// there were functions is the cluster's.
    #[serde(default)]
    pub holder: RunsOn,
}

/// What the log says about progress.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Committed {
    /// The stream; absent in a table that has never had a position.
    pub stream: Option<StreamPosition>,
    /// The shards.
    pub shards: BTreeMap<String, Position>,
    /// Up to when single shards are committed, where that is known to be later than what the stream's position says.
    pub read_until: BTreeMap<String, Timestamp>,
}

/// What the next commit says about positions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pending {
    /// Shards whose position differs from the log's.
    pub shards: BTreeMap<String, Position>,
    /// Of those shards: everything that was written to them before this time is committed then.
    pub read_until: BTreeMap<String, Timestamp>,
    /// Shards whose position is needed no more.
    pub forget: BTreeSet<String>,
    /// The stream.
    pub stream: StreamPosition,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShardPosition {
    stream_arn: String,
    sequence: Option<String>,
    closed: bool,
    #[serde(default)]
    as_of: Option<Timestamp>,
}

impl Committed {
    /// Reads the positions of a table's log; an error names the domain that cannot be read.
    pub fn from_positions(positions: &BTreeMap<String, Value>) -> Result<Self, String> {
        let mut committed = Self::default();
        for (domain, value) in positions {
            let unreadable = |error: serde_json::Error| format!("{domain}: {error}");
            if domain == STREAM_DOMAIN {
                committed.stream = Some(StreamPosition::deserialize(value).map_err(unreadable)?);
            } else if let Some(shard) = domain.strip_prefix(SHARD_PREFIX) {
                let found = ShardPosition::deserialize(value).map_err(unreadable)?;
                let position = Position {
                    sequence: found.sequence.map(Sequence::new),
                    closed: found.closed,
                };
                committed.shards.insert(shard.to_owned(), position);
                if let Some(as_of) = found.as_of {
                    committed.read_until.insert(shard.to_owned(), as_of);
                }
            }
        }
        if committed.stream.is_none() && !committed.shards.is_empty() {
            return Err(format!("{STREAM_DOMAIN} is missing, though shards have positions"));
        }
        Ok(committed)
    }
}

impl Pending {
    /// The positions as the log keeps them, signed by who writes them.
    ///
    /// Two processes that have read the same records have the same positions. Without the signature one would take the
    /// other's commit for its own, and go on upon positions of other shards that it has not read up to.
    pub fn to_positions(&self, writer: &str) -> BTreeMap<String, Value> {
        let arn = &self.stream.arn;
        let shards = self.shards.iter().map(|(shard, position)| {
            let sequence = position.sequence.as_ref().map(Sequence::as_str);
            let mut value = json!({"streamArn": arn, "sequence": sequence, "closed": position.closed});
            if let Some(as_of) = self.read_until.get(shard) {
                value["asOf"] = json!(as_of);
            }
            (format!("{SHARD_PREFIX}{shard}"), value)
        });
        let mut stream = json!({"arn": arn, "writer": writer, "holder": self.stream.holder});
        if let Some(as_of) = self.stream.as_of {
            stream["asOf"] = json!(as_of);
        }
        if let Some(since) = self.stream.since {
            stream["since"] = json!(since);
        }
        shards.chain([(STREAM_DOMAIN.to_owned(), stream)]).collect()
    }

    /// The domains that are dropped.
    pub fn to_forgotten(&self) -> impl Iterator<Item = String> {
        self.forget.iter().map(|shard| format!("{SHARD_PREFIX}{shard}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_back_as_they_were_written() {
        let pending = Pending {
            shards: BTreeMap::from([
                (
                    "shardId-1".to_owned(),
                    Position {
                        sequence: Some(Sequence::new("100000000000000000000001")),
                        closed: false,
                    },
                ),
                (
                    "shardId-2".to_owned(),
                    Position {
                        sequence: None,
                        closed: true,
                    },
                ),
            ]),
            read_until: BTreeMap::from([("shardId-2".to_owned(), "2026-03-01T10:05:00Z".parse().expect("time"))]),
            forget: BTreeSet::from(["shardId-0".to_owned()]),
            stream: StreamPosition {
                holder: RunsOn::Lambda,
                arn: "arn:1".to_owned(),
                as_of: Some("2026-03-01T10:00:00Z".parse().expect("time")),
                since: Some("2026-03-01T08:00:00Z".parse().expect("time")),
            },
        };
        let written = pending.to_positions("one");
        assert_eq!(
            written["medallion.shard.shardId-1"],
            json!({"streamArn": "arn:1", "sequence": "100000000000000000000001", "closed": false})
        );
        let read = Committed::from_positions(&written).expect("readable");
        assert_eq!(
            (read.stream, read.shards, read.read_until),
            (
                Some(pending.stream.clone()),
                pending.shards.clone(),
                pending.read_until.clone()
            )
        );
        assert_eq!(
            pending.to_forgotten().collect::<Vec<_>>(),
            ["medallion.shard.shardId-0"]
        );
    }

    #[test]
    fn a_log_from_before_there_were_functions_is_held_by_the_cluster() {
        let old = BTreeMap::from([(STREAM_DOMAIN.to_owned(), json!({"arn": "arn:1", "writer": "one"}))]);
        let read = Committed::from_positions(&old).expect("readable");
        assert_eq!(read.stream.map(|stream| stream.holder), Some(RunsOn::Cluster));
    }

    #[test]
    fn a_table_without_positions_is_fresh_and_a_damaged_one_is_not() {
        let other = BTreeMap::from([("another.domain".to_owned(), json!(1))]);
        assert_eq!(Committed::from_positions(&other), Ok(Committed::default()));
        let damaged = BTreeMap::from([("medallion.shard.a".to_owned(), json!("?"))]);
        assert!(
            Committed::from_positions(&damaged)
                .expect_err("unreadable")
                .contains("medallion.shard.a")
        );
        let headless = BTreeMap::from([(
            "medallion.shard.a".to_owned(),
            json!({"streamArn": "x", "sequence": null, "closed": false}),
        )]);
        assert!(
            Committed::from_positions(&headless)
                .expect_err("headless")
                .contains(STREAM_DOMAIN)
        );
    }
}
