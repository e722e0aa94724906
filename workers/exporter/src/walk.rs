//! The engine under way: the readers' messages go into the lineage and the sink, and are committed by bytes and age. Drives source and sink.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use medallion_crds::Reason;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use worker_kit::WorkerError;

use crate::engine::{Engine, LONGEST_RETRY};
use crate::hold;
use crate::lineage::{self, Lineage, Start};
use crate::message::{Event, Message};
use crate::reader::{self, Shared};
use crate::sink::{Flushed, Sink, SinkError};
use crate::source::{Listing, SourceError, StreamSource};
use crate::trouble::{loss, switched_off, task_failed, unreadable};
use crate::watch::Watch;

/// Pages in memory that are not taken in yet: each is at most one answer of the stream, 1 MB.
const PAGES: usize = 16;
/// How often the stream is asked for new shards, and how often while one is awaited.
const LISTING_EVERY: SignedDuration = SignedDuration::from_secs(10);
const LISTING_SOON: SignedDuration = SignedDuration::from_secs(1);
/// Without rows, the log still learns this often that everything has been read.
const HEARTBEAT: SignedDuration = SignedDuration::from_hours(1);
/// What is buffered at SIGTERM is committed if that takes no longer; else it is read again.
const LAST_COMMIT: Duration = Duration::from_secs(20);
/// How often the log is asked for what somebody else has committed.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(2);
/// Where a trouble of the log stands, beside those of shards.
const LOG: &str = "log";
/// Where a trouble of the listing stands, beside those of shards.
const LISTING: &str = "listing";

impl<S: StreamSource, K: Sink> Engine<S, K> {
    /// Works until it is asked to stop or must end.
    pub async fn run(mut self, shutdown: &CancellationToken) -> Result<(), WorkerError> {
        let Some((lineage, starts)) = self.begin(shutdown).await? else {
            return Ok(());
        };
        let (messages, received) = mpsc::channel(2 * PAGES);
        let shared = Arc::new(Shared {
            source: Arc::clone(&self.source),
            arn: lineage.arn().to_owned(),
            poll: self.settings.poll,
            clock: Arc::clone(&self.clock),
            pages: Arc::new(Semaphore::new(PAGES)),
            messages,
        });
        let now = (self.clock)();
        let watch = (!self.holder.is_cluster()).then(Watch::default);
        let mut walk = Walk {
            engine: self,
            lineage,
            shared,
            readers: JoinSet::new(),
            unanswered: BTreeSet::new(),
            listings: JoinSet::new(),
            troubles: BTreeMap::new(),
            next_listing: now + LISTING_SOON,
            last_commit: now,
            waiting_since: None,
            oldest: None,
            waiting_rows: 0,
            watch,
            next_look: now,
        };
        walk.start(starts)?;
        walk.engine.ready.send_replace(true);
        walk.run(received, shutdown).await
    }
}

/// An engine that is under way.
struct Walk<S: StreamSource, K: Sink> {
    engine: Engine<S, K>,
    lineage: Lineage,
    shared: Arc<Shared<S>>,
    readers: JoinSet<()>,
    /// Shards that are read and have not given a page yet: nobody knows what waits in them.
    unanswered: BTreeSet<String>,
    /// The listing that is under way, beside the reading: a slow one must not hold up the data.
    listings: JoinSet<Result<Listing, SourceError>>,
    /// Who does not answer, and what it said.
    troubles: BTreeMap<String, WorkerError>,
    next_listing: Timestamp,
    last_commit: Timestamp,
    /// Since when something waits to be committed.
    waiting_since: Option<Timestamp>,
    /// When the oldest change that waits was made.
    oldest: Option<Timestamp>,
    waiting_rows: i64,
    /// What somebody else is to commit, where this process only looks.
    watch: Option<Watch>,
    next_look: Timestamp,
}

