//! Which shards may be read, where each stands, and when data may have been lost. Pure: time is an argument, no network.
//!
//! - A shard is read when its parent has been read to its end; both may stand in one commit.
//! - A closed shard's position stays in the log as long as the stream lists the shard, and longer if a child is not in
//!   the log yet: it is what tells a child from a stranger.
//! - A shard is in the log from the first commit after it was seen, with or without rows.
//! - Loss risk is never guessed away: the position's age against the stream's retention decides.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::position::{Committed, Position, StreamPosition};
use crate::sequence::Sequence;

/// How long the stream keeps a record.
pub const RETENTION: SignedDuration = SignedDuration::from_hours(24);
/// What is younger than this cannot have been trimmed, even with clocks that differ.
const SURELY_KEPT: SignedDuration = SignedDuration::from_hours(23);
/// A shard that has had nothing for so long has been read to its tip: single empty answers prove nothing.
const EMPTY_UNTIL_TIP: SignedDuration = SignedDuration::from_mins(5);

/// A shard as the stream lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// The shard.
    pub id: String,
    /// The shard it came from.
    pub parent: Option<String>,
}

/// A shard to read now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Start {
    /// The shard.
    pub shard: String,
    /// Go on behind this record; from the oldest if absent.
    pub after: Option<Sequence>,
}

/// What the next commit says about positions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pending {
    /// Shards whose position differs from the log's.
    pub shards: BTreeMap<String, Position>,
    /// Shards whose position is needed no more.
    pub forget: BTreeSet<String>,
    /// The stream.
    pub stream: StreamPosition,
}

/// Data may have been lost.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LossRisk {
    /// The table has another stream now.
    #[error(
        "the table's stream is {found}, but Bronze was read from {expected}: what was written in between may be missing; \
         fill the gap from the table, or start a new Bronze table"
    )]
    NewStream {
        /// The stream of the positions.
        expected: String,
        /// The stream of the table.
        found: String,
    },
    /// Nobody has read for longer than the stream keeps records.
    #[error(
        "Bronze was last read up to {as_of}, longer ago than the stream keeps records: what was written soon after may \
         be gone; fill the gap from the table, or start a new Bronze table"
    )]
    RetentionPassed {
        /// Everything before this time is committed.
        as_of: Timestamp,
    },
    /// A shard's parent is neither in the log nor in the stream.
    #[error(
        "shard {shard} comes from {parent}, which neither the log nor the stream knows: {parent} may have been trimmed \
         unread; fill the gap from the table, or start a new Bronze table"
    )]
    UnknownParent {
        /// The shard.
        shard: String,
        /// Its parent.
        parent: String,
    },
    /// Records behind a shard's position have been trimmed, or the whole shard has.
    #[error(
        "the stream has trimmed shard {shard} behind {position}: records may be gone unread; fill the gap from the \
         table, or start a new Bronze table"
    )]
    Trimmed {
        /// The shard.
        shard: String,
        /// The last record that was read.
        position: String,
    },
}

impl LossRisk {
    /// CamelCase word for why.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NewStream { .. } => "StreamReplaced",
            Self::RetentionPassed { .. } => "StreamRetentionPassed",
            Self::UnknownParent { .. } => "ParentShardUnknown",
            Self::Trimmed { .. } => "StreamTrimmed",
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Shard {
    parent: Option<String>,
    position: Position,
    started: bool,
    /// Everything that was written to the shard before this time has been read.
    read_until: Option<Timestamp>,
    empty_since: Option<Timestamp>,
}

/// All shards of one stream, as far as they matter.
#[derive(Clone, Debug)]
pub struct Lineage {
    arn: String,
    /// The log had no positions when this process began: there is nothing yet that could have been lost.
    fresh: bool,
    shards: BTreeMap<String, Shard>,
    committed: Committed,
    /// Shards of the newest listing.
    listed: BTreeSet<String>,
    /// Shards with an unknown parent, seen once: a listing may be behind.
    suspects: BTreeSet<String>,
}

impl Lineage {
    /// Goes on where the log stands.
    pub fn resume(arn: &str, committed: Committed, now: Timestamp) -> Result<Self, LossRisk> {
        let as_of = committed.stream.as_ref().and_then(|stream| stream.as_of);
        if let Some(stream) = &committed.stream
            && stream.arn != arn
        {
            return Err(LossRisk::NewStream {
                expected: stream.arn.clone(),
                found: arn.to_owned(),
            });
        }
        if let Some(as_of) = as_of
            && now.duration_since(as_of) > RETENTION
        {
            return Err(LossRisk::RetentionPassed { as_of });
        }
        let shards = committed.shards.iter().map(|(id, position)| {
            (
                id.clone(),
                Shard {
                    position: position.clone(),
                    read_until: as_of,
                    ..Shard::default()
                },
            )
        });
        Ok(Self {
            arn: arn.to_owned(),
            fresh: committed.stream.is_none(),
            shards: shards.collect(),
            committed,
            listed: BTreeSet::new(),
            suspects: BTreeSet::new(),
        })
    }

