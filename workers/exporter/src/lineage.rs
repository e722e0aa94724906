//! Which shards may be read, where each stands, and when data may have been lost. Pure: time is an argument, no network.
//!
//! - A shard is read when its parent has been read to its end; both may stand in one commit.
//! - A closed shard's position stays in the log as long as the stream lists the shard, and longer if a child is not in
//!   the log yet: it is what tells a child from a stranger.
//! - A shard is in the log from the first commit after it was seen, with or without rows.
//! - Only a listing says that the stream has dropped a shard: a single answer may be wrong.
//! - Loss risk is never guessed away: the position's age against the stream's retention decides.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use medallion_crds::Reason;
use medallion_crds::pipeline::{Retention, RunsOn};

use crate::position::{Committed, Pending, Position, StreamPosition};
use crate::sequence::Sequence;

/// How long the stream keeps a record.
pub const RETENTION: SignedDuration = SignedDuration::from_hours(24);
/// What is younger than this cannot have been trimmed, even with clocks that differ.
const SURELY_KEPT: SignedDuration = SignedDuration::from_hours(23);
/// A shard that has had nothing for so long has been read to its tip: single empty answers prove nothing.
const EMPTY_UNTIL_TIP: SignedDuration = SignedDuration::from_mins(5);
/// A table's first items may be so much older than its first reader: all of a pipeline starts at about the same time.
const STARTED_TOGETHER: SignedDuration = SignedDuration::from_hours(1);
/// Listings may be behind. A parent that is unknown for so long does not exist.
const STRANGE_FOR: SignedDuration = SignedDuration::from_mins(1);
/// A shard that no listing has named for so long is dropped. Forgotten too early it would be read twice.
const DROPPED_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// What was read to its end so long ago and is not listed has no records any more, whatever later listings say.
const SURELY_DROPPED: SignedDuration = SignedDuration::from_hours(25);
/// A shard of which nobody has said anything for so long is to be looked at.
const QUIET_FOR: SignedDuration = SignedDuration::from_hours(1);

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

/// Data may have been lost.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LossRisk {
    /// The table has another stream now.
    #[error(
        "the table's stream is {found}, but Bronze was read from {expected}: what was written in between may be missing"
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
         be gone"
    )]
    RetentionPassed {
        /// Everything before this time is committed.
        as_of: Timestamp,
    },
    /// A shard's parent is neither in the log nor in the stream.
    #[error(
        "shard {shard} comes from {parent}, which neither the log nor the stream knows: {parent} may have been trimmed \
         unread"
    )]
    UnknownParent {
        /// The shard.
        shard: String,
        /// Its parent.
        parent: String,
    },
    /// Records behind a shard's position have been trimmed, or the whole shard has.
    #[error("the stream has trimmed shard {shard} behind {position}: records may be gone unread")]
    Trimmed {
        /// The shard.
        shard: String,
        /// The last record that was read.
        position: String,
    },
}

impl LossRisk {
    /// The word for it.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NewStream { .. } => Reason::StreamReplaced,
            Self::RetentionPassed { .. } => Reason::StreamRetentionPassed,
            Self::UnknownParent { .. } => Reason::ParentShardUnknown,
            Self::Trimmed { .. } => Reason::StreamTrimmed,
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
    /// How far it has been read is news for the log, though its position is none.
    looked_at: bool,
    /// The stream has said that it does not have the shard; the next listing says whether that is so.
    gone: bool,
    /// No listing has named it since then.
    unlisted_since: Option<Timestamp>,
}

/// All shards of one stream, as far as they matter.
#[derive(Clone, Debug)]
pub struct Lineage {
    arn: String,
    /// The log had no positions when this process began.
    fresh: bool,
    /// What was written before this time is taken as far as the stream has it: nobody has promised to read it.
    since: Option<Timestamp>,
    /// Who is to hold the stream.
    holder: RunsOn,
    shards: BTreeMap<String, Shard>,
    committed: Committed,
    /// Shards of the newest listing, and when that was.
    listed: BTreeSet<String>,
    listed_at: Option<Timestamp>,
    /// Shards with an unknown parent, and when they were first seen.
    suspects: BTreeMap<String, Timestamp>,
}

impl Lineage {
    /// Goes on where the log stands.
    pub fn resume(arn: &str, committed: Committed, now: Timestamp) -> Result<Self, LossRisk> {
        let as_of = committed.stream.as_ref().and_then(|stream| stream.as_of);
        let since = match &committed.stream {
            Some(stream) => stream.since,
            None => Some(now - STARTED_TOGETHER),
        };
        if let Some(stream) = &committed.stream
            && stream.arn != arn
        {
            return Err(LossRisk::NewStream {
                expected: stream.arn.clone(),
                found: arn.to_owned(),
            });
        }
        within_retention(as_of.max(since), now)?;
        let shards = committed.shards.iter().map(|(id, position)| {
            (
                id.clone(),
                Shard {
                    position: position.clone(),
                    read_until: as_of.max(committed.read_until.get(id).copied()),
                    ..Shard::default()
                },
            )
        });
        Ok(Self {
            arn: arn.to_owned(),
            fresh: committed.stream.is_none(),
            since,
            holder: committed
                .stream
                .as_ref()
                .map(|stream| stream.holder)
                .unwrap_or_default(),
            shards: shards.collect(),
            committed,
            listed: BTreeSet::new(),
            listed_at: None,
            suspects: BTreeMap::new(),
        })
    }

