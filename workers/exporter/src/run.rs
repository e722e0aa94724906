//! Puts the exporter together from its settings. Talks to `DynamoDB` and S3.

use std::sync::Arc;

use jiff::Timestamp;
use medallion_contract::Contract;
use medallion_crds::Reason;
use medallion_crds::launch::ExporterSettings;
use medallion_crds::launch::report::Report;
use medallion_crds::pipeline::RunsOn;
use medallion_lake::{Claim, LakeStore};
use worker_kit::{Context, WorkerError};

use crate::bronze::BronzeSink;
use crate::dynamodb::DynamoDbSource;
use crate::engine::Engine;
use crate::metrics::ExporterMetrics;
use crate::settings::engine_settings;

/// Exports until it is asked to stop; or, where a function does, hands the stream over to it and observes.
pub async fn run(context: Context<ExporterSettings>) -> Result<Option<Report>, WorkerError> {
    let settings = &context.settings.worker;
    let engine_settings = engine_settings(settings)?;
    let contract = Contract::mounted(&settings.contract)
        .map_err(|error| WorkerError::settings(Reason::BadContract, error.to_string()))?;
    let configuration = worker_kit::aws::configuration(&context.settings.region).await;
    let table = LakeStore::s3(&configuration)
        .and_then(|store| store.table(&settings.lake.bronze_table))
        .map_err(|error| WorkerError::settings(Reason::BadBronzeAddress, error.to_string()))?;
    let claim = Claim::new(
        context.settings.pipeline.owner().to_string(),
        context.settings.adopt.clone(),
    );
    let table = table.claimed(&claim);
    let sink = BronzeSink::new(table.clone(), contract).beating(context.progress.clone());
    let sink = match settings.runs_on {
        RunsOn::Cluster => sink,
        RunsOn::Lambda => sink.observing(),
    };
    let engine = Engine::new(
        DynamoDbSource::new(&configuration, &settings.table),
        sink,
        engine_settings,
        Arc::new(Timestamp::now),
        context.progress.clone(),
        ExporterMetrics::register(&context.metrics),
        context.ready.clone(),
    );
    let engine = match settings.runs_on {
        RunsOn::Cluster => engine,
        RunsOn::Lambda => engine.observing(),
    };
    let ended = engine.run(&context.shutdown).await;
    table.settle().await;
    ended.map(|()| None)
}
