//! The gateway as a function of AWS Lambda behind an HTTP API: the same router, one request at a time, in a process that is frozen between
//! two. Takes events from the Lambda runtime and produces to Kafka.
//!
//! What the pods' [`crate::run`] does every second, [`upkeep`] does before and after a request, because nothing runs between two.

mod adapter;
mod secrets;
mod upkeep;

pub use adapter::{HttpApiAnswer, answer};

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambda_runtime::LambdaEvent;
use medallion_crds::launch::{GatewaySettings, Settings};
use serde_json::Value;
use worker_kit::function::{self, Package};
use worker_kit::{Metrics, WorkerError};

use crate::publisher::KafkaPublisher;
use crate::router::router;
use crate::state::GatewayState;
use adapter::time_left;
use secrets::{PATIENCE, Secrets};
use upkeep::Upkeep;

/// How long brokers are asked for at the start, aside.
const GREETING: Duration = Duration::from_secs(3);

/// Runs the function until the Lambda runtime ends it.
pub fn start() -> ExitCode {
    function::start(async {
        let function = open().await?;
        Ok(move |event: LambdaEvent<Value>| {
            let function = Arc::clone(&function);
            async move { Ok(function.answer(event).await) }
        })
    })
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
        let (state, publisher) = GatewayState::open(&settings.worker, &Metrics::default()).await?;
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
