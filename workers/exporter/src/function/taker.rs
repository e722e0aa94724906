//! Takes a batch into Bronze: what of it is new, joined on to what is there, in one commit. Drives source and sink.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use medallion_crds::Reason;
use medallion_crds::pipeline::RunsOn;
use tokio::time::Instant;
use worker_kit::{ErrorClass, WorkerError};

use super::event::Batch;
use super::proof::{self, Behind, FAR, NEAR, behind};
use crate::clock::Clock;
use crate::hold;
use crate::item::StreamRecord;
use crate::lineage::Lineage;
use crate::position::Committed;
use crate::sequence::Sequence;
use crate::sink::{Sink, SinkError};
use crate::source::StreamSource;
use crate::trouble::{loss, unreadable};

/// So often a commit is made again on top of those of other shards, each time after a longer pause.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(20);
/// Quiet shards that an invocation looks at beside its batch, those first of which nobody has said anything for longest.
const BESIDE_A_BATCH: usize = 8;
/// Quiet shards between two commits of a schedule's invocation, which looks at all of them.
const BETWEEN_COMMITS: usize = 32;
/// After so long a schedule's invocation leaves the rest to the next one, which begins with them.
const LOOK_FOR: Duration = Duration::from_secs(20);

/// What became of a batch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Taken {
    /// Version of the table; absent if nothing had to be committed.
    pub version: Option<u64>,
    /// Rows committed.
    pub rows: u64,
    /// Records that were committed before.
    pub repeated: usize,
    /// From this record on the batch is to be given again.
    pub rest: Option<String>,
    /// Why that record could not be read, if that is why.
    pub unreadable: Option<String>,
}

/// Moves batches from a stream to a table, one at a time.
pub struct Taker<S: StreamSource, K: Sink> {
    source: S,
    sink: K,
    clock: Clock,
    most_bytes: usize,
    /// Shards whose parent nobody knows, and when this process first saw them.
    suspects: BTreeMap<String, Timestamp>,
}

/// The part of a batch whose rows wait in the sink, and the position that they join on to.
struct Kept {
    position: Option<Sequence>,
    end: usize,
}

impl<S: StreamSource, K: Sink> Taker<S, K> {
    /// A taker. `most_bytes`: rows of more than that are left for the next invocation, but for one record.
    pub fn new(source: S, sink: K, clock: Clock, most_bytes: usize) -> Self {
        Self {
            source,
            sink,
            clock,
            most_bytes,
            suspects: BTreeMap::new(),
        }
    }

    /// Takes a batch. An error means that nothing is known to be committed, and that the whole batch is to be given again.
    pub async fn take(&mut self, batch: &Batch) -> Result<Taken, WorkerError> {
        if batch.records.is_empty() {
            return Ok(Taken::default());
        }
        // What an invocation that was cut off has left.
        self.sink.discard();
        let mut kept = None;
        for attempt in 1..=TRIES {
            match self.try_take(batch, &mut kept).await {
                Ok(taken) => return Ok(taken),
                Err(SinkError::End(error)) if error.class == ErrorClass::Fenced => {
                    tracing::debug!(attempt, "somebody else has committed meanwhile");
                    tokio::time::sleep(PAUSE * attempt).await;
                }
                Err(SinkError::End(error) | SinkError::Retry(error)) => return Err(error),
            }
        }
        Err(overtaken())
    }

    async fn try_take(&mut self, batch: &Batch, kept: &mut Option<Kept>) -> Result<Taken, SinkError> {
        let shard = batch.shard.as_str();
        let seen = self.sink.look().await?;
        let readable = batch.readable();
        // So a mapping keeps up behind the pod while that holds the stream, and nothing grows old in it.
        if readable.len() == batch.records.len() && is_committed(&seen.committed, batch) {
            return Ok(Taken {
                repeated: readable.len(),
                ..Taken::default()
            });
        }
        hold::check(&seen.committed, RunsOn::Lambda).map_err(SinkError::Retry)?;
        let now = (self.clock)();
        let mut lineage =
            Lineage::resume(&batch.arn, seen.committed, now).map_err(|risk| SinkError::End(loss(&risk)))?;
        let mut taken = Taken::default();
        if !readable.is_empty() {
            self.begin(&mut lineage, shard, now).await?;
        }
        let position = lineage.position(shard).and_then(|position| position.sequence.clone());
        let is_new = |sequence: &Sequence| position.as_ref().is_none_or(|position| sequence > position);
        in_order(shard, &readable, is_new)?;
        let first = readable.iter().position(|record| is_new(&record.sequence));
        taken.repeated = first.unwrap_or(readable.len());
        let mut end = readable.len();
        if let Some(first) = first {
            // Also of a batch that has records from before the position: a filter, too, may have left out what lies between.
            let next = behind(&self.source, &lineage, shard, FAR, now).await?;
            proof::joins(&lineage, shard, &readable[first].sequence, &next)?;
            let same = kept.as_ref().filter(|kept| kept.position == position);
            let same = same.map(|kept| kept.end);
            end = same.unwrap_or_else(|| self.keep(batch, first, position, kept));
            for record in &readable[first..end] {
                lineage.advance(shard, &record.sequence, record.changed_at);
            }
        } else {
            // What a try before has put there, somebody else has committed meanwhile.
            self.sink.discard();
            *kept = None;
        }
        let mut looked_at = BTreeSet::from([shard.to_owned()]);
        self.look_at_quiet(&mut lineage, &mut looked_at, BESIDE_A_BATCH, now)
            .await;
        if lineage.has_pending() {
            let flushed = self.sink.commit(&lineage.pending()).await?;
            (taken.version, taken.rows) = (Some(flushed.version), flushed.rows);
        }
        if end < batch.records.len() {
            let rest = &batch.records[end];
            taken.unreadable = rest.record.as_ref().err().cloned();
            taken.rest = Some(rest.id.clone().ok_or_else(|| nameless(shard))?);
        }
        Ok(taken)
    }

