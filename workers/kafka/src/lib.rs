//! What all Kafka clients of a pipeline share: how they are configured, who they are to the brokers, and why brokers refuse them. Asks the brokers; reads mounted files.
//!
//! A worker opens [`Brokers`] once. From what is mounted at a moment, a [`Snapshot`], it makes its clients, each with a
//! [`KafkaContext`]; [`Renewed`] makes the next one when a Secret was rotated. Whatever keeps brokers from answering
//! becomes a [`Diagnosis`]: a word, what is missing, and what to do.

mod brokers;
mod configuration;
mod context;
mod diagnosis;
mod failure;
mod inspect;
mod material;
mod party;
mod permission;
mod producer;
mod renewed;
mod signer;
mod token;

pub use brokers::{Brokers, Snapshot, reach, serve};
pub use context::KafkaContext;
pub use diagnosis::Diagnosis;
pub use kafka_admin::Operation;
pub use party::{Need, Resource, code_of};
pub use permission::{Rights, rights};
pub use producer::{Fatal, KafkaProducer};
pub use renewed::Renewed;
pub use signer::{Clock, TokenSource, iam_tokens};
pub use token::Token;
