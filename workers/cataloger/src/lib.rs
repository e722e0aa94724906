//! The cataloger: the lake's tables into the AWS Glue Data Catalog, for engines that find tables by name. Talks to object storage and Glue.
//!
//! A table of the catalog says where the Delta table lies and which columns it has, with types and comments; rows and
//! partitions are the Delta log's, which engines read themselves. A run compares what stands in the catalog with the
//! tables' newest schemas and changes what differs, one call a table: whatever it is killed in, the next one does the rest.
//!
//! Each table names its owner. One of another Pipeline, or of nobody that we know, is refused before anything is written,
//! and taken over only by name.

mod catalog;
mod error;
mod hive;
mod lake;
mod register;
mod table;

use aws_config::SdkConfig;
use medallion_crds::Reason;
use medallion_crds::launch::report::{Report, RunReport};
use medallion_crds::launch::{CatalogerSettings, Settings};
use worker_kit::{Context, ProgressHandle, WorkerError};

use crate::register::Register;

/// Runs one attempt of one run.
pub async fn run(context: Context<CatalogerSettings>) -> Result<Option<Report>, WorkerError> {
    let configuration = worker_kit::aws::configuration(&context.settings.region).await;
    context.ready.send_replace(true);
    tokio::select! {
        report = register(&context.settings, &configuration, &configuration, context.progress) => {
            Ok(Some(Report::Run(report?)))
        }
        () = context.shutdown.cancelled() => {
            Err(WorkerError::environment(Reason::Interrupted, "asked to stop before all tables were registered: it is tried again"))
        }
    }
}

/// Registers what the settings say. Lake and catalog have a configuration each, which are one and the same outside of tests.
pub async fn register(
    settings: &Settings<CatalogerSettings>,
    lake: &SdkConfig,
    catalog: &SdkConfig,
    progress: ProgressHandle,
) -> Result<RunReport, WorkerError> {
    Ok(Register::new(settings, lake, catalog, progress)?.run().await?)
}
