//! The gateway's life: start, serve, watch the broker and the tokens, drain. Listens on the HTTP port and produces to Kafka.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use kafka_client::{Diagnosis, Fatal};
use medallion_crds::Reason;
use medallion_crds::launch::report::Report;
use medallion_crds::launch::{GatewaySettings, HTTP_PORT};
use tokio::net::TcpListener;
use tokio::task::JoinError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use worker_kit::{Context, ProgressHandle, WorkerError};

use crate::publisher::{KafkaPublisher, Leftover};
use crate::router::router;
use crate::server::{self, Patience};
use crate::state::GatewayState;

/// How often progress is brought up to date and the tokens are read.
const TICK: Duration = Duration::from_secs(1);
/// A client has so long to send a request's head, and an idle connection to send its next.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the broker is asked for the topic.
const TICKS_PER_PROBE: u32 = 5;
/// How long the broker has to answer that.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// What is still queued at the end has so long; its clients have the answer that it is unknown.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs until SIGTERM.
pub async fn run(context: Context<GatewaySettings>) -> Result<Option<Report>, WorkerError> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, HTTP_PORT))
        .await
        .map_err(|error| {
            WorkerError::environment(Reason::PortTaken, format!("cannot listen on port {HTTP_PORT}: {error}"))
        })?;
    run_on(listener, context).await
}

/// Runs on this listener until it is asked to stop.
pub async fn run_on(listener: TcpListener, context: Context<GatewaySettings>) -> Result<Option<Report>, WorkerError> {
    let (state, publisher) = GatewayState::open(&context.settings.worker, &context.metrics).await?;
    let limits = state.limits;

    let patience = Patience {
        head: HEAD_TIMEOUT,
        grace: limits.request,
    };
    let close = CancellationToken::new();
    let mut server = tokio::spawn(server::serve(listener, router(state.clone()), close.clone(), patience));

    let ended = tokio::select! {
        () = context.shutdown.cancelled() => Ok(None),
        error = watch(&state, &publisher, &context) => Err(error),
        ended = &mut server => return Err(listener_ended(ended)),
    };
    context.ready.send_replace(false);
    if ended.is_ok() {
        tracing::info!(seconds = limits.drain.as_secs(), "draining");
        tokio::time::sleep(limits.drain).await;
    }
    close.cancel();
    if let Err(error) = server.await {
        tracing::error!(%error, "the listener ended badly");
    }
    let flushed = tokio::task::spawn_blocking(move || publisher.flush(FLUSH_TIMEOUT)).await;
    if !matches!(flushed, Ok(Ok(()))) {
        tracing::warn!("some events were not acknowledged before the end; their clients were answered so");
    }
    ended
}

/// Nobody has asked it to: a process that listens no more must not stay ready.
fn listener_ended(ended: Result<(), JoinError>) -> WorkerError {
    let message = ended.map_or_else(|error| error.to_string(), |()| "it stopped".to_owned());
    WorkerError::environment(
        Reason::ListenerEnded,
        format!("port {HTTP_PORT}: {message}; a new process can listen"),
    )
}

/// Keeps progress, tokens and readiness up to date; ends only with an error that the process cannot heal.
async fn watch(
    state: &GatewayState,
    publisher: &Arc<KafkaPublisher>,
    context: &Context<GatewaySettings>,
) -> WorkerError {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tick: u32 = 0;
    // Why no event can be sent, why those of some partitions cannot, and what became of one.
    let (mut probed, mut partly, mut failed): (Option<Diagnosis>, Option<Diagnosis>, Option<Diagnosis>) =
        (None, None, None);
    loop {
        ticks.tick().await;
        context.progress.beat();
        let denied = match publisher.fatal() {
            None => None,
            // The next one is refused as well until somebody allows it, so it is made no more often than brokers are asked.
            Some(Fatal::Denied(why)) => {
                if tick.is_multiple_of(TICKS_PER_PROBE) {
                    wait_for(publisher.renew());
                }
                Some(why)
            }
            Some(Fatal::Broken(message)) => {
                return WorkerError::environment(
                    Reason::ProducerFailed,
                    format!("the producer can send no more: {message}; a new process can"),
                );
            }
        };
        wait_for(publisher.look());
        let token_trouble = state.tokens.as_ref().and_then(|tokens| tokens.reload().err());
        if tick.is_multiple_of(TICKS_PER_PROBE) {
            let asked = publisher.clone();
            let probe = tokio::task::spawn_blocking(move || asked.probe(PROBE_TIMEOUT)).await;
            (probed, partly) = match probe {
                Ok(Ok(partly)) => (None, partly),
                Ok(Err(why)) => (Some(why), None),
                Err(error) => (Some(Diagnosis::unavailable(error.to_string())), None),
            };
            failed = None;
        }
        tick = tick.wrapping_add(1);
        failed = state.pending.take_failure().or(failed);
        // What keeps all events from being sent says more than what became of one.
        let all = probed.as_ref().or(denied.as_ref());
        let broker_trouble = all.or(partly.as_ref()).or(failed.as_ref());

        report(state, &context.progress);
        match (broker_trouble, &token_trouble) {
            (Some(why), _) => context.progress.blocked(why.reason.clone(), why.message.clone()),
            (None, Some(error)) => context.progress.blocked(Reason::TokensUnreadable, error.to_string()),
            (None, None) => context.progress.clear(),
        }
        // Partitions whose leader refuses us keep no other's events back.
        let takes_events = all.is_none() && token_trouble.is_none() && (failed.is_none() || partly.is_some());
        // Once ready it stays so until the end: an answer of 503 says more to clients than none.
        if takes_events && !context.ready.send_replace(true) {
            tracing::info!(
                topic = context.settings.worker.kafka.topic,
                port = HTTP_PORT,
                "taking events"
            );
        }
    }
}

/// What a producer of before still holds is waited for aside; nobody waits for that. Beside the runtime's workers, because a
/// producer that is let go of ends its threads first.
fn wait_for(leftover: Option<Leftover>) {
    if let Some(leftover) = leftover {
        tokio::task::spawn_blocking(move || leftover.wait());
    }
}

fn report(state: &GatewayState, progress: &ProgressHandle) {
    let snapshot = state.pending.snapshot();
    progress.update(|work| {
        work.lag = i64::try_from(snapshot.events).ok();
        work.oldest_pending_time = snapshot.oldest;
        work.last_commit_time = snapshot.last_acknowledged;
    });
}