    /// The stream.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Takes a listing in, and gives the shards that may be read from now on.
    pub fn list(&mut self, arn: &str, listing: &[Listed], now: Timestamp) -> Result<Vec<Start>, LossRisk> {
        if arn != self.arn {
            return Err(LossRisk::NewStream {
                expected: self.arn.clone(),
                found: arn.to_owned(),
            });
        }
        let first = self.listed.is_empty();
        self.listed = listing.iter().map(|shard| shard.id.clone()).collect();
        for shard in listing {
            if let Some(known) = self.shards.get_mut(&shard.id) {
                known.parent.clone_from(&shard.parent);
                continue;
            }
            let stranger = shard
                .parent
                .as_ref()
                .filter(|parent| !self.shards.contains_key(*parent) && !self.listed.contains(*parent));
            if let Some(parent) = stranger
                && !(self.fresh && first)
            {
                if !self.suspects.insert(shard.id.clone()) {
                    return Err(LossRisk::UnknownParent {
                        shard: shard.id.clone(),
                        parent: parent.clone(),
                    });
                }
                continue;
            }
            self.suspects.remove(&shard.id);
            self.shards.insert(
                shard.id.clone(),
                Shard {
                    parent: shard.parent.clone(),
                    ..Shard::default()
                },
            );
        }
        self.startable(now)
    }

    fn startable(&mut self, now: Timestamp) -> Result<Vec<Start>, LossRisk> {
        let mut starts = Vec::new();
        for (id, shard) in &self.shards {
            if shard.started || shard.position.closed {
                continue;
            }
            let parent = shard.parent.as_ref().and_then(|parent| self.shards.get(parent));
            // A shard with a position was begun in its turn before.
            if shard.position.sequence.is_none() && parent.is_some_and(|parent| !parent.position.closed) {
                continue;
            }
            let read_until = shard.read_until.max(parent.and_then(|parent| parent.read_until));
            if !self.fresh
                && let Some(as_of) = read_until
                && now.duration_since(as_of) > RETENTION
            {
                return Err(LossRisk::RetentionPassed { as_of });
            }
            starts.push((
                Start {
                    shard: id.clone(),
                    after: shard.position.sequence.clone(),
                },
                read_until,
            ));
        }
        for (start, read_until) in &starts {
            if let Some(shard) = self.shards.get_mut(&start.shard) {
                shard.started = true;
                shard.read_until = *read_until;
            }
        }
        Ok(starts.into_iter().map(|(start, _)| start).collect())
    }

    /// Takes a record in. `false`: it has been taken before and must be dropped.
    pub fn advance(&mut self, shard: &str, sequence: &Sequence, changed_at: Timestamp) -> bool {
        let Some(shard) = self.shards.get_mut(shard) else {
            return false;
        };
        if shard
            .position
            .sequence
            .as_ref()
            .is_some_and(|position| position >= sequence)
        {
            return false;
        }
        shard.position.sequence = Some(sequence.clone());
        shard.read_until = shard.read_until.max(Some(changed_at));
        shard.empty_since = None;
        true
    }

