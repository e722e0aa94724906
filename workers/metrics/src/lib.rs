//! Metrics of workers and operator beside `/metrics`: the same figures as log lines that CloudWatch reads, and errors counted. Writes to standard output.
//!
//! A program has one registry. What it shows to Prometheus is what [`Embedder`] turns into lines of CloudWatch's embedded
//! metric format, so the two cannot name a thing differently.

mod embedded;
mod emission;
mod errors;
mod exposition;
mod told;

pub use embedded::Embedder;
pub use emission::Emission;
pub use errors::{CountErrors, errors};
pub use told::NAMESPACE;
