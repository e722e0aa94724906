//! The product's public types: the two custom resources, and the two contracts by which operator and workers talk. No network.
//!
//! - [`pipeline`] and [`stage_run`]: what users write and read. Their doc comments are the text of `kubectl explain`.
//! - [`launch`]: operator to worker. One settings file, environment names, ports, exit codes, termination report.
//! - [`progress`]: worker to operator. The JSON of `GET /progress`.
//! - [`reason`]: the words by which both say why.

#![allow(
    clippy::doc_markdown,
    reason = "the doc comments are the text of kubectl explain, which shows backticks as they stand"
)]

pub mod hex;
pub mod labels;
pub mod launch;
pub mod manifests;
pub mod owner;
pub mod pipeline;
pub mod progress;
pub mod reason;
pub mod stage;
pub mod stage_run;
pub mod text;

pub use owner::Owner;
pub use pipeline::{Pipeline, PipelineSpec, PipelineStatus};
pub use reason::{Reason, Severity};
pub use stage::{Stage, Worker};
pub use stage_run::{StageRun, StageRunSpec, StageRunStatus};

/// API group of both kinds.
pub const GROUP: &str = "medallion.dev";
/// Version of both kinds.
pub const VERSION: &str = "v1alpha1";
/// Annotation by which a user asks for a run of the batch stages now, or a new run of a failed stage. Any new value counts.
pub const REQUESTED_AT_ANNOTATION: &str = "medallion.dev/requested-at";
/// Annotation by which a user lets the pipeline take over what is not its own, separated by commas. Each value names whom or what it
/// displaces and is good for that alone: an owner (installation/namespace/name), a warehouse table that nobody owns (schema.table), a
/// lake table that nobody owns (its URL), or a topic that was made anew (topic/<its new id>). Without effect once that is done.
pub const ADOPT_ANNOTATION: &str = "medallion.dev/adopt";
