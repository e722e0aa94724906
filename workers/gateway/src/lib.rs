//! HTTP to Kafka: takes events, checks them against the contract, and says success only after the broker's
//! acknowledgement. Listens on the HTTP port and produces to Kafka.
//!
//! One request goes this way: [`server`] (connections, slow clients) → [`router`] (authentication, media type, size) →
//! [`body`] (text into events) → [`admission`] (contract, produce, await all acknowledgements) → [`answer`].

mod admission;
mod answer;
mod body;
mod metrics;
mod pending;
mod problem;
mod publisher;
mod receive;
pub mod router;
mod run;
pub mod server;
mod settings;
mod state;
mod tokens;

pub use metrics::GatewayMetrics;
pub use pending::Pending;
pub use publisher::{Delivery, KafkaPublisher, Leftover, PublishError, Publisher};
pub use router::router;
pub use run::{run, run_on};
pub use settings::Limits;
pub use state::GatewayState;
pub use tokens::Tokens;