    /// Puts the new records into the sink, as many as may be, and says where they end.
    fn keep(&mut self, batch: &Batch, first: usize, position: Option<Sequence>, kept: &mut Option<Kept>) -> usize {
        self.sink.discard();
        let readable = batch.readable();
        let mut last = position.clone();
        let mut end = first;
        for record in &readable[first..] {
            if end > first && self.sink.bytes() >= self.most_bytes {
                break;
            }
            end += 1;
            // Within a batch, too, a record counts once.
            if last.as_ref().is_some_and(|last| *last >= record.sequence) {
                continue;
            }
            last = Some(record.sequence.clone());
            if !record.expired {
                self.sink.append(&batch.shard, record);
            }
        }
        *kept = Some(Kept { position, end });
        end
    }

    /// Makes sure that the shard's turn has come: everything of its ancestors is committed.
    async fn begin(&mut self, lineage: &mut Lineage, shard: &str, now: Timestamp) -> Result<(), SinkError> {
        if lineage
            .position(shard)
            .is_some_and(|position| position.sequence.is_some() || position.closed)
        {
            return Ok(());
        }
        self.list(lineage, now).await?;
        while let Some(ancestor) = lineage.open_ancestor(shard) {
            match behind(&self.source, lineage, &ancestor, FAR, now).await? {
                Behind::End => {
                    let closed = lineage.close(&ancestor, now);
                    closed.map_err(|risk| SinkError::End(loss(&risk)))?;
                }
                Behind::Record(next) => {
                    let error = proof::parent_unread(lineage, &ancestor, shard, &next);
                    return Err(SinkError::Retry(error));
                }
                Behind::Nothing => {
                    return Err(SinkError::Retry(WorkerError::environment(
                        Reason::StreamUnreadable,
                        format!("shard {shard} comes from {ancestor}, of which the stream does not show the end yet"),
                    )));
                }
            }
        }
        if lineage.is_being_read(shard) {
            return Ok(());
        }
        Err(SinkError::Retry(WorkerError::environment(
            Reason::ShardGone,
            format!("shard {shard}: the stream's listing does not lead to it; the next one may"),
        )))
    }

    async fn list(&mut self, lineage: &mut Lineage, now: Timestamp) -> Result<(), SinkError> {
        let listing = self.source.list().await;
        let listing = listing.map_err(|error| SinkError::Retry(unreadable(&error)))?;
        lineage.suspect(std::mem::take(&mut self.suspects));
        let listed = lineage.list(&listing.arn, &listing.shards, now);
        self.suspects.clone_from(lineage.suspects());
        listed.map(drop).map_err(|risk| SinkError::End(loss(&risk)))
    }

    /// Looks at some shards of which nobody has said anything for long, so that the log does not seem to be behind where there
    /// is nothing, and not at those that it has been at. A shard that fails is left for another time: it is no concern of this
    /// batch.
    async fn look_at_quiet(
        &mut self,
        lineage: &mut Lineage,
        looked_at: &mut BTreeSet<String>,
        most: usize,
        now: Timestamp,
    ) {
        let mut quiet = lineage.quiet(now);
        quiet.retain(|shard| !looked_at.contains(shard));
        if quiet.is_empty() {
            return;
        }
        if let Err(SinkError::End(error) | SinkError::Retry(error)) = self.list(lineage, now).await {
            tracing::warn!(
                reason = error.reason.as_str(),
                detail = error.message,
                "quiet shards not looked at"
            );
            return;
        }
        // Now that parents are known, those that wait for theirs are none.
        quiet = lineage.quiet(now);
        quiet.retain(|shard| !looked_at.contains(shard));
        quiet.truncate(most);
        for shard in &quiet {
            let found = behind(&self.source, lineage, shard, NEAR, now).await;
            let closed = match found {
                // Its own batch brings it.
                Ok(Behind::Record(_)) => Ok(()),
                Ok(Behind::Nothing) => {
                    lineage.at_tip(shard, now);
                    Ok(())
                }
                Ok(Behind::End) => lineage
                    .close(shard, now)
                    .map(drop)
                    .map_err(|risk| SinkError::End(loss(&risk))),
                Err(error) => Err(error),
            };
            if let Err(SinkError::End(error) | SinkError::Retry(error)) = closed {
                tracing::warn!(
                    shard,
                    reason = error.reason.as_str(),
                    detail = error.message,
                    "quiet shard not looked at"
                );
            }
        }
        looked_at.extend(quiet);
    }

