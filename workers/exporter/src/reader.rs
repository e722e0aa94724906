//! Reads one shard, page after page, until its end. Asks the stream through its source.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::clock::Clock;
use crate::lineage::Start;
use crate::message::{Event, Message};
use crate::sequence::Sequence;
use crate::source::{PAGE_RECORDS, Page, SourceError, StreamSource};

const LONGEST_EMPTY_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_TROUBLE_PAUSE: Duration = Duration::from_secs(10);

/// What all readers of a stream share.
pub(crate) struct Shared<S> {
    pub(crate) source: Arc<S>,
    pub(crate) arn: String,
    pub(crate) poll: Duration,
    pub(crate) clock: Clock,
    pub(crate) pages: Arc<Semaphore>,
    pub(crate) messages: mpsc::Sender<Message>,
}

/// Reads until the shard's end, or until nobody listens.
pub(crate) async fn read<S: StreamSource>(shared: Arc<Shared<S>>, start: Start) {
    let mut reader = Reader {
        after: start.after,
        trimmed: false,
        iterator: None,
        shard: start.shard,
        pause: shared.poll,
        trouble_pause: shared.poll,
        troubles: 0,
        expired: false,
        shared,
    };
    while reader.step().await.is_some() {}
}

struct Reader<S> {
    shared: Arc<Shared<S>>,
    shard: String,
    after: Option<Sequence>,
    /// The position has been trimmed: the shard is read from its oldest record.
    trimmed: bool,
    iterator: Option<String>,
    pause: Duration,
    trouble_pause: Duration,
    /// Answers since the last page that were none.
    troubles: u32,
    /// The last answer was that the iterator had expired.
    expired: bool,
}

impl<S: StreamSource> Reader<S> {
    /// One page. `None` when there is nothing more to do.
    async fn step(&mut self) -> Option<()> {
        let permit = Arc::clone(&self.shared.pages).acquire_owned().await.ok()?;
        let asked_at = (self.shared.clock)();
        if self.iterator.is_none() && self.position().is_none() {
            self.send(Event::FromOldest, None).await?;
        }
        match self.next_page().await {
            Ok(page) => {
                self.trouble_pause = self.shared.poll;
                self.troubles = 0;
                self.expired = false;
                let (closed, empty) = (page.next.is_none(), page.records.is_empty());
                if let Some(last) = page.records.last() {
                    self.after = Some(last.sequence.clone());
                    self.trimmed = false;
                }
                self.iterator = page.next;
                let permit = (!empty).then_some(permit);
                self.send(
                    Event::Page {
                        records: page.records,
                        closed,
                        asked_at,
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
                self.send(Event::Gone, None).await?;
                return None;
            }
            Err(SourceError::Expired) if !self.expired => {
                self.expired = true;
                self.iterator = None;
            }
            Err(SourceError::Trimmed) if self.after.is_some() && !self.trimmed => {
                self.trimmed = true;
                self.iterator = None;
            }
            Err(error) => {
                drop(permit);
                self.troubles += 1;
                if self.troubles > 1 {
                    // It may be the iterator that is wrong; some streams know no better word for it.
                    self.iterator = None;
                }
                self.send(Event::Trouble(error), None).await?;
                tokio::time::sleep(self.trouble_pause).await;
                self.trouble_pause = (self.trouble_pause * 2).min(LONGEST_TROUBLE_PAUSE);
            }
        }
        Some(())
    }

    /// Behind which record to read; `None`: from the oldest.
    fn position(&self) -> Option<&Sequence> {
        self.after.as_ref().filter(|_| !self.trimmed)
    }

    async fn next_page(&mut self) -> Result<Page, SourceError> {
        let iterator = if let Some(iterator) = self.iterator.take() {
            iterator
        } else {
            let Shared { source, arn, .. } = self.shared.as_ref();
            source.iterator(arn, &self.shard, self.position()).await?
        };
        let page = self.shared.source.page(&iterator, PAGE_RECORDS).await;
        if matches!(page, Err(SourceError::Unavailable(_))) {
            // The same place again: a new iterator costs a request.
            self.iterator = Some(iterator);
        }
        page
    }

    async fn send(&self, event: Event, permit: Option<OwnedSemaphorePermit>) -> Option<()> {
        self.shared
            .messages
            .send(Message {
                shard: self.shard.clone(),
                event,
                _permit: permit,
            })
            .await
            .ok()
    }
}
