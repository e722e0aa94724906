//! What the reader of a shard sends to the engine. No network.

use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use crate::item::StreamRecord;
use crate::source::SourceError;

/// One event of one shard.
pub(crate) struct Message {
    pub(crate) shard: String,
    pub(crate) event: Event,
    /// Held while the page is in memory and not taken in yet: it bounds how many pages there are.
    pub(crate) _permit: Option<OwnedSemaphorePermit>,
}

/// What happened at a shard.
pub(crate) enum Event {
    /// An answer, be it without records.
    Page {
        records: Vec<StreamRecord>,
        /// This was the shard's end.
        closed: bool,
        asked_at: Timestamp,
    },
    /// The shard is about to be read from the oldest record that the stream keeps.
    FromOldest,
    /// The stream does not know the shard any more.
    Gone,
    /// The stream does not answer; the reader tries again by itself.
    Trouble(SourceError),
}
