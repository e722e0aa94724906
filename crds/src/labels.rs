//! Labels and annotations that the operator puts on its children. No network.

/// Name of the owning `Pipeline`.
pub const PIPELINE: &str = "medallion.dev/pipeline";
/// Stage word (`bronze`), absent on children that belong to no stage.
pub const STAGE: &str = "medallion.dev/stage";
/// Worker word (`exporter`).
pub const WORKER: &str = "medallion.dev/worker";
/// Name of the `StageRun` a Job works for.
pub const RUN: &str = "medallion.dev/run";
/// Attempt number of a Job within its run, 1 for the first.
pub const ATTEMPT: &str = "medallion.dev/attempt";
/// Standard label, always [`MANAGER`].
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`] and the operator's field manager.
pub const MANAGER: &str = "medallion-operator";
/// Annotation: digest of the settings a pod was made from; a changed digest rolls the pods.
pub const SETTINGS_HASH: &str = "medallion.dev/settings-hash";
/// Annotation on the pods of Jobs: the text of their settings file, which they mount from there.
pub const SETTINGS: &str = "medallion.dev/settings";
/// Annotation on Deployments: digest of everything that was planned for them. Until it stands there the plan has not been applied.
pub const PLANNED_HASH: &str = "medallion.dev/planned-hash";
/// Annotation on runs and their Jobs: digest of everything that the stage's pods are made from, without the run's own part. A changed digest gives a failed stage a new run.
pub const LAUNCH_HASH: &str = "medallion.dev/launch-hash";
/// Annotation on runs and their Jobs: digest of what decides the stage's product beside its inputs (the dbt project's image; the warehouse and its tables). A digest other than that of the last success starts a run.
pub const PRODUCT_HASH: &str = "medallion.dev/product-hash";
/// Annotation on runs: why the operator made them, in a few words for people.
pub const STARTED_BY: &str = "medallion.dev/started-by";
/// Annotation on runs: generation of the Pipeline they were made for.
pub const PIPELINE_GENERATION: &str = "medallion.dev/pipeline-generation";
/// Annotation on the `CustomResourceDefinition`s: version of the crate that they were generated from.
pub const VERSION: &str = "medallion.dev/version";
