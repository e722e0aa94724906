//! Decides what an operator has to do: (validated pipeline, observed cluster, time) to desired children, next steps, status. No network.
//!
//! [`plan()`] is the whole interface. It has no memory and no clock: after a crash the next plan starts from what stands. The layers,
//! each using only those above it:
//!
//! - `model`: what is given and what is decided, as data
//! - `build`: desired objects
//! - `stages`: the table of stages, one file a stage
//! - `runs`: the table of kinds of run, one file a kind
//! - `assess`: what is true
//! - `decide`: what comes next
//! - `report`: what users read

mod assess;
mod build;
mod decide;
mod model;
mod report;
mod runs;
mod stages;

use jiff::Timestamp;
use medallion_crds::Stage;

pub use build::job::LaunchTemplate;
pub use build::pod::WorkerPod;
pub use build::settings::{Launch, LaunchSettings, consumer_group, digest};
pub use decide::stranded::{job_name as job_of_run, without_pipeline};
pub use model::action::{ObjectId, Plan, PlanError, PlannedEvent, PlannedRun};
pub use model::child::Child;
pub use model::cluster::{ApplyFailure, Contract, Observed};
pub use model::conditions;
pub use model::config::{DbtLimits, Images, Limits, OperatorConfig, Size, WorkerConfig};
pub use model::job::has_ended as job_has_ended;
pub use model::kept_pod::{Pod, PodSpec};
pub use model::names;
pub use model::past::forget_details;
pub use model::pipeline::{Fault, ValidateError, ValidatedPipeline, Warehouse};
pub use model::pod::{has_ended as pod_has_ended, worker_state};
pub use model::product::Product;
pub use model::run::is_over;
pub use model::shared::Shared;
pub use model::uses::job_uses;
pub use model::wish::{BatchRules, StageWish, WorkWish};
pub use report::{Urgency, urgency};
pub use stages::provisioner::job_under_way as job_of_provisioner;
pub use stages::{Batch, STAGES, StageEntry, StageRequest, Streaming, Work};

/// The settings of a stage's function on AWS Lambda: those that its pods would have, but for what a function is otherwise. `None`: the
/// pipeline is without the stage, or the stage is never a function.
pub fn function(stages: &[StageEntry], settings: &LaunchSettings<'_>, stage: Stage) -> Option<Launch> {
    settings.pipeline.wish(stage)?;
    let entry = stages.iter().find(|entry| entry.stage == stage)?;
    match entry.work {
        Work::Streaming(streaming) => streaming.function.map(|function| function(settings)),
        Work::Batch(_) => None,
    }
}

/// Decides the next step of a pipeline whose stages are those of a table. The same observation gives the same plan.
pub fn plan(
    stages: &[StageEntry],
    pipeline: &ValidatedPipeline,
    observed: &Observed,
    config: &OperatorConfig,
    now: Timestamp,
) -> Result<Plan, PlanError> {
    if pipeline.deleting {
        // Owner references end everything inside the cluster; what is outside stays.
        return Ok(Plan::default());
    }
    let basis = stages::Basis {
        table: stages,
        pipeline,
        observed,
        config,
        now,
    };
    let provisioning = decide::provisioning::step(&basis);
    let deployments = decide::deployments::plan(&basis, &provisioning);
    let streaming = assess::streaming::all(&basis, &deployments.children, |place| {
        provisioning.hinders_change(place)
    });
    let keep = decide::deployments::keep(&basis, &provisioning, &deployments.children, &streaming);
    let batch = decide::batch::all(&basis, &provisioning, &streaming);
    let report = report::status::report(&basis, &provisioning, &streaming, &batch)?;
    let held_open = decide::retention::held_open(&basis);
    let stranded = decide::stranded::plan(&basis);
    let parts = [
        provisioning.plan,
        deployments,
        keep,
        batch.plan,
        stranded,
        held_open,
        report,
    ];
    Ok(parts.into_iter().collect())
}
