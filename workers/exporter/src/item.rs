//! One change of the stream, decoded. No network.

use jiff::Timestamp;
use medallion_contract::{Change, ChangeKind};

use crate::sequence::Sequence;

/// A record of the stream.
#[derive(Clone, Debug)]
pub struct StreamRecord {
    /// Its place in the shard.
    pub sequence: Sequence,
    /// What happened.
    pub kind: ChangeKind,
    /// The item's key.
    pub key: String,
    /// The item's event id.
    pub event_id: String,
    /// The event's JSON text. For an item that somebody else wrote without one: the whole item, in `DynamoDB`'s JSON.
    pub payload: Option<String>,
    /// Version of the contract the event was checked against.
    pub contract: Option<String>,
    /// Digest of the payload.
    pub digest: Option<String>,
    /// Where the event came from.
    pub source: Option<String>,
    /// When the change was made, to the second.
    pub changed_at: Timestamp,
    /// The item's time to live had ended: housekeeping, and never a business delete.
    pub expired: bool,
}

impl StreamRecord {
    /// As Bronze takes it.
    pub fn change<'r>(&'r self, shard: &'r str) -> Change<'r> {
        Change {
            kind: self.kind,
            key: &self.key,
            event_id: &self.event_id,
            contract: self.contract.as_deref(),
            digest: self.digest.as_deref(),
            changed_at: self.changed_at,
            shard,
            sequence: self.sequence.as_str(),
            source: self.source.as_deref(),
        }
    }
}
