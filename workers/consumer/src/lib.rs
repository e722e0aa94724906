//! Kafka to `DynamoDB`: one item per event, every record with one fate, offsets committed only over what is settled.
//! Consumes from Kafka, writes to `DynamoDB`, produces dead letters.
//!
//! One record goes this way: [`poll`] (the only thread that touches the consumer) → [`ledger`] (what is in flight) →
//! [`settle`] (until it is stored, known as a duplicate, or dead-lettered) with [`verdict`] (what it should become, and
//! by [`expiry`] for how long), [`dynamo`] and [`dead_letter`] → [`ledger`] again, whose contiguous prefix is what [`poll`] commits. Beside it [`observe`]
//! measures what waits, and [`needs`] says which right is missing where the brokers do not allow something.

mod assignment;
mod classify;
mod dead_letter;
mod dynamo;
mod expiry;
mod ledger;
mod metrics;
mod needs;
mod observe;
mod poll;
mod reaction;
mod retention;
mod run;
mod settings;
mod settle;
mod start;
mod table;
mod topic;
mod trouble;
mod verdict;
mod waiting;

pub use dead_letter::{DeadLetter, DeadLetterSink, KafkaDeadLetters};
pub use dynamo::DynamoTable;
pub use expiry::Expiry;
pub use metrics::ConsumerMetrics;
pub use poll::{Consumption, Source, consume, watch_names};
pub use run::run;
pub use settings::Limits;
pub use settle::Settler;
pub use table::{Item, Put, Table, TableError};
pub use topic::Names;
pub use trouble::Troubles;
