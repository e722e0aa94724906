//! The product's public types: the two custom resources, and the two contracts by which operator and workers talk. No network.
//!
//! - [`pipeline`] and [`stage_run`]: what users write and read. Their doc comments are the text of `kubectl explain`.
//! - [`launch`]: operator to worker. One settings file, environment names, ports, exit codes, termination report.
//! - [`progress`]: worker to operator. The JSON of `GET /progress`.

#![allow(
    clippy::doc_markdown,
    reason = "the doc comments are the text of kubectl explain, which shows backticks as they stand"
)]

pub mod labels;
pub mod launch;
pub mod manifests;
pub mod pipeline;
pub mod progress;
pub mod stage;
pub mod stage_run;
pub mod text;

pub use pipeline::{Pipeline, PipelineSpec, PipelineStatus};
pub use stage::{Stage, Worker};
pub use stage_run::{StageRun, StageRunSpec, StageRunStatus};

/// API group of both kinds.
pub const GROUP: &str = "medallion.dev";
/// Version of both kinds.
pub const VERSION: &str = "v1alpha1";
/// Annotation by which a user asks for a run of the batch stages now, or a new run of a failed stage. Any new value counts.
pub const REQUESTED_AT_ANNOTATION: &str = "medallion.dev/requested-at";