    /// A shard that was asked at this time had nothing.
    pub fn empty(&mut self, shard: &str, asked_at: Timestamp) {
        if let Some(shard) = self.shards.get_mut(shard) {
            let since = *shard.empty_since.get_or_insert(asked_at);
            if asked_at.duration_since(since) >= EMPTY_UNTIL_TIP {
                shard.read_until = shard.read_until.max(Some(asked_at - EMPTY_UNTIL_TIP));
            }
        }
    }

    /// A shard was read to its end: its children may be read.
    pub fn close(&mut self, shard: &str, now: Timestamp) -> Result<Vec<Start>, LossRisk> {
        if let Some(shard) = self.shards.get_mut(shard) {
            shard.position.closed = true;
        }
        self.startable(now)
    }

    /// The stream begins behind what was read of a shard: fine only if what lies between must still be there.
    pub fn gap(&self, shard: &str, now: Timestamp) -> Result<(), LossRisk> {
        let found = self.shards.get(shard);
        if self.fresh && found.is_some_and(|shard| shard.position.sequence.is_none()) {
            return Ok(());
        }
        let read_until = found.and_then(|shard| shard.read_until);
        if read_until.is_some_and(|time| now.duration_since(time) < SURELY_KEPT) {
            return Ok(());
        }
        let position = found.and_then(|shard| shard.position.sequence.as_ref());
        let position = position.map_or_else(|| "its beginning".to_owned(), ToString::to_string);
        Err(LossRisk::Trimmed {
            shard: shard.to_owned(),
            position,
        })
    }

    /// Whether a closed shard still lacks a child: it will be listed soon.
    pub fn awaits_children(&self) -> bool {
        let parents: BTreeSet<&String> = self.shards.values().filter_map(|shard| shard.parent.as_ref()).collect();
        self.shards
            .iter()
            .any(|(id, shard)| shard.position.closed && self.listed.contains(id) && !parents.contains(id))
    }

    /// Everything written before this time has been taken in.
    pub fn as_of(&self) -> Option<Timestamp> {
        let before = self.committed.stream.as_ref().and_then(|stream| stream.as_of);
        let mut active = self
            .shards
            .values()
            .filter(|shard| shard.started && !shard.position.closed)
            .peekable();
        if active.peek().is_none() {
            return before;
        }
        let now = active.map(|shard| shard.read_until).min().flatten();
        before.max(now)
    }

    /// What the log says about the stream's age now.
    pub fn committed_as_of(&self) -> Option<Timestamp> {
        self.committed.stream.as_ref().and_then(|stream| stream.as_of)
    }

    /// Positions that the log does not have yet.
    pub fn pending(&self) -> Pending {
        let shards = self
            .shards
            .iter()
            .filter(|(id, shard)| self.committed.shards.get(*id) != Some(&shard.position));
        Pending {
            shards: shards.map(|(id, shard)| (id.clone(), shard.position.clone())).collect(),
            forget: self.forgettable(),
            stream: StreamPosition {
                arn: self.arn.clone(),
                as_of: self.as_of(),
            },
        }
    }

    /// Whether a position differs from the log's.
    pub fn has_pending(&self) -> bool {
        self.shards
            .iter()
            .any(|(id, shard)| self.committed.shards.get(id) != Some(&shard.position))
            || !self.forgettable().is_empty()
    }

    fn forgettable(&self) -> BTreeSet<String> {
        if self.listed.is_empty() {
            return BTreeSet::new();
        }
        let awaited: BTreeSet<&String> = self
            .shards
            .iter()
            .filter(|(id, _)| !self.committed.shards.contains_key(*id))
            .filter_map(|(_, shard)| shard.parent.as_ref())
            .collect();
        let closed = self
            .committed
            .shards
            .iter()
            .filter(|(_, position)| position.closed)
            .map(|(id, _)| id);
        closed
            .filter(|id| !self.listed.contains(*id) && !awaited.contains(id))
            .cloned()
            .collect()
    }

    /// The log has these positions now.
    pub fn committed(&mut self, pending: Pending) {
        for shard in &pending.forget {
            self.shards.remove(shard);
            self.committed.shards.remove(shard);
        }
        self.committed.shards.extend(pending.shards);
        self.committed.stream = Some(pending.stream);
    }
}

#[cfg(test)]
#[path = "lineage_tests.rs"]
mod tests;
