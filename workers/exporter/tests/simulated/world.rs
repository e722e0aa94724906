//! A process between a simulated stream and a log, and simulated time. No network.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exporter::{Clock, Engine, EngineSettings, ExporterMetrics, FlushRule, Taker};
use jiff::{SignedDuration, Timestamp};
use medallion_crds::pipeline::RunsOn;
use medallion_crds::progress::{Identity, Work};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use worker_kit::{ProgressHandle, WorkerError};

use crate::death::Death;
use crate::log::{Log, LogSink, Outage};
use crate::stream::SimulatedStream;

/// A clock that follows Tokio's, which the tests pause: waiting costs no time.
pub fn clock() -> Clock {
    let begin = tokio::time::Instant::now();
    let base: Timestamp = "2026-03-01T12:00:00Z".parse().expect("time");
    Arc::new(move || base + SignedDuration::try_from(begin.elapsed()).expect("duration"))
}

pub struct World {
    pub stream: SimulatedStream,
    pub log: Log,
    pub death: Death,
    pub clock: Clock,
    pub unreliable: bool,
    /// A process stays when all is committed, instead of being asked to stop.
    pub stays: bool,
    progress: Mutex<Option<ProgressHandle>>,
}

/// How a process ended.
#[derive(Debug)]
pub enum End {
    Killed,
    Stopped,
    Failed(WorkerError),
}

impl World {
    pub fn new(events: Vec<crate::stream::Event>, unreliable: bool) -> Self {
        let (clock, death) = (clock(), Death::never());
        let stream = SimulatedStream::new(Arc::clone(&clock), death.clone(), events, unreliable);
        Self {
            stream,
            log: Log::default(),
            death,
            clock,
            unreliable,
            stays: false,
            progress: Mutex::default(),
        }
    }

    /// What the running process reports.
    pub fn work(&self) -> Work {
        self.progress().snapshot().work
    }

    /// The running process's progress.
    pub fn progress(&self) -> ProgressHandle {
        let progress = self.progress.lock().expect("lock");
        progress.as_ref().expect("a process").clone()
    }

    /// What commits meet from now on.
    pub fn commits_meet(&self, outage: Outage) {
        self.log.state.lock().expect("lock").outage = outage;
    }

    /// Runs a process beside the story, which ends it.
    pub async fn beside(&self, story: impl Future<Output = ()>) {
        tokio::select! {
            () = story => {}
            ended = self.process() => panic!("{ended:?}"),
        }
    }

    /// Waits until everything written is committed.
    pub async fn until_complete(&self) {
        let complete = tokio::time::timeout(Duration::from_mins(10), async {
            while !self.is_complete() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        complete.await.expect("the exporter stands still");
    }

    /// A pod whose settings name this holder, until it is asked to stop or ends by itself.
    pub async fn pod(&self, holder: RunsOn, shutdown: &CancellationToken) -> Result<(), WorkerError> {
        let progress = ProgressHandle::new(Identity::default(), Timestamp::now);
        *self.progress.lock().expect("lock") = Some(progress.clone());
        let engine = self.engine(progress);
        let engine = match holder {
            RunsOn::Cluster => engine,
            RunsOn::Lambda => engine.observing(),
        };
        engine.run(shutdown).await
    }

    /// A function in a sandbox of its own.
    pub fn taker(&self, most_bytes: usize) -> Taker<SimulatedStream, LogSink> {
        let sink = LogSink::new(self.log.clone(), self.death.clone(), self.unreliable);
        Taker::new(self.stream.clone(), sink, Arc::clone(&self.clock), most_bytes)
    }

    fn engine(&self, progress: ProgressHandle) -> Engine<SimulatedStream, LogSink> {
        let settings = EngineSettings {
            flush: FlushRule {
                max_bytes: 1_000,
                max_age: SignedDuration::from_secs(5),
            },
            poll: Duration::from_millis(100),
        };
        let sink = LogSink::new(self.log.clone(), self.death.clone(), self.unreliable);
        Engine::new(
            self.stream.clone(),
            sink,
            settings,
            Arc::clone(&self.clock),
            progress,
            ExporterMetrics::default(),
            watch::channel(false).0,
        )
    }

    /// One process, until it is killed, fails, or everything written is committed.
    pub async fn process(&self) -> (End, Work) {
        let progress = ProgressHandle::new(Identity::default(), Timestamp::now);
        *self.progress.lock().expect("lock") = Some(progress.clone());
        let engine = self.engine(progress.clone());
        let shutdown = CancellationToken::new();
        let running = engine.run(&shutdown);
        tokio::pin!(running);
        let end = loop {
            tokio::select! {
                biased;
                () = self.death.came() => break End::Killed,
                ended = &mut running => break ended.map_or_else(End::Failed, |()| End::Stopped),
                () = tokio::time::sleep(Duration::from_secs(1)) => {
                    if self.is_complete() && !self.stays {
                        shutdown.cancel();
                    }
                }
            }
        };
        (end, progress.snapshot().work)
    }

    pub fn is_complete(&self) -> bool {
        !self.stream.has_events() && self.log.state.lock().expect("lock").rows.len() >= self.stream.written().len()
    }

    /// Everything that was written is in the log, each item in order and exactly once, no child before its parent.
    pub fn check(&self) {
        let state = self.log.state.lock().expect("lock");
        let mut found: Vec<(String, u64)> = state.rows.iter().map(|row| (row.key.clone(), row.sequence)).collect();
        let mut last = std::collections::BTreeMap::new();
        for (key, sequence) in &found {
            let before = last.insert(key.clone(), *sequence);
            assert!(
                before.is_none_or(|before| before < *sequence),
                "{key}: {sequence} after {before:?}"
            );
        }
        found.sort_by_key(|(_, sequence)| *sequence);
        assert_eq!(found, self.stream.written(), "every record once");
        for row in &state.rows {
            if let Some(parent) = self.stream.parent(&row.shard)
                && let Some(end) = self.stream.last_sequence(&parent)
            {
                let parents = state
                    .rows
                    .iter()
                    .find(|other| other.shard == parent && other.sequence == end);
                let parents = parents.expect("the parent's last record is in the log");
                assert!(
                    parents.commit <= row.commit,
                    "{} before its parent {parent} was read",
                    row.shard
                );
            }
        }
    }
}
