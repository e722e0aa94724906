//! What the exporter asks of a stream. Implementations talk to `DynamoDB`, or simulate it.

use std::future::Future;

use crate::item::StreamRecord;
use crate::lineage::Listed;
use crate::sequence::Sequence;

/// The most records that one answer may hold.
pub const PAGE_RECORDS: usize = 1000;

/// The stream that the table has now, and its shards.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Listing {
    /// The stream.
    pub arn: String,
    /// All shards it still knows.
    pub shards: Vec<Listed>,
    /// It has been switched off: it still gives what it has, and takes in nothing more.
    pub disabled: bool,
}

/// One answer of a shard.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Records in order; none does not mean that there are none further on.
    pub records: Vec<StreamRecord>,
    /// Where to go on; absent when the shard is closed and this was its end.
    pub next: Option<String>,
}

/// Why the stream did not answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SourceError {
    /// The iterator is too old: get another one at the same place.
    #[error("the shard iterator has expired")]
    Expired,
    /// The place asked for is older than what the stream keeps.
    #[error("the position has been trimmed")]
    Trimmed,
    /// The shard or the stream does not exist any more.
    #[error("the shard is gone")]
    Gone,
    /// The table or its stream is missing.
    #[error("{0}")]
    Missing(String),
    /// Anything else: try again later.
    #[error("{0}")]
    Unavailable(String),
}

/// A stream of changes.
pub trait StreamSource: Send + Sync + 'static {
    /// The table's stream and all its shards.
    fn list(&self) -> impl Future<Output = Result<Listing, SourceError>> + Send;

    /// An iterator behind a record of a shard, or at the oldest record it keeps.
    fn iterator(
        &self,
        arn: &str,
        shard: &str,
        after: Option<&Sequence>,
    ) -> impl Future<Output = Result<String, SourceError>> + Send;

    /// The next records, so many at most.
    fn page(&self, iterator: &str, most: usize) -> impl Future<Output = Result<Page, SourceError>> + Send;
}
