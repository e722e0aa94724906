//! The consumer's life: start, consume, observe, drain. Consumes from Kafka, writes to `DynamoDB`, produces dead letters.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use kafka_client::{Brokers, Fatal};
use medallion_contract::Contract;
use medallion_crds::Reason;
use medallion_crds::launch::ConsumerSettings;
use medallion_crds::launch::report::Report;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use worker_kit::{Context, ProgressHandle, WorkerError, aws};

use crate::dead_letter::KafkaDeadLetters;
use crate::dynamo::DynamoTable;
use crate::expiry::Expiry;
use crate::metrics::ConsumerMetrics;
use crate::observe::{Observation, Observer, Passage};
use crate::poll::{Consumption, Source, consume, watch_names};
use crate::settings::Limits;
use crate::settle::Settler;
use crate::trouble::{Place, Troubles};

/// How often lag and dead letters are measured.
const OBSERVE_EVERY: Duration = Duration::from_secs(2);
/// So many looks to one new producer of dead letters, while the brokers let none.
const LOOKS_TO_PRODUCER: u64 = 5;
/// At the end queued dead letters have so long.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs until SIGTERM.
pub async fn run(context: Context<ConsumerSettings>) -> Result<Option<Report>, WorkerError> {
    let settings = &context.settings.worker;
    let limits = Limits::from_settings(settings)?;
    let contract = Contract::mounted(&settings.contract)
        .map_err(|error| WorkerError::settings(Reason::BadContract, error.to_string()))?;
    let brokers = Brokers::open(&settings.kafka).await;
    let dead_letters = Arc::new(KafkaDeadLetters::new(brokers.clone(), &settings.group));
    let client = aws_sdk_dynamodb::Client::new(&aws::configuration(&context.settings.region).await);
    let troubles = Troubles::new(context.progress.clone());
    let settler = Arc::new(Settler {
        contract: Arc::new(contract),
        expiry: settings.expire_after_days.map(Expiry::after_days),
        table: Arc::new(DynamoTable::new(client, &settings.table)),
        dead_letters: dead_letters.clone(),
        in_flight: Semaphore::new(limits.in_flight),
        metrics: ConsumerMetrics::register(&context.metrics),
        troubles: troubles.clone(),
        progress: context.progress.clone(),
    });
    let outlook = Observer::new(brokers.clone(), &settings.group);
    let source = Source {
        brokers,
        group: settings.group.clone(),
        owner: context.settings.pipeline.owner(),
        adopt: context.settings.adopt.clone(),
        names: outlook.names(),
    };
    tracing::info!(
        topic = settings.kafka.topic,
        group = source.group,
        owner = %source.owner,
        table = settings.table,
        "reading the topic"
    );
    let consumption = Consumption::new(source, limits, settler, context.shutdown.child_token());

    // Blocking threads of their own: one that only polls, one that only measures, one that only looks at names.
    let polling = tokio::task::spawn_blocking({
        let consumption = consumption.clone();
        move || consume(&consumption, &Handle::current())
    });
    let watching = tokio::task::spawn_blocking({
        let (consumption, dead_letters) = (consumption.clone(), dead_letters.clone());
        let (progress, ready) = (context.progress.clone(), context.ready.clone());
        move || observe(outlook, &consumption, &dead_letters, &progress, &ready)
    });

    let naming = tokio::task::spawn_blocking({
        let consumption = consumption.clone();
        move || watch_names(&consumption, &Handle::current())
    });

    let ended = all([polling, watching, naming], &consumption.shutdown).await;
    context.ready.send_replace(false);
    tokio::task::spawn_blocking(move || dead_letters.flush(FLUSH_TIMEOUT))
        .await
        .map_err(|error| ended_badly(&error))?;
    ended.map(|()| None)
}

type Thread = JoinHandle<Result<(), WorkerError>>;

/// Waits for all threads; whichever ends first, in whatever way, ends the others. The first error in their order counts.
async fn all<const N: usize>(threads: [Thread; N], stop: &CancellationToken) -> Result<(), WorkerError> {
    let ends = threads.map(async |thread: Thread| {
        let outcome = thread.await.unwrap_or_else(|error| Err(ended_badly(&error)));
        stop.cancel();
        outcome
    });
    join_all(ends).await.into_iter().collect()
}

