//! Decides what an operator has to do: (validated spec, observed cluster, time) to desired children, next steps, status. No network.
//!
//! [`plan()`] is the whole interface. It has no memory and no clock: after a crash the next plan starts from what stands.

mod attempt;
mod batch;
mod child;
mod conditions;
mod config;
mod consumer;
mod dbt_runner;
mod exporter;
mod gateway;
mod health;
mod history;
mod job;
mod loader;
mod meta;
pub mod names;
mod observed;
mod plan;
mod pod;
mod pods;
mod provisioner;
mod provisioning;
mod rules;
mod run;
mod settings;
mod stage_status;
mod standing;
mod status;
mod streaming;
mod trigger;
mod validate;

pub use child::Child;
pub use config::{DbtRunnerConfig, Images, OperatorConfig, WorkerConfig};
pub use job::PlannedJob;
pub use observed::{Contract, Observed};
pub use plan::{ObjectId, Plan, PlanError, PlannedEvent, PlannedRun, plan};
pub use pods::has_ended as pod_has_ended;
pub use run::is_over;
pub use settings::digest;
pub use status::{Urgency, urgency};
pub use validate::{Fault, ValidateError, ValidatedPipeline};
