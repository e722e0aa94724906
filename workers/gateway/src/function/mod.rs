//! The gateway as a function of AWS Lambda behind an HTTP API: the same router, one request at a time, in a process that is frozen between
//! two. Takes events from the Lambda runtime and produces to Kafka.
//!
//! What the pods' [`crate::run`] does every second, [`upkeep`] does before and after a request, because nothing runs between two.

mod adapter;
mod secrets;
mod upkeep;

pub use adapter::{HttpApiAnswer, answer};

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kafka_client::Brokers;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use medallion_contract::Contract;
use medallion_crds::Reason;
use medallion_crds::launch::{GatewaySettings, Settings};
use serde_json::Value;
use worker_kit::function::{Package, begin_log};
use worker_kit::{ErrorClass, Metrics, WorkerError};

use crate::metrics::GatewayMetrics;
use crate::publisher::KafkaPublisher;
use crate::router::router;
use crate::settings::Limits;
use crate::state::GatewayState;
use crate::tokens::Tokens;
use adapter::time_left;
use secrets::{PATIENCE, Secrets};
use upkeep::Upkeep;

/// One request at a time needs few threads; librdkafka brings its own.
const THREADS: usize = 2;
/// How long brokers are asked for at the start, aside.
const GREETING: Duration = Duration::from_secs(3);

/// Runs the function until the Lambda runtime ends it.
pub fn start() -> ExitCode {
    begin_log();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run()),
        Err(error) => Err(WorkerError::environment(Reason::ListenerEnded, error.to_string())),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(
                reason = error.reason.as_str(),
                detail = error.message,
                "the function ended"
            );
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), WorkerError> {
    let function = match open().await {
        Ok(function) => function,
        Err(error) if error.class == ErrorClass::Settings => return refuse(error).await,
        Err(error) => return Err(error),
    };
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let function = function.clone();
        async move { Ok::<_, Infallible>(function.answer(event).await) }
    });
    lambda_runtime::run(handler).await.map_err(|error| ended(&error))
}

/// Fails every invocation with what is wrong with the package. A process that ended would be started anew for each, and say no more
/// than that it has ended.
async fn refuse(error: WorkerError) -> Result<(), WorkerError> {
    tracing::error!(
        reason = error.reason.as_str(),
        detail = error.message,
        "no event is taken with this package"
    );
    let diagnostic = Diagnostic {
        error_type: error.reason.to_string(),
        error_message: error.message,
    };
    let handler = service_fn(move |_: LambdaEvent<Value>| {
        let diagnostic = diagnostic.clone();
        async move { Err::<Value, _>(diagnostic) }
    });
    lambda_runtime::run(handler).await.map_err(|error| ended(&error))
}

fn ended(error: &lambda_runtime::Error) -> WorkerError {
    WorkerError::environment(Reason::ListenerEnded, format!("the Lambda runtime: {error}"))
}

/// The function of this package.
async fn open() -> Result<Arc<Function>, WorkerError> {
    let package = Package::of_this_program()?;
    let secrets = Secrets::of_environment(&package);
    if let Some(secrets) = &secrets {
        // Without them requests are refused, and say so.
        secrets.refresh(SystemTime::now(), PATIENCE).await;
    }
    let mut settings: Settings<GatewaySettings> = package.settings()?;
    for path in settings.worker.paths_mut() {
        *path = package.place(path);
    }
    let function = Arc::new(Function::open(&settings, secrets).await?);
    tracing::info!(
        namespace = settings.pipeline.namespace,
        pipeline = settings.pipeline.name,
        topic = settings.worker.kafka.topic,
        contract = function.state.contract.digest(),
        version = worker_kit::VERSION,
        "taking events"
    );
    Ok(function)
}

/// What lives as long as the process: the producer above all.
struct Function {
    state: Arc<GatewayState>,
    router: axum::Router,
    upkeep: Upkeep,
}

impl Function {
    async fn open(settings: &Settings<GatewaySettings>, secrets: Option<Secrets>) -> Result<Self, WorkerError> {
        let worker = &settings.worker;
        let limits = Limits::from_settings(worker)?;
        let contract = Contract::mounted(&worker.contract)
            .map_err(|error| WorkerError::settings(Reason::BadContract, error.to_string()))?;
        let publisher = Arc::new(KafkaPublisher::new(
            Brokers::open(&worker.kafka).await,
            contract.digest(),
            limits.delivery_timeout(),
            limits.buffer_bytes,
        ));
        let state = Arc::new(GatewayState::new(
            Arc::new(contract),
            publisher.clone(),
            worker.tokens_path.as_ref().map(Tokens::at),
            limits,
            GatewayMetrics::register(&Metrics::default()),
        ));
        greet(publisher.clone());
        Ok(Self {
            router: router(state.clone()),
            upkeep: Upkeep::new(state.clone(), publisher, secrets, SystemTime::now()),
            state,
        })
    }

    async fn answer(&self, event: LambdaEvent<Value>) -> HttpApiAnswer {
        let (event, context) = event.into_parts();
        let (deadline, now) = (context.deadline(), SystemTime::now());
        self.upkeep.before(now, time_left(deadline, now)).await;
        let left = time_left(deadline, SystemTime::now());
        let answer = answer(&self.router, event, left).await;
        self.upkeep.after(SystemTime::now()).await;
        answer
    }
}

/// Has the producer connected by the time of the first event, if that is possible; nobody waits for it.
fn greet(publisher: Arc<KafkaPublisher>) {
    tokio::task::spawn_blocking(move || {
        if let Err(why) = publisher.probe(GREETING) {
            tracing::warn!(
                reason = why.reason.as_str(),
                detail = why.message,
                "no events can be sent yet"
            );
        }
    });
}