/// Measures until shutdown; ends the consumption if the dead-letter producer can send no more.
fn observe(
    mut observer: Observer,
    consumption: &Consumption,
    dead_letters: &KafkaDeadLetters,
    progress: &ProgressHandle,
    ready: &watch::Sender<bool>,
) -> Result<(), WorkerError> {
    let stop = &consumption.shutdown;
    let troubles = &consumption.settler.troubles;
    let mut may_write = false;
    for look in 1_u64.. {
        if stop.is_cancelled() {
            break;
        }
        match dead_letters.fatal(may_write) {
            None => troubles.clear(Place::DeadLetters),
            Some(Fatal::Denied(why)) => {
                troubles.denied(Place::DeadLetters, why);
                // The next one is refused as well until somebody allows it.
                if look.is_multiple_of(LOOKS_TO_PRODUCER) {
                    dead_letters.renew();
                }
            }
            Some(Fatal::Broken(message)) => {
                stop.cancel();
                let message = format!("the dead-letter producer can send no more: {message}; a new process can");
                return Err(WorkerError::environment(Reason::ProducerFailed, message));
            }
        }
        dead_letters.look();
        let doubted = [Place::Reading, Place::Committing, Place::Anchor, Place::DeadLetters]
            .into_iter()
            .any(|place| troubles.has(place));
        match observer.observe(&consumption.ledger.positions(), consumption.is_assigned(), doubted) {
            Ok(observation) => {
                match &observation.fault {
                    Some(why) => troubles.denied(Place::Kafka, why.clone()),
                    None => troubles.clear(Place::Kafka),
                }
                match &observation.passage {
                    Some(Passage::Free) => troubles.clear(Place::Rights),
                    Some(Passage::Barred(why)) => troubles.denied(Place::Rights, why.clone()),
                    None => {}
                }
                if let Some(passage) = &observation.passage {
                    may_write = *passage == Passage::Free;
                }
                report(&observation, consumption, progress);
                ready.send_replace(true);
            }
            Err(why) => {
                troubles.denied(Place::Kafka, why);
                // What is not known is absent, never the last value for ever.
                progress.update(|work| {
                    work.lag = None;
                    work.retention = None;
                    work.dead_letters = None;
                });
            }
        }
        let pause = tokio::time::timeout(OBSERVE_EVERY, stop.cancelled());
        let _ = Handle::current().block_on(pause);
    }
    Ok(())
}

fn report(observation: &Observation, consumption: &Consumption, progress: &ProgressHandle) {
    let metrics = &consumption.settler.metrics;
    metrics.dead_letters.set(observation.dead_letters.count);
    if let Some(lag) = observation.lag {
        metrics.lag.set(lag);
    }
    progress.update(|work| {
        work.lag = observation.lag;
        work.retention = observation.retention;
        work.topic_id = consumption.topic_id();
        work.oldest_pending_time = observation.oldest_pending;
        work.dead_letters = Some(observation.dead_letters.clone());
    });
}

fn ended_badly(error: &JoinError) -> WorkerError {
    WorkerError::environment(
        Reason::ThreadFailed,
        format!("a thread of the consumer ended badly: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use medallion_crds::Reason;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::polling(true)]
    #[case::watching(false)]
    #[tokio::test]
    async fn a_thread_that_panics_ends_the_others_and_the_worker(#[case] polling_panics: bool) {
        let stop = CancellationToken::new();
        let panics = tokio::spawn(async { panic!("on purpose") });
        let waits = tokio::spawn({
            let stop = stop.clone();
            async move {
                stop.cancelled().await;
                Ok(())
            }
        });
        let (polling, watching) = if polling_panics {
            (panics, waits)
        } else {
            (waits, panics)
        };
        let error = all([polling, watching], &stop).await.expect_err("it must end");
        assert_eq!(error.reason, Reason::ThreadFailed);
    }
}
