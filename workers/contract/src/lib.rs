//! The event contract: what an event looks like, how it is checked, identified and laid out in columns. No network.
//!
//! A [`Contract`] is compiled once from a JSON Schema and the pointers to an event's key, id, time and version, and is
//! then shared by all threads. The same compiled contract checks events at the gateway and in the consumer
//! ([`Contract::check`]), and lays them out in Bronze ([`BronzeBatchBuilder`]), so no two stages can disagree about one.

mod additive;
mod bronze;
mod canonical;
mod cell;
mod column;
mod contract;
mod document;
mod number;
mod refusal;
mod rules;
mod schema;

pub use additive::{Difference, NotAdditive};
pub use bronze::{BronzeBatchBuilder, BronzePartition, Change, ChangeKind, PARTITION_COLUMN};
pub use column::{Column, ColumnType};
pub use contract::{Contract, Event, MAX_EVENT_BYTES, MAX_EVENT_ID_BYTES, MAX_KEY_BYTES, Pointers};
pub use refusal::Refusal;
pub use rules::{CONTRACT_DOMAIN, Rules};
pub use schema::ContractError;

/// Kafka header that carries the version of the contract an event was checked against.
pub const VERSION_HEADER: &str = "medallion-contract-version";
