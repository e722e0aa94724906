//! The function's process: its parts are kept over invocations, each invocation ends before its time does. Talks to `DynamoDB`, S3 and Lambda.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lambda_events::dynamodb::TimeWindowEventResponse;
use jiff::Timestamp;
use lambda_runtime::LambdaEvent;
use medallion_contract::Contract;
use medallion_crds::Reason;
use medallion_crds::launch::{ExporterSettings, Settings};
use medallion_crds::pipeline::RunsOn;
use medallion_lake::{Claim, LakeStore, OwnedTable};
use serde_json::Value;
use tokio::sync::Mutex;
use worker_kit::WorkerError;
use worker_kit::function::{self, Package};

use super::answer::answer;
use super::event::{Batch, Invocation};
use super::taker::{Taken, Taker};
use crate::bronze::BronzeSink;
use crate::dynamodb::DynamoDbSource;
use crate::settings::engine_settings;

/// So long before Lambda would end the invocation it ends by itself, and says why.
const MARGIN: Duration = Duration::from_millis(1500);

struct Function {
    taker: Taker<DynamoDbSource, BronzeSink>,
    table: OwnedTable,
}

/// Runs the function until the Lambda runtime ends it.
pub fn start() -> ExitCode {
    function::start(async {
        let function = Arc::new(Mutex::new(open().await?));
        Ok(move |event: LambdaEvent<Value>| {
            let function = Arc::clone(&function);
            async move {
                let deadline = event.context.deadline();
                let mut function = function.lock().await;
                function.invoked(event.payload, deadline).await
            }
        })
    })
}

/// The function of this package.
async fn open() -> Result<Function, WorkerError> {
    let package = Package::of_this_program()?;
    let mut settings: Settings<ExporterSettings> = package.settings()?;
    for path in settings.worker.contract.paths_mut() {
        *path = package.place(path);
    }
    let function = Function::new(&settings).await?;
    tracing::info!(
        namespace = settings.pipeline.namespace,
        pipeline = settings.pipeline.name,
        table = settings.worker.table,
        bronze = settings.worker.lake.bronze_table,
        version = worker_kit::VERSION,
        "taking batches"
    );
    Ok(function)
}

impl Function {
    async fn new(settings: &Settings<ExporterSettings>) -> Result<Self, WorkerError> {
        let worker = &settings.worker;
        if worker.runs_on.is_cluster() {
            return Err(WorkerError::settings(
                Reason::BadSettings,
                "worker.runsOn must be Lambda: these are the settings of a Pipeline whose exporter is a pod \
                 (stages.bronze.runsOn)",
            ));
        }
        let most_bytes = engine_settings(worker)?.flush.max_bytes;
        let contract = Contract::mounted(&worker.contract)
            .map_err(|error| WorkerError::settings(Reason::BadContract, error.to_string()))?;
        let configuration = worker_kit::aws::configuration(&settings.region).await;
        let claim = Claim::new(settings.pipeline.owner().to_string(), settings.adopt.clone());
        let table = LakeStore::s3(&configuration)
            .and_then(|store| store.table(&worker.lake.bronze_table))
            .map_err(|error| WorkerError::settings(Reason::BadBronzeAddress, error.to_string()))?
            .claimed(&claim);
        let taker = Taker::new(
            DynamoDbSource::new(&configuration, &worker.table),
            BronzeSink::new(table.clone(), contract),
            Arc::new(Timestamp::now),
            most_bytes,
        );
        Ok(Self { taker, table })
    }

    async fn invoked(&mut self, event: Value, deadline: SystemTime) -> Result<TimeWindowEventResponse, WorkerError> {
        let invocation = Invocation::read(event)?;
        let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        let left = left.saturating_sub(MARGIN);
        let work = async {
            let taken = match &invocation {
                Invocation::Batch(batch) => self.taker.take(batch).await,
                Invocation::Look => self.taker.look().await,
            };
            if taken.is_ok() {
                // A sandbox is frozen with the answer, and what it has begun with it.
                self.table.settle().await;
            }
            taken
        };
        let taken = match tokio::time::timeout(left, work).await {
            Ok(taken) => taken?,
            Err(_) => return Err(out_of_time(left)),
        };
        log(&invocation, &taken);
        Ok(answer(taken.rest))
    }
}

fn log(invocation: &Invocation, taken: &Taken) {
    let (shard, records) = match invocation {
        Invocation::Batch(Batch { shard, records, .. }) => (shard.as_str(), records.len()),
        Invocation::Look => ("all", 0),
    };
    if let Some(detail) = &taken.unreadable {
        tracing::error!(
            reason = Reason::StreamUnreadable.as_str(),
            shard,
            sequence = taken.rest,
            detail,
            "record cannot be read: it and what comes behind it wait"
        );
    }
    tracing::info!(
        shard,
        records,
        rows = taken.rows,
        repeated = taken.repeated,
        version = taken.version,
        holder = RunsOn::Lambda.as_str(),
        "taken"
    );
}

fn out_of_time(left: Duration) -> WorkerError {
    WorkerError::environment(
        Reason::LakeUnavailable,
        format!(
            "nothing was committed in the {} ms that the invocation had; the batch is given again. If S3 is well, give the \
             function more time or memory",
            left.as_millis()
        ),
    )
}
