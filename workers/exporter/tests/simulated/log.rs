//! A table's log in memory: rows and positions in one step, one winner, answers that get lost. No network.

use std::sync::{Arc, Mutex};

use exporter::{Committed, Flushed, Pending, Seen, Sink, SinkError, StreamRecord};
use medallion_crds::Reason;
use tokio::sync::Notify;
use worker_kit::WorkerError;

use crate::death::Death;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    pub commit: u64,
    pub shard: String,
    pub key: String,
    pub sequence: u64,
}

#[derive(Default)]
pub struct State {
    pub committed: Committed,
    pub rows: Vec<Row>,
    pub version: u64,
    pub outage: Outage,
    last: Option<Pending>,
    tries: u64,
}

/// What commits meet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Outage {
    #[default]
    None,
    /// Every commit fails, and may be tried again.
    Refuses,
    /// No commit ever gets an answer.
    Silent,
}

/// What survives every death. Clones are the same log.
#[derive(Clone, Default)]
pub struct Log {
    pub state: Arc<Mutex<State>>,
    pub changed: Arc<Notify>,
}

/// One process's way to the log.
pub struct LogSink {
    log: Log,
    death: Death,
    unreliable: bool,
    base: u64,
    rows: Vec<Row>,
    /// Rows of the log that this process knows.
    known: usize,
}

impl LogSink {
    pub fn new(log: Log, death: Death, unreliable: bool) -> Self {
        Self {
            log,
            death,
            unreliable,
            base: 0,
            rows: Vec::new(),
            known: 0,
        }
    }
}

impl Sink for LogSink {
    async fn load(&mut self) -> Result<Committed, SinkError> {
        self.death.step().await;
        let state = self.log.state.lock().expect("lock");
        self.base = state.version;
        self.known = state.rows.len();
        Ok(state.committed.clone())
    }

    async fn look(&mut self) -> Result<Seen, SinkError> {
        self.death.step().await;
        let state = self.log.state.lock().expect("lock");
        let rows = state.rows.len() - self.known;
        (self.base, self.known) = (state.version, state.rows.len());
        let news = Flushed {
            version: state.version,
            rows: rows as u64,
        };
        Ok(Seen {
            committed: state.committed.clone(),
            news: (rows > 0).then_some(news),
        })
    }

    fn discard(&mut self) {
        self.rows.clear();
    }

    fn version(&self) -> Option<u64> {
        let has_rows = !self.log.state.lock().expect("lock").rows.is_empty();
        has_rows.then_some(self.base)
    }

    fn append(&mut self, shard: &str, record: &StreamRecord) {
        let sequence = record.sequence.as_str().parse().expect("number");
        self.rows.push(Row {
            commit: 0,
            shard: shard.to_owned(),
            key: record.key.clone(),
            sequence,
        });
    }

    fn bytes(&self) -> usize {
        100 * self.rows.len()
    }

    async fn commit(&mut self, pending: &Pending) -> Result<Flushed, SinkError> {
        self.death.step().await;
        let outage = self.log.state.lock().expect("lock").outage;
        match outage {
            Outage::None => {}
            Outage::Refuses => {
                return Err(SinkError::Retry(WorkerError::environment(
                    Reason::LakeUnavailable,
                    "out of order",
                )));
            }
            Outage::Silent => std::future::pending().await,
        }
        let rows = self.rows.len() as u64;
        let answer_lost = {
            let mut state = self.log.state.lock().expect("lock");
            state.tries += 1;
            if self.unreliable && state.tries % 5 == 2 {
                return Err(SinkError::Retry(WorkerError::environment(
                    Reason::LakeUnavailable,
                    "not done",
                )));
            }
            let already = state.version == self.base + 1 && state.last.as_ref() == Some(pending);
            if !already {
                if state.version != self.base {
                    return Err(SinkError::End(WorkerError::fenced(
                        Reason::AnotherExporter,
                        "another process",
                    )));
                }
                state.version += 1;
                let commit = state.version;
                state
                    .rows
                    .extend(self.rows.iter().cloned().map(|row| Row { commit, ..row }));
                state.committed.shards.extend(pending.shards.clone());
                state.committed.read_until.extend(pending.read_until.clone());
                for shard in &pending.forget {
                    state.committed.shards.remove(shard);
                    state.committed.read_until.remove(shard);
                }
                state.committed.stream = Some(pending.stream.clone());
                state.last = Some(pending.clone());
            }
            self.unreliable && !already && state.tries % 5 == 4
        };
        self.death.step().await;
        self.log.changed.notify_waiters();
        if answer_lost {
            return Err(SinkError::Retry(WorkerError::environment(
                Reason::LakeUnavailable,
                "answer lost",
            )));
        }
        self.base += 1;
        self.known += self.rows.len();
        self.rows.clear();
        Ok(Flushed {
            version: self.base,
            rows,
        })
    }
}
