//! HTTP to Kafka: takes events, checks them against the contract, and says success only after the broker's
//! acknowledgement. Listens on the HTTP port, or takes the events of a function, and produces to Kafka.
//!
//! One request goes this way: [`server`] (connections, slow clients) → [`router`] (authentication, media type, size) →
//! [`body`] (text into events) → [`admission`] (contract, produce, await all acknowledgements) → [`answer`].
//! As a [`function`] of AWS Lambda the router is the same, and [`server`] is API Gateway's matter.

mod admission;
mod answer;
mod body;
pub mod function;
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
pub use router::{Deadline, router};
pub use run::{run, run_on};
pub use settings::Limits;
pub use state::GatewayState;
pub use tokens::Tokens;