    /// Looks at all shards that nothing comes from, and commits how far the stream is read. Does nothing while another holds
    /// the stream.
    pub async fn look(&mut self) -> Result<Taken, WorkerError> {
        let begun = Instant::now();
        let (mut looked_at, mut version) = (BTreeSet::new(), None);
        loop {
            let before = looked_at.len();
            let taken = self.look_at_some(&mut looked_at).await?;
            version = taken.version.or(version);
            // Where a shard has ended its children are quiet, too, and are looked at next.
            if looked_at.len() == before || begun.elapsed() >= LOOK_FOR {
                return Ok(Taken { version, ..taken });
            }
        }
    }

    /// Looks at some shards that it has not been at, and commits what it has found.
    async fn look_at_some(&mut self, looked_at: &mut BTreeSet<String>) -> Result<Taken, WorkerError> {
        self.sink.discard();
        for attempt in 1..=TRIES {
            let mut now_looked_at = looked_at.clone();
            match self.try_look(&mut now_looked_at).await {
                Ok(taken) => {
                    *looked_at = now_looked_at;
                    return Ok(taken);
                }
                Err(SinkError::End(error)) if error.class == ErrorClass::Fenced => {
                    tokio::time::sleep(PAUSE * attempt).await;
                }
                Err(SinkError::End(error) | SinkError::Retry(error)) => return Err(error),
            }
        }
        Err(overtaken())
    }

    async fn try_look(&mut self, looked_at: &mut BTreeSet<String>) -> Result<Taken, SinkError> {
        let seen = self.sink.look().await?;
        let Some(stream) = &seen.committed.stream else {
            return Ok(Taken::default());
        };
        if stream.holder != RunsOn::Lambda {
            return Ok(Taken::default());
        }
        let (arn, now) = (stream.arn.clone(), (self.clock)());
        let mut lineage = Lineage::resume(&arn, seen.committed, now).map_err(|risk| SinkError::End(loss(&risk)))?;
        self.look_at_quiet(&mut lineage, looked_at, BETWEEN_COMMITS, now).await;
        if !lineage.has_pending() && lineage.as_of() <= lineage.committed_as_of() {
            return Ok(Taken::default());
        }
        let flushed = self.sink.commit(&lineage.pending()).await?;
        Ok(Taken {
            version: Some(flushed.version),
            ..Taken::default()
        })
    }
}

/// Whether the log has all of the batch that can be read.
fn is_committed(committed: &Committed, batch: &Batch) -> bool {
    let is_of_stream = committed.stream.as_ref().is_some_and(|stream| stream.arn == batch.arn);
    let position = committed
        .shards
        .get(&batch.shard)
        .and_then(|position| position.sequence.as_ref());
    let is_in = |sequence: &Sequence| position.is_some_and(|position| position >= sequence);
    is_of_stream && batch.readable().iter().all(|record| is_in(&record.sequence))
}

/// Lambda gives a shard's records in order, some of them perhaps again. A new one that came behind a later one would be
/// passed over, for the position would say that Bronze has it.
fn in_order(shard: &str, readable: &[&StreamRecord], is_new: impl Fn(&Sequence) -> bool) -> Result<(), SinkError> {
    let mut newest: Option<&Sequence> = None;
    for (index, record) in readable.iter().enumerate() {
        let sequence = &record.sequence;
        let Some(later) = newest.filter(|newest| *newest > sequence) else {
            newest = Some(sequence);
            continue;
        };
        let came_before = || readable[..index].iter().any(|other| other.sequence == *sequence);
        if is_new(sequence) && !came_before() {
            return Err(SinkError::End(WorkerError::environment(
                Reason::BatchUnreadable,
                format!(
                    "shard {shard}: record {sequence} comes behind {later}, which is later: nothing of a batch that is not in \
                     the stream's order is taken. It comes again; give the function to nobody but its event source mapping"
                ),
            )));
        }
    }
    Ok(())
}

fn overtaken() -> WorkerError {
    WorkerError::environment(
        Reason::LakeUnavailable,
        "Bronze gets commits of other shards faster than this one can follow; the batch is given again",
    )
}

fn nameless(shard: &str) -> SinkError {
    SinkError::Retry(WorkerError::environment(
        Reason::StreamUnreadable,
        format!("shard {shard}: a record without a sequence number; the batch is given again"),
    ))
}