    /// The stream.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Shards with an unknown parent, and when they were first seen.
    pub fn suspects(&self) -> &BTreeMap<String, Timestamp> {
        &self.suspects
    }

    /// Goes on suspecting what a lineage of before has: a function makes one anew for each batch, and would else begin to wait
    /// anew with each.
    pub fn suspect(&mut self, suspects: BTreeMap<String, Timestamp>) {
        self.suspects = suspects;
    }

    /// Says who holds the stream from the next commit on.
    pub fn hold(&mut self, holder: RunsOn) {
        self.holder = holder;
    }

    /// Whether the hold must be committed before anything else: the log names another holder, or none while a function
    /// waits to be named.
    pub fn takes_over(&self) -> bool {
        let named = self.committed.stream.as_ref().map(|stream| stream.holder);
        named.unwrap_or_default() != self.holder
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
        self.listed_at = Some(now);
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
                let seen = *self.suspects.entry(shard.id.clone()).or_insert(now);
                if now.duration_since(seen) >= STRANGE_FOR {
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
        self.suspects.retain(|shard, _| self.listed.contains(shard));
        self.settle_unlisted(now)?;
        self.startable(now)
    }

    /// Compares what is known with the newest listing. A shard that was said to be gone is read on if it is listed, and
    /// else its end has been reached.
    fn settle_unlisted(&mut self, now: Timestamp) -> Result<(), LossRisk> {
        let mut ended = Vec::new();
        for (id, shard) in &mut self.shards {
            let gone = std::mem::take(&mut shard.gone);
            if self.listed.contains(id) {
                shard.unlisted_since = None;
                shard.started &= !gone;
            } else {
                shard.unlisted_since.get_or_insert(now);
                if gone {
                    ended.push(id.clone());
                }
            }
        }
        for id in ended {
            self.trimmed(&id, now)?;
            if let Some(shard) = self.shards.get_mut(&id) {
                shard.position.closed = true;
            }
        }
        Ok(())
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
            within_retention(read_until.max(self.since), now)?;
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

    /// Where a shard stands, if it is known.
    pub fn position(&self, shard: &str) -> Option<&Position> {
        self.shards.get(shard).map(|shard| &shard.position)
    }

    /// The oldest of a shard's ancestors that has not been read to its end: before it nothing may be read.
    pub fn open_ancestor(&self, shard: &str) -> Option<String> {
        let mut oldest = None;
        let mut shard = shard;
        while let Some(parent) = self.open_parent(shard) {
            oldest = Some(parent);
            shard = parent;
        }
        oldest.map(str::to_owned)
    }

    fn open_parent(&self, shard: &str) -> Option<&str> {
        let parent = self.shards.get(shard)?.parent.as_deref()?;
        let is_open = self.shards.get(parent).is_some_and(|parent| !parent.position.closed);
        is_open.then_some(parent)
    }

    /// A shard that was asked at this time had nothing, however often it was asked.
    pub fn at_tip(&mut self, shard: &str, asked_at: Timestamp) {
        if let Some(shard) = self.shards.get_mut(shard) {
            shard.read_until = shard.read_until.max(Some(asked_at - EMPTY_UNTIL_TIP));
            shard.looked_at = true;
        }
    }

    /// Shards of which nobody has said for an hour how far they have been read: they may be quiet, or nobody reads them. Those
    /// first of which that is longest ago: were it by name, the last would never have their turn where there are many.
    pub fn quiet(&self, now: Timestamp) -> Vec<String> {
        let read_until = |shard: &Shard| shard.read_until.max(self.since);
        let is_quiet = |time: Timestamp| now.duration_since(time) >= QUIET_FOR;
        let mut quiet: Vec<_> = self
            .active()
            .map(|(id, shard)| (read_until(shard), id))
            .filter(|(time, _)| time.is_none_or(is_quiet))
            .collect();
        quiet.sort();
        quiet.into_iter().map(|(_, id)| id.clone()).collect()
    }

    /// Shards that may have something unread. One that waits for its parent has nothing older than that.
    fn active(&self) -> impl Iterator<Item = (&String, &Shard)> {
        self.shards.iter().filter(move |(id, shard)| {
            let waits = !shard.started && shard.position.sequence.is_none() && self.open_parent(id).is_some();
            !shard.position.closed && !waits
        })
    }

    /// Whether a shard has been begun and not been read to its end.
    pub fn is_being_read(&self, shard: &str) -> bool {
        let shard = self.shards.get(shard);
        shard.is_some_and(|shard| shard.started && !shard.position.closed)
    }

    /// The stream does not know a shard any more, or says so: the next listing decides.
    pub fn gone(&mut self, shard: &str) {
        if let Some(shard) = self.shards.get_mut(shard) {
            shard.gone = true;
        }
    }

    /// A shard is about to be read from its oldest record: at its beginning, after a break, or because the position has
    /// been trimmed. Whatever was trimmed before is skipped without a word, so it is judged now.
    pub fn from_oldest(&self, shard: &str, now: Timestamp) -> Result<(), LossRisk> {
        let Some(found) = self.shards.get(shard) else {
            return Ok(());
        };
        if found.position.sequence.is_some() {
            return self.trimmed(shard, now);
        }
        within_retention(found.read_until.max(self.since), now)
    }

    /// What was read last of a shard is not there any more: fine only if what came behind it must still be there.
    fn trimmed(&self, shard: &str, now: Timestamp) -> Result<(), LossRisk> {
        let found = self.shards.get(shard);
        let position = found.and_then(|shard| shard.position.sequence.as_ref());
        let read_until = found.and_then(|shard| shard.read_until).max(self.since);
        if read_until.is_some_and(|time| now.duration_since(time) < SURELY_KEPT) {
            return Ok(());
        }
        Err(LossRisk::Trimmed {
            shard: shard.to_owned(),
            position: position.map_or_else(|| "its beginning".to_owned(), ToString::to_string),
        })
    }

    /// Whether the next listing should come soon: a closed shard still lacks a child, a shard its parent, or a shard is
    /// said to be gone.
    pub fn awaits_listing(&self) -> bool {
        if !self.suspects.is_empty() || self.shards.values().any(|shard| shard.gone) {
            return true;
        }
        let parents: BTreeSet<&String> = self.shards.values().filter_map(|shard| shard.parent.as_ref()).collect();
        self.shards
            .iter()
            .any(|(id, shard)| shard.position.closed && self.listed.contains(id) && !parents.contains(id))
    }

    /// Everything written before this time has been taken in.
    pub fn as_of(&self) -> Option<Timestamp> {
        let before = self.committed.stream.as_ref().and_then(|stream| stream.as_of);
        let now = self.active().map(|(_, shard)| shard.read_until).min().flatten();
        before.max(now)
    }

    /// What the log says about the stream's age now.
    pub fn committed_as_of(&self) -> Option<Timestamp> {
        self.committed.stream.as_ref().and_then(|stream| stream.as_of)
    }

    /// Positions that the log does not have yet.
    pub fn pending(&self) -> Pending {
        Pending {
            shards: self
                .moved()
                .map(|(id, shard)| (id.clone(), shard.position.clone()))
                .collect(),
            read_until: self
                .moved()
                .filter_map(|(id, shard)| Some((id.clone(), shard.read_until?)))
                .collect(),
            forget: self.forgettable(),
            stream: StreamPosition {
                arn: self.arn.clone(),
                as_of: self.as_of(),
                since: self.since,
                holder: self.holder,
            },
        }
    }

    /// Whether a position differs from the log's.
    pub fn has_pending(&self) -> bool {
        self.moved().next().is_some() || !self.forgettable().is_empty()
    }

    fn moved(&self) -> impl Iterator<Item = (&String, &Shard)> {
        let is_moved = move |(id, shard): &(&String, &Shard)| {
            shard.looked_at || self.committed.shards.get(*id) != Some(&shard.position)
        };
        self.shards.iter().filter(is_moved)
    }

    fn forgettable(&self) -> BTreeSet<String> {
        let dropped = |id: &String| {
            let Some((shard, now)) = self.shards.get(id).zip(self.listed_at) else {
                return false;
            };
            let is_older = |time: Timestamp, than: SignedDuration| now.duration_since(time) >= than;
            shard.unlisted_since.is_some_and(|since| {
                is_older(since, DROPPED_AFTER) || shard.read_until.is_some_and(|read| is_older(read, SURELY_DROPPED))
            })
        };
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
            .filter(|id| dropped(id) && !awaited.contains(id))
            .cloned()
            .collect()
    }

    /// Somebody else has committed, and the log says this now.
    pub fn log_says(&mut self, committed: Committed) {
        self.committed = committed;
    }

    /// The log has these positions now.
    pub fn committed(&mut self, pending: Pending) {
        for shard in &pending.forget {
            self.shards.remove(shard);
            self.committed.shards.remove(shard);
            self.committed.read_until.remove(shard);
        }
        for shard in pending.shards.keys() {
            if let Some(shard) = self.shards.get_mut(shard) {
                shard.looked_at = false;
            }
        }
        self.committed.shards.extend(pending.shards);
        self.committed.read_until.extend(pending.read_until);
        self.committed.stream = Some(pending.stream);
    }
}

/// How much of the stream's memory is used up, if something that was written at this time is unread.
pub fn used(oldest: Timestamp, now: Timestamp) -> Retention {
    Retention {
        used_seconds: now.duration_since(oldest).as_secs().max(0),
        of_seconds: RETENTION.as_secs(),
    }
}

fn within_retention(read_until: Option<Timestamp>, now: Timestamp) -> Result<(), LossRisk> {
    match read_until {
        Some(as_of) if now.duration_since(as_of) > RETENTION => Err(LossRisk::RetentionPassed { as_of }),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "lineage_tests.rs"]
mod tests;
