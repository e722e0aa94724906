//! Reads one shard, page after page, until its end. Asks the stream through its source.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::engine::Clock;
use crate::item::StreamRecord;
use crate::lineage::Start;
use crate::sequence::Sequence;
use crate::source::{SourceError, StreamSource};

const LONGEST_EMPTY_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_TROUBLE_PAUSE: Duration = Duration::from_secs(10);

/// What a reader tells the engine.
pub(crate) struct Message {
    pub(crate) shard: String,
    pub(crate) told: Told,
    /// Held while the page is in memory and not taken in yet: it bounds how many pages there are.
    pub(crate) _permit: Option<OwnedSemaphorePermit>,
}

pub(crate) enum Told {
    Page {
        records: Vec<StreamRecord>,
        /// This was the shard's end.
        closed: bool,
        asked_at: Timestamp,
        /// The stream begins behind the position that was asked for.
        gap: bool,
    },
    /// The stream does not know the shard any more.
    Gone,
    /// The stream does not answer; the reader tries again by itself.
    Trouble(String),
}

/// What all readers of a stream share.
pub(crate) struct Shared<S> {
    pub(crate) source: Arc<S>,
    pub(crate) arn: String,
    pub(crate) poll: Duration,
    pub(crate) clock: Clock,
    pub(crate) pages: Arc<Semaphore>,
    pub(crate) tell: mpsc::Sender<Message>,
}

/// Reads until the shard's end, or until nobody listens.
pub(crate) async fn read<S: StreamSource>(shared: Arc<Shared<S>>, start: Start) {
    let mut reader = Reader {
        place: Place {
            after: start.after,
            trimmed: None,
            iterator: None,
        },
        shard: start.shard,
        pause: shared.poll,
        trouble_pause: shared.poll,
        shared,
    };
    while reader.step().await.is_some() {}
}

struct Reader<S> {
    shared: Arc<Shared<S>>,
    shard: String,
    place: Place,
    pause: Duration,
    trouble_pause: Duration,
}

struct Place {
    after: Option<Sequence>,
    /// The position has been trimmed: the shard is read from its oldest record, which shows whether there is a gap.
    trimmed: Option<Sequence>,
    iterator: Option<String>,
}

impl<S: StreamSource> Reader<S> {
    /// One page. `None` when there is nothing more to do.
    async fn step(&mut self) -> Option<()> {
        let permit = Arc::clone(&self.shared.pages).acquire_owned().await.ok()?;
        let asked_at = (self.shared.clock)();
        match self.next_page().await {
            Ok(page) => {
                self.trouble_pause = self.shared.poll;
                let (closed, empty) = (page.next.is_none(), page.records.is_empty());
                let gap = self
                    .place
                    .trimmed
                    .take_if(|_| closed || !empty)
                    .is_some_and(|position| page.records.first().is_none_or(|first| first.sequence > position));
                if let Some(last) = page.records.last() {
                    self.place.after = Some(last.sequence.clone());
                }
                self.place.iterator = page.next;
                let permit = (!empty).then_some(permit);
                self.tell(
                    Told::Page {
                        records: page.records,
                        closed,
                        asked_at,
                        gap,
                    },
                    permit,
                )
                .await?;
                if closed {
                    return None;
                }
                if empty {
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(LONGEST_EMPTY_PAUSE.max(self.shared.poll));
                } else {
                    self.pause = self.shared.poll;
                }
            }
            Err(SourceError::Gone) => {
                self.tell(Told::Gone, None).await?;
                return None;
            }
            Err(SourceError::Expired) => self.place.iterator = None,
            Err(SourceError::Trimmed) if self.place.after.is_some() && self.place.trimmed.is_none() => {
                self.place.iterator = None;
                self.place.trimmed.clone_from(&self.place.after);
            }
            Err(error @ (SourceError::Trimmed | SourceError::Missing(_) | SourceError::Unavailable(_))) => {
                drop(permit);
                self.tell(Told::Trouble(error.to_string()), None).await?;
                tokio::time::sleep(self.trouble_pause).await;
                self.trouble_pause = (self.trouble_pause * 2).min(LONGEST_TROUBLE_PAUSE);
            }
        }
        Some(())
    }

    async fn next_page(&mut self) -> Result<crate::source::Page, SourceError> {
        let iterator = match self.place.iterator.take() {
            Some(iterator) => iterator,
            None => {
                let after = self.place.after.as_ref().filter(|_| self.place.trimmed.is_none());
                self.shared
                    .source
                    .iterator(&self.shared.arn, &self.shard, after)
                    .await?
            }
        };
        let page = self.shared.source.page(&iterator).await;
        if matches!(page, Err(SourceError::Unavailable(_))) {
            // The same place again: a new iterator costs a request and proves nothing.
            self.place.iterator = Some(iterator);
        }
        page
    }

    async fn tell(&self, told: Told, permit: Option<OwnedSemaphorePermit>) -> Option<()> {
        self.shared
            .tell
            .send(Message {
                shard: self.shard.clone(),
                told,
                _permit: permit,
            })
            .await
            .ok()
    }
}
