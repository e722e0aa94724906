//! Lambda's event source mapping, simulated: a shard's records in order, parents first, again until they are answered. No network.

use std::collections::BTreeMap;
use std::time::Duration;

use exporter::{Arrived, Batch, StreamRecord, StreamSource, Taken, Taker};
use medallion_crds::Reason;
use worker_kit::WorkerError;

use crate::log::LogSink;
use crate::stream::SimulatedStream;
use crate::world::World;

pub type Function = Taker<SimulatedStream, LogSink>;

/// Where the mapping stands in each shard. It is the mapping's own, and nobody else's business.
#[derive(Default)]
pub struct Mapping {
    read: BTreeMap<String, usize>,
    /// Why invocations failed.
    pub refused: Vec<Reason>,
}

/// A batch of the stream's records.
pub fn batch(world: &World, shard: &str, records: &[StreamRecord]) -> Batch {
    let arrived = |record: &StreamRecord| Arrived {
        id: Some(record.sequence.to_string()),
        record: Ok(record.clone()),
    };
    Batch {
        arn: world.stream.arn(),
        shard: shard.to_owned(),
        records: records.iter().map(arrived).collect(),
    }
}

/// Records of a batch that are answered for.
pub fn done(batch: &Batch, taken: &Taken) -> usize {
    let Some(rest) = &taken.rest else {
        return batch.records.len();
    };
    let is_rest = |arrived: &Arrived| arrived.id.as_ref() == Some(rest);
    batch.records.iter().position(is_rest).expect("a record of the batch")
}

impl Mapping {
    /// A mapping that begins in this shard behind so many records, as one does that was made with starting position LATEST.
    pub fn behind(shard: &str, records: usize) -> Self {
        Self {
            read: BTreeMap::from([(shard.to_owned(), records)]),
            ..Self::default()
        }
    }

    fn is_at_end(&self, world: &World, shard: &str) -> bool {
        let (records, closed) = world.stream.content(shard);
        closed && self.read.get(shard).copied().unwrap_or_default() == records.len()
    }

    /// The next batch of a shard, if its turn has come and it has something.
    pub fn next(&self, world: &World, shard: &str, most: usize) -> Option<Batch> {
        // Also the parent of one that closed without a record.
        let ancestors = std::iter::successors(world.stream.parent(shard), |parent| world.stream.parent(parent));
        if !ancestors.into_iter().all(|ancestor| self.is_at_end(world, &ancestor)) {
            return None;
        }
        let (records, _) = world.stream.content(shard);
        let from = self.read.get(shard).copied().unwrap_or_default();
        let records: Vec<_> = records.into_iter().skip(from).take(most).collect();
        (!records.is_empty()).then(|| batch(world, shard, &records))
    }

    pub fn answered(&mut self, batch: &Batch, answer: &Result<Taken, WorkerError>) {
        match answer {
            Ok(taken) => *self.read.entry(batch.shard.clone()).or_default() += done(batch, taken),
            Err(error) => self.refused.push(error.reason.clone()),
        }
    }

    /// One invocation for each shard that has something.
    pub async fn round(&mut self, world: &World, function: &mut Function, most: usize) {
        // The world goes on, whoever asks.
        let _ = world.stream.list().await;
        for shard in world.stream.names() {
            if let Some(batch) = self.next(world, &shard, most) {
                let answer = function.take(&batch).await;
                self.answered(&batch, &answer);
            }
        }
    }

    /// Invokes for ever.
    pub async fn run(&mut self, world: &World, function: &mut Function) {
        loop {
            self.round(world, function, 4).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}
