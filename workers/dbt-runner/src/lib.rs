//! The dbt-runner: one run of Silver or Gold, built and tested by dbt on `DuckDB`, then committed to the lake. Talks to object storage.
//!
//! The pure modules decide: [`plan`] the range and the tables to publish, [`touched`] the partitions to rewrite, [`views`]
//! the files behind each view. [`source`] and [`sink`] are the lake, [`driver`] is the Python process with dbt, which sees
//! the lake through [`reader`] alone. [`steps`] puts them in order, [`timing`] keeps how long they took, [`project`] tells one
//! project from another. What a row means only the dbt project knows.

pub mod artifacts;
pub mod driver;
pub mod error;
pub mod metrics;
pub mod plan;
pub mod position;
pub mod project;
pub mod protocol;
pub mod reader;
pub mod settings;
pub mod sink;
pub mod source;
pub mod steps;
pub mod timing;
pub mod touched;
pub mod types;
pub mod views;

use std::path::{Path, PathBuf};
use std::time::Duration;

use medallion_crds::launch::report::{Report, RunReport};
use medallion_crds::launch::{DbtRunnerSettings, SCRATCH_PATH};
use medallion_lake::LakeStore;
use worker_kit::{Context, WorkerError};

use crate::artifacts::Keeper;
use crate::driver::Python;
use crate::error::RunError;
use crate::metrics::RunMetrics;
use crate::settings::LayerPlace;
use crate::steps::Run;
use crate::timing::Timing;

/// Artifacts are given up after so long; less than a pod is given to stop.
const KEEPING: Duration = Duration::from_secs(20);

/// Runs the worker to its end.
pub async fn run(context: Context<DbtRunnerSettings>) -> Result<Option<Report>, WorkerError> {
    let scratch = std::env::var_os(driver::SCRATCH_VARIABLE).map_or_else(|| PathBuf::from(SCRATCH_PATH), PathBuf::from);
    let place = LayerPlace::new(&context.settings)?;
    let metrics = RunMetrics::new(&context.metrics);
    let aws = if source::is_local(&place.folder)? {
        None
    } else {
        Some(worker_kit::aws::configuration(&context.settings.region).await)
    };
    let store = match &aws {
        Some(configuration) => LakeStore::s3(configuration),
        None => LakeStore::local(),
    };
    let store = store.map_err(RunError::from)?;
    context.ready.send_replace(true);

    let timing = Timing::default();
    let run = Run {
        settings: &context.settings,
        place: &place,
        store: &store,
        python: &Python::from_env(),
        scratch: &scratch,
        progress: &context.progress,
        metrics: &metrics,
        timing: &timing,
        shutdown: &context.shutdown,
    };
    // A run may end at any point: what is not committed does not exist, and the next attempt goes on from what is.
    let outcome = tokio::select! {
        biased;
        outcome = run.execute() => outcome,
        () = context.shutdown.cancelled() => Err(RunError::Interrupted),
    };
    let outcome = outcome.map_err(WorkerError::from);
    let wanted = &context.settings.worker.run;
    if let Some(keeper) = Keeper::new(aws.as_ref(), &place.folder, &wanted.uid, wanted.attempt) {
        keep(&keeper, &scratch, &timing, &outcome).await;
    }
    outcome.map(|report| Some(Report::Run(report)))
}

async fn keep(keeper: &Keeper, scratch: &Path, timing: &Timing, outcome: &Result<RunReport, WorkerError>) {
    let report = match outcome {
        Ok(report) => Report::Run(report.clone()),
        Err(error) => Report::Failure(error.report()),
    };
    let own = [
        // Here there is room for all of it.
        ("report.json", serde_json::to_string(&report).unwrap_or_default()),
        ("steps.json", timing.to_json()),
    ];
    // A run's fate never hangs on its artifacts, and a store that does not answer must not hold up what stands committed.
    if tokio::time::timeout(KEEPING, keeper.keep(scratch, own)).await.is_err() {
        tracing::warn!(seconds = KEEPING.as_secs(), "artifacts not kept in time");
    }
}
