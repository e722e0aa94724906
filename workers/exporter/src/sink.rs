//! Where the exporter's rows go. Implementations write Bronze, or keep rows for tests.

use std::future::Future;

use worker_kit::WorkerError;

use crate::item::StreamRecord;
use crate::position::{Committed, Pending};

/// What a commit made visible.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Flushed {
    /// Version of the table.
    pub version: u64,
    /// Rows of this commit.
    pub rows: u64,
}

/// What a log says that others commit to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// Who holds the stream, and where its shards stand.
    pub committed: Committed,
    /// The rows that have come since this process knew the log, if any has.
    pub news: Option<Flushed>,
}

/// Why rows could not be committed.
#[derive(Clone, Debug)]
pub enum SinkError {
    /// Something outside does not work: the same commit is tried again.
    Retry(WorkerError),
    /// This process must end.
    End(WorkerError),
}

/// A table that takes rows and positions in one commit.
pub trait Sink: Send + 'static {
    /// What the table's log says about progress.
    fn load(&mut self) -> impl Future<Output = Result<Committed, SinkError>> + Send;

    /// What the log says now that others may have committed. Reads it if it has moved, and makes no table.
    fn look(&mut self) -> impl Future<Output = Result<Seen, SinkError>> + Send;

    /// Drops the rows of a commit that is not to be made any more.
    fn discard(&mut self);

    /// Version of the table as it was loaded or committed last; `None` before it was loaded, and of a table without rows.
    fn version(&self) -> Option<u64>;

    /// Adds a row to the next commit.
    fn append(&mut self, shard: &str, record: &StreamRecord);

    /// Bytes of the next commit's rows in memory.
    fn bytes(&self) -> usize;

    /// Commits the rows and the positions. Class fenced: somebody else has moved them, and nothing was committed; the rows
    /// stay for another try on top of that, after a [`Sink::look`], or for [`Sink::discard`]. After [`SinkError::Retry`]
    /// it is called again with the same positions, and without rows in between.
    fn commit(&mut self, pending: &Pending) -> impl Future<Output = Result<Flushed, SinkError>> + Send;
}
