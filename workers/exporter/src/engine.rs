//! The exporter's parts, and how they begin: from the log and the first listing. Drives source and sink.

use std::sync::Arc;
use std::time::Duration;

use medallion_crds::pipeline::RunsOn;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use worker_kit::{ErrorClass, ProgressHandle, WorkerError};

use crate::clock::Clock;
use crate::flush::FlushRule;
use crate::hold;
use crate::lineage::{self, Lineage, Start};
use crate::metrics::ExporterMetrics;
use crate::position::Committed;
use crate::sink::{Sink, SinkError};
use crate::source::{Listing, StreamSource};
use crate::trouble::{loss, unreadable};

/// So often the stream is taken over on top of what somebody else has committed meanwhile, before all is looked at anew.
const TAKE_OVERS: usize = 20;
/// The longest pause before something is tried again.
pub(crate) const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// How the engine reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// When to write.
    pub flush: FlushRule,
    /// First pause after an empty answer of a shard.
    pub poll: Duration,
}

/// Moves changes from a stream to a table.
pub struct Engine<S: StreamSource, K: Sink> {
    pub(crate) source: Arc<S>,
    pub(crate) sink: K,
    pub(crate) settings: EngineSettings,
    pub(crate) clock: Clock,
    pub(crate) progress: ProgressHandle,
    pub(crate) metrics: ExporterMetrics,
    pub(crate) ready: watch::Sender<bool>,
    /// Who is to hold the stream while this process stands.
    pub(crate) holder: RunsOn,
}

impl<S: StreamSource, K: Sink> Engine<S, K> {
    /// An engine that has not begun.
    pub fn new(
        source: S,
        sink: K,
        settings: EngineSettings,
        clock: Clock,
        progress: ProgressHandle,
        metrics: ExporterMetrics,
        ready: watch::Sender<bool>,
    ) -> Self {
        Self {
            source: Arc::new(source),
            sink,
            settings,
            clock,
            progress,
            metrics,
            ready,
            holder: RunsOn::Cluster,
        }
    }

    /// The same engine for a stream that a function reads: it hands the stream over, and from then on only looks.
    #[must_use]
    pub fn observing(mut self) -> Self {
        self.holder = RunsOn::Lambda;
        self
    }

    /// Reads the log and the first listing, for as long as it takes. `None`: asked to stop meanwhile.
    pub(crate) async fn begin(
        &mut self,
        shutdown: &CancellationToken,
    ) -> Result<Option<(Lineage, Vec<Start>)>, WorkerError> {
        let mut pause = self.settings.poll;
        loop {
            self.progress.beat();
            let begun = tokio::select! {
                () = shutdown.cancelled() => return Ok(None),
                begun = self.try_begin() => begun,
            };
            let trouble = match begun {
                Ok(begun) => {
                    self.progress.clear();
                    return Ok(Some(begun));
                }
                Err(SinkError::End(error)) => return Err(error),
                Err(SinkError::Retry(error)) => error,
            };
            self.metrics.troubles.inc();
            tracing::warn!(
                reason = trouble.reason.as_str(),
                detail = trouble.message,
                "cannot begin yet, trying again"
            );
            self.progress.blocked(trouble.reason, trouble.message);
            tokio::select! {
                () = shutdown.cancelled() => return Ok(None),
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_RETRY),
            }
        }
    }

    async fn try_begin(&mut self) -> Result<(Lineage, Vec<Start>), SinkError> {
        let mut committed = self.sink.load().await?;
        let now = (self.clock)();
        let fresh = committed.stream.is_none();
        // What an earlier process committed last may not have been seen by anybody yet.
        self.note_version();
        // Nobody reads before all is known, and the stream forgets meanwhile.
        let as_of = committed.stream.as_ref().and_then(|stream| stream.as_of);
        let held_by = committed.stream.as_ref().map(|stream| stream.holder);
        self.progress.update(|work| {
            work.held_by = held_by;
            work.retention = as_of.map(|as_of| lineage::used(as_of, now));
        });
        let listing = self
            .source
            .list()
            .await
            .map_err(|error| SinkError::Retry(unreadable(&error)))?;
        let mut tries = 0;
        let (lineage, starts) = loop {
            if let Some(begun) = self.go_on(committed, &listing).await? {
                break begun;
            }
            tries += 1;
            if tries == TAKE_OVERS {
                return Err(SinkError::Retry(hold::contested(self.holder)));
            }
            // Whoever holds the stream may commit more often than it is listed: the log alone is looked at again.
            committed = self.sink.look().await?.committed;
            self.note_version();
        };
        tracing::info!(
            arn = listing.arn,
            shards = listing.shards.len(),
            reading = starts.len(),
            fresh,
            "reading the stream"
        );
        Ok((lineage, starts))
    }

    /// Says which version of the table others may read.
    fn note_version(&self) {
        let version = self.sink.version().and_then(|version| i64::try_from(version).ok());
        self.progress.update(|work| work.position = version);
    }

    /// Goes on from what the log says. `None`: the stream was to be taken over, and somebody has committed meanwhile.
    async fn go_on(
        &mut self,
        committed: Committed,
        listing: &Listing,
    ) -> Result<Option<(Lineage, Vec<Start>)>, SinkError> {
        let now = (self.clock)();
        let held_by = committed.stream.as_ref().map(|stream| stream.holder);
        let mut lineage = Lineage::resume(&listing.arn, committed, now).map_err(|risk| SinkError::End(loss(&risk)))?;
        let starts = lineage
            .list(&listing.arn, &listing.shards, now)
            .map_err(|risk| SinkError::End(loss(&risk)))?;
        lineage.hold(self.holder);
        if lineage.takes_over() && !self.take_over(&mut lineage, held_by).await? {
            return Ok(None);
        }
        Ok(Some((lineage, starts)))
    }

    /// Names the new holder in the log, in a commit of its own: whoever held the stream before commits no more from here on.
    /// `false`: somebody else has committed since the log was read, and nothing was.
    async fn take_over(&mut self, lineage: &mut Lineage, from: Option<RunsOn>) -> Result<bool, SinkError> {
        let pending = lineage.pending();
        let flushed = match self.sink.commit(&pending).await {
            Ok(flushed) => flushed,
            Err(SinkError::End(error)) if error.class == ErrorClass::Fenced => return Ok(false),
            Err(error) => return Err(error),
        };
        lineage.committed(pending);
        let holder = self.holder;
        self.progress.update(|work| work.held_by = Some(holder));
        tracing::info!(
            from = from.map_or("nobody", RunsOn::as_str),
            to = holder.as_str(),
            version = flushed.version,
            "stream handed over"
        );
        Ok(true)
    }
}
