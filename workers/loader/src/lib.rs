//! The loader: Gold into Redshift, by COPY and one transaction that moves the ledger. Talks to object storage and the Redshift Data API.
//!
//! What is already in the warehouse stands in the ledger, a table beside the loaded ones: one row per table, with the
//! Gold version it holds. A run copies what differs between that version and its input into staging tables, counts it,
//! and then replaces the touched rows and the ledger's rows in one transaction, which fails if the ledger no longer
//! stands where the run began. Whatever becomes of the statements on the way, the ledger says what became of the load.
//! So a run that is killed, repeated or overtaken changes nothing or everything, once.
//!
//! The ledger also says whose each table is. A table that is another Pipeline's, or that holds rows which nobody has
//! loaded, is refused before anything is written, and taken over only by name. A table that does not hold what its last
//! load left (dropped, emptied, a column dropped) is made anew whole.

mod claim;
mod column;
mod error;
mod failure;
mod gold;
mod identifier;
mod judge;
mod layout;
mod ledger;
mod load;
mod manifest;
mod metrics;
mod names;
mod plan;
mod records;
mod refusal;
mod settings;
mod sql;
mod statement;
mod statistics;
mod touched;
mod warehouse;

use aws_config::SdkConfig;
use medallion_crds::Reason;
use medallion_crds::launch::report::{Report, RunReport};
use medallion_crds::launch::{LoaderSettings, Settings};
use worker_kit::{Context, Metrics, ProgressHandle, WorkerError};

use crate::load::Loader;
use crate::metrics::LoadMetrics;
use crate::settings::Job;

/// Runs one attempt of one run.
pub async fn run(context: Context<LoaderSettings>) -> Result<Option<Report>, WorkerError> {
    let configuration = worker_kit::aws::configuration(&context.settings.region).await;
    context.ready.send_replace(true);
    // Everything the loader does may end at any point: the next attempt asks the ledger.
    tokio::select! {
        report = load(&context.settings, &configuration, &configuration, context.progress, &context.metrics) => {
            Ok(Some(Report::Run(report?)))
        }
        () = context.shutdown.cancelled() => {
            Err(WorkerError::environment(Reason::Interrupted, "asked to stop before the load was done: it is tried again"))
        }
    }
}

/// Loads what the settings say, unless the ledger says that it is loaded. Lake and warehouse have a configuration each,
/// which are one and the same outside of tests.
pub async fn load(
    settings: &Settings<LoaderSettings>,
    lake: &SdkConfig,
    warehouse: &SdkConfig,
    progress: ProgressHandle,
    metrics: &Metrics,
) -> Result<RunReport, WorkerError> {
    let job = Job::new(settings)?;
    let loader = Loader::new(job, lake, warehouse, progress, LoadMetrics::new(metrics))?;
    Ok(loader.load().await?)
}
