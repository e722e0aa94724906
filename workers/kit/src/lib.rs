//! The skeleton every worker shares: settings, telemetry, admin server, shutdown, error classes, termination report. Listens on the admin port.
//!
//! A worker is a library with `async fn run(context: Context<ItsSettings>) -> Result<Option<Report>, WorkerError>` and a
//! `main.rs` that hands it to [`start`]. The kit reads the settings file, serves `/livez /readyz /metrics /progress`,
//! turns SIGTERM into [`Context::shutdown`], and ends the process with the exit code and the termination report that
//! the operator reads.

mod admin;
pub mod aws;
mod emission;
mod error;
pub mod function;
mod hold;
#[cfg(test)]
mod log_filters;
mod mend;
mod metrics;
mod partition;
mod progress;
mod run;
mod settings;
mod telemetry;
mod termination;

pub use error::{ErrorClass, WorkerError};
pub use hold::hold_point;
pub use metrics::{Metrics, StepSeconds, TableGauge};
pub use partition::Partition;
pub use progress::{Clock, LONGEST_TURN, ProgressHandle};
pub use run::{Context, start};
pub use settings::{Faults, SettingsError, parse as parse_settings};

/// Version of the product, as in the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
