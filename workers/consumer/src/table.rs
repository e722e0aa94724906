//! What is stored, where, and how the table answers. No network.

use futures::future::BoxFuture;
use medallion_crds::Reason;
use thiserror::Error;

/// One event as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// Partition key: canonical text of the event's key.
    pub key: String,
    /// Sort key: canonical text of the event id.
    pub event_id: String,
    /// The event's JSON text as it was sent.
    pub payload: String,
    /// Hex SHA-256 of the payload's canonical form.
    pub digest: String,
    /// The contract version that the record carries.
    pub contract_version: String,
    /// topic/partition/offset.
    pub source: String,
    /// The second of the epoch after which it may be deleted; `None`: never.
    pub expires_at: Option<i64>,
}

/// The table's answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Put {
    /// The item is stored.
    Stored,
    /// There is an item of this key and event id already.
    Exists {
        /// Its payload digest, if it has one.
        digest: Option<String>,
        /// Where it came from, if it says so.
        source: Option<String>,
    },
}

/// Why the table has no answer.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum TableError {
    /// This item can never be stored.
    #[error("{message}")]
    Item {
        /// CamelCase word.
        class: Reason,
        /// What is wrong with it.
        message: String,
    },
    /// Something outside does not work; the item is not to blame.
    #[error("{message}")]
    Environment {
        /// CamelCase word.
        reason: Reason,
        /// What, where and what to do.
        message: String,
    },
}

/// Where items go.
pub trait Table: Send + Sync + 'static {
    /// Stores the item unless there is one of its key and event id.
    fn put<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Result<Put, TableError>>;
}