impl<S: StreamSource, K: Sink> Walk<S, K> {
    async fn run(
        &mut self,
        mut messages: mpsc::Receiver<Message>,
        shutdown: &CancellationToken,
    ) -> Result<(), WorkerError> {
        self.note_positions();
        while !shutdown.is_cancelled() {
            self.engine.progress.beat();
            let pause = self.until_next_step();
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(message) = messages.recv(), if !self.is_full() => self.receive(message)?,
                Some(listing) = self.listings.join_next() => self.listed(listing)?,
                () = tokio::time::sleep(pause) => {}
            }
            self.list();
            if self.watch.is_some() {
                self.look().await?;
            } else if self.is_commit_due() {
                self.commit(shutdown).await?;
            }
        }
        self.readers.abort_all();
        self.listings.abort_all();
        if self.waiting_since.is_some() {
            let done = tokio::time::timeout(LAST_COMMIT, self.commit(&CancellationToken::new())).await;
            done.unwrap_or_else(|_| {
                tracing::warn!("the last commit took too long; its rows will be read again");
                Ok(())
            })?;
        }
        Ok(())
    }

    fn receive(&mut self, message: Message) -> Result<(), WorkerError> {
        let shard = message.shard;
        let now = self.now();
        match message.event {
            Event::Page {
                records,
                closed,
                asked_at,
            } => {
                self.healed(&shard);
                let first = self.unanswered.remove(&shard);
                if records.is_empty() {
                    self.lineage.empty(&shard, asked_at);
                }
                for record in &records {
                    self.take(&shard, record);
                }
                if closed {
                    let starts = self.lineage.close(&shard, now).map_err(|risk| loss(&risk))?;
                    tracing::debug!(shard, "shard read to its end");
                    self.next_listing = now;
                    self.start(starts)?;
                }
                // Most answers of a quiet stream are empty and change nothing.
                if first || closed || !records.is_empty() {
                    self.note_positions();
                }
            }
            Event::FromOldest => self.lineage.from_oldest(&shard, now).map_err(|risk| loss(&risk))?,
            Event::Gone => {
                self.unanswered.remove(&shard);
                self.lineage.gone(&shard);
                // Whose word holds, this one's or the listings', takes the stream a moment to agree on.
                self.next_listing = now + LISTING_SOON;
                let message =
                    format!("shard {shard}: the stream says that it has no such shard; the next listing decides");
                self.trouble(&shard, WorkerError::environment(Reason::ShardGone, message));
            }
            Event::Trouble(error) => {
                let mut error = unreadable(&error);
                error.message = format!("shard {shard}: {}", error.message);
                self.trouble(&shard, error);
            }
        }
        Ok(())
    }

    fn take(&mut self, shard: &str, record: &crate::item::StreamRecord) {
        let metrics = &self.engine.metrics;
        metrics.records.inc();
        if !self.lineage.advance(shard, &record.sequence, record.changed_at) {
            metrics.repeated.inc();
            return;
        }
        if record.expired {
            metrics.expired.inc();
            return;
        }
        if let Some(watch) = &mut self.watch {
            watch.take(shard, &record.sequence, record.changed_at);
            return;
        }
        self.engine.sink.append(shard, record);
        self.waiting_rows += 1;
        if self.oldest.is_none_or(|oldest| record.changed_at < oldest) {
            self.oldest = Some(record.changed_at);
        }
    }

    /// Keeps what `/progress` says about waiting input true.
    fn note_positions(&mut self) {
        let (rows, oldest) = match &self.watch {
            Some(watch) => (watch.lag(), watch.oldest()),
            None => (Some(self.waiting_rows), self.oldest),
        };
        if self.watch.is_none() && self.waiting_since.is_none() && (self.waiting_rows > 0 || self.lineage.has_pending())
        {
            self.waiting_since = Some(self.now());
        }
        self.engine
            .metrics
            .buffered_bytes
            .set(i64::try_from(self.engine.sink.bytes()).unwrap_or(i64::MAX));
        self.note_retention();
        let lag = rows.filter(|_| self.unanswered.is_empty());
        self.engine.progress.update(|work| {
            work.lag = lag;
            work.oldest_pending_time = oldest;
        });
    }

    /// Keeps what `/progress` says about the stream's memory true, at the latest every time the stream is listed.
    fn note_retention(&self) {
        let oldest = match &self.watch {
            // By what the log says, whoever commits is held to the stream's memory.
            Some(watch) => [self.lineage.committed_as_of(), watch.oldest()],
            // What was taken in but is not committed is read again after a crash.
            None => [self.lineage.as_of(), self.oldest],
        };
        let oldest = oldest.into_iter().flatten().min();
        let retention = oldest.map(|oldest| lineage::used(oldest, self.now()));
        self.engine.progress.update(|work| work.retention = retention);
    }

    /// Asks for a listing when it is time, one at a time.
    fn list(&mut self) {
        if self.listings.is_empty() && self.now() >= self.next_listing {
            let source = Arc::clone(&self.engine.source);
            self.listings.spawn(async move { source.list().await });
        }
    }

    fn listed(&mut self, listing: Result<Result<Listing, SourceError>, JoinError>) -> Result<(), WorkerError> {
        let now = self.now();
        match listing.map_err(|error| task_failed(&error))? {
            Ok(listing) => {
                let starts = self
                    .lineage
                    .list(&listing.arn, &listing.shards, now)
                    .map_err(|risk| loss(&risk))?;
                self.start(starts)?;
                // The listing has answered, and has closed shards that did not. That it is off still is no news.
                self.troubles.retain(|who, _| {
                    who == LOG || (who == LISTING && listing.disabled) || self.lineage.is_being_read(who)
                });
                let soon = self.lineage.awaits_listing() && !listing.disabled;
                self.next_listing = now + if soon { LISTING_SOON } else { LISTING_EVERY };
                if listing.disabled {
                    self.trouble(LISTING, switched_off(&listing.arn));
                } else {
                    self.report_troubles();
                }
                self.note_positions();
            }
            Err(error) => {
                self.next_listing = now + LISTING_SOON;
                self.note_retention();
                self.trouble(LISTING, unreadable(&error));
            }
        }
        Ok(())
    }

    fn start(&mut self, starts: Vec<Start>) -> Result<(), WorkerError> {
        for start in starts {
            tracing::debug!(
                shard = start.shard,
                after = start.after.as_ref().map(ToString::to_string),
                "reading"
            );
            self.unanswered.insert(start.shard.clone());
            self.readers.spawn(reader::read(Arc::clone(&self.shared), start));
        }
        while let Some(ended) = self.readers.try_join_next() {
            ended.map_err(|error| task_failed(&error))?;
        }
        self.engine
            .metrics
            .shards
            .set(i64::try_from(self.readers.len()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// More waits for somebody else's commits than is remembered: the stream is not read further until some of it is done.
    fn is_full(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::is_full)
    }

    /// Looks, when it is time, how far somebody else has committed.
    async fn look(&mut self) -> Result<(), WorkerError> {
        let now = self.now();
        if now < self.next_look {
            return Ok(());
        }
        self.next_look = now + LOOK_EVERY;
        let seen = match self.engine.sink.look().await {
            Ok(seen) => seen,
            Err(SinkError::End(error)) => return Err(error),
            Err(SinkError::Retry(error)) => {
                self.note_retention();
                self.trouble(LOG, error);
                return Ok(());
            }
        };
        self.healed(LOG);
        let holder = seen.committed.stream.as_ref().map(|stream| stream.holder);
        if holder != Some(self.engine.holder) {
            return Err(hold::taken_back(holder));
        }
        if let Some(watch) = &mut self.watch {
            watch.log_says(&seen.committed);
        }
        self.lineage.log_says(seen.committed);
        if let Some(news) = seen.news {
            tracing::debug!(version = news.version, rows = news.rows, "somebody has committed");
            self.note_commit(news, now);
        }
        self.note_positions();
        Ok(())
    }

    /// A commit of positions alone is no news for Silver.
    fn note_commit(&self, flushed: Flushed, now: Timestamp) {
        let holder = self.engine.holder;
        self.engine.progress.update(|work| {
            work.held_by = Some(holder);
            if flushed.rows > 0 {
                work.position = i64::try_from(flushed.version).ok();
                work.last_commit_time = Some(now);
                work.rows = i64::try_from(flushed.rows).ok();
            }
        });
    }

    fn is_commit_due(&self) -> bool {
        let now = self.now();
        self.engine
            .settings
            .flush
            .is_due(self.engine.sink.bytes(), self.waiting_since, now)
            || (now.duration_since(self.last_commit) >= HEARTBEAT
                && self.lineage.as_of() > self.lineage.committed_as_of())
    }

    /// Commits what waits, for as long as it takes. Returns early, with nothing decided, when asked to stop.
    async fn commit(&mut self, shutdown: &CancellationToken) -> Result<(), WorkerError> {
        let pending = self.lineage.pending();
        let began = tokio::time::Instant::now();
        let mut pause = self.engine.settings.poll;
        let flushed = loop {
            self.engine.progress.beat();
            match self.engine.sink.commit(&pending).await {
                Ok(flushed) => break flushed,
                Err(SinkError::End(error)) => return Err(error),
                Err(SinkError::Retry(error)) => {
                    self.engine.metrics.troubles.inc();
                    tracing::warn!(
                        reason = error.reason.as_str(),
                        detail = error.message,
                        "commit failed, trying again"
                    );
                    self.engine.progress.blocked(error.reason, error.message);
                    self.note_retention();
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_RETRY),
            }
        };
        self.lineage.committed(pending);
        let now = self.now();
        self.last_commit = now;
        self.waiting_since = None;
        self.waiting_rows = 0;
        self.oldest = None;
        self.engine.metrics.commits.inc();
        self.engine.metrics.rows.inc_by(flushed.rows);
        self.engine.metrics.commit_seconds.set(began.elapsed().as_secs_f64());
        tracing::info!(version = flushed.version, rows = flushed.rows, "committed");
        self.note_commit(flushed, now);
        self.report_troubles();
        self.note_positions();
        Ok(())
    }

    fn trouble(&mut self, who: &str, error: WorkerError) {
        self.engine.metrics.troubles.inc();
        // Each try is a trouble, and only a new one is news.
        if self.troubles.get(who).is_none_or(|known| known.reason != error.reason) {
            tracing::warn!(
                place = who,
                reason = error.reason.as_str(),
                detail = error.message,
                "blocked"
            );
        }
        self.troubles.insert(who.to_owned(), error);
        self.report_troubles();
    }

    fn healed(&mut self, who: &str) {
        if self.troubles.remove(who).is_some() {
            tracing::info!(place = who, "goes on");
            self.report_troubles();
        }
    }

    fn report_troubles(&self) {
        match self.troubles.values().next() {
            Some(error) => {
                let (reason, message) = (error.reason.clone(), error.message.clone());
                self.engine.progress.blocked(reason, message);
            }
            None => self.engine.progress.clear(),
        }
    }

    fn until_next_step(&self) -> Duration {
        let now = self.now();
        let listing = if self.listings.is_empty() {
            self.next_listing.duration_since(now)
        } else {
            LISTING_EVERY
        };
        let flush = self.engine.settings.flush.remaining(self.waiting_since, now);
        let look = self.watch.is_some().then(|| self.next_look.duration_since(now));
        let wait = [flush, look].into_iter().flatten().fold(listing, SignedDuration::min);
        // A step too early costs nothing; a duration below zero would be refused.
        Duration::try_from(wait).unwrap_or_default()
    }

    fn now(&self) -> Timestamp {
        (self.engine.clock)()
    }
}
