//! What all Kafka clients of a pipeline share: how they are configured, and what is said when brokers do not allow something. Opens no connection.

mod configuration;
mod diagnosis;
mod party;
mod renewed;

pub use configuration::{client, consumer, producer};
pub use diagnosis::Diagnosis;
pub use party::{Need, Operation, Party, Resource, code_of};
pub use renewed::Renewed;
