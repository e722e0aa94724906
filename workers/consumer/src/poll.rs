//! The polling thread: the only place that touches the consumer. Consumes from Kafka and commits offsets.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kafka_client::{Brokers, Diagnosis, Snapshot, serve};
use medallion_crds::{Owner, Reason};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Headers, OwnedMessage};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use worker_kit::WorkerError;

use crate::assignment::{Assignment, Reading};
use crate::ledger::Ledger;
use crate::needs::Needs;
use crate::reaction::{Reaction, hints_at_another_topic, reaction};
use crate::settings::Limits;
use crate::settle::Settler;
use crate::start::{Halt, another};
use crate::topic::{Names, ReadTopic};
use crate::trouble::Place;

/// How long a poll waits for a record.
const POLL: Duration = Duration::from_millis(100);
/// How often marks are committed.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
/// How often everything is committed again to see whether the brokers allow it by now: the client library says only once
/// that they do not allow reading.
const TRY_AGAIN_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether the topic is still the same.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// So many looks at the topic to one at the group.
const LOOKS_AT_GROUP: u64 = 5;
/// So long a new consumer is served before it asks its first question.
const SERVE: Duration = Duration::from_millis(50);
/// How often it is looked whether what is mounted for the brokers is still the same.
const LOOK_AT_FILES_EVERY: Duration = Duration::from_secs(1);
/// How long the thread waits for memory before it pauses the partitions, so that it can go on polling.
const MEMORY_WAIT: Duration = Duration::from_millis(200);
/// At the end records in flight have so long to be settled; what remains is read again.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Compressed bytes of one partition in one fetch; a batch that is longer comes whole all the same.
const PARTITION_FETCH_BYTES: &str = "262144";

/// From where is consumed, and for whom.
#[derive(Clone)]
pub struct Source {
    /// Brokers and topics.
    pub brokers: Brokers,
    /// Consumer group.
    pub group: String,
    /// Whose the group must be.
    pub owner: Owner,
    /// The values of the annotation `medallion.dev/adopt`.
    pub adopt: Vec<String>,
    /// Tells topics of one name apart, and readers of one group.
    pub names: Arc<dyn Names>,
}

/// What is consumed, and what happens to it.
#[derive(Clone)]
pub struct Consumption {
    brokers: Brokers,
    reading: Reading,
    names: Arc<dyn Names>,
    /// What bounds work and memory.
    pub limits: Limits,
    /// Settles records.
    pub settler: Arc<Settler>,
    /// Stop, drain, commit and return.
    pub shutdown: CancellationToken,
    /// What is in flight.
    pub(crate) ledger: Ledger,
}

impl Consumption {
    /// Nothing consumed yet.
    pub fn new(source: Source, limits: Limits, settler: Arc<Settler>, shutdown: CancellationToken) -> Self {
        let Source {
            brokers,
            group,
            owner,
            adopt,
            names,
        } = source;
        let kafka = brokers.settings();
        let reading = Reading {
            topic: kafka.topic.clone(),
            dead_letter_topic: kafka.dead_letter_topic.clone(),
            needs: Needs::of(kafka, &group),
            group,
            owner,
            adopt,
            read: ReadTopic::new(kafka.topic.clone(), names.clone()),
        };
        Self {
            brokers,
            reading,
            names,
            limits,
            settler,
            shutdown,
            ledger: Ledger::default(),
        }
    }

    /// Id of the topic that is read, once it is known.
    pub fn topic_id(&self) -> Option<String> {
        self.reading.read.known()
    }

    /// Why reading must not go on, if another topic has the name by now. What the brokers do not say is asked again.
    fn replaced(&self) -> Option<WorkerError> {
        match self.reading.read.look() {
            Ok(Ok(())) => None,
            Ok(Err(halt)) => Halt::error(&self.reading.topic, &self.reading.group, vec![halt]),
            Err(error) => {
                tracing::debug!(%error, "the brokers do not say the topic's id");
                None
            }
        }
    }

    /// Changes whenever partitions come or go; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.ledger.generation()
    }

    /// Whether the group has said which partitions are ours, be it none.
    pub fn is_assigned(&self) -> bool {
        self.ledger.generation() > 0
    }

    /// Why reading must not go on, if somebody else's offsets stand among the group's: two who begin at the same moment
    /// find none of the other's when they begin.
    fn shared(&self) -> Option<WorkerError> {
        let Reading {
            topic,
            group,
            owner,
            adopt,
            ..
        } = &self.reading;
        match self.names.owners(group, topic) {
            Ok(owners) => another(&owners, owner, adopt).and_then(|halt| Halt::error(topic, group, vec![halt])),
            Err(error) => {
                tracing::debug!(%error, "the brokers do not say the group's offsets");
                None
            }
        }
    }

    /// A consumer of what is mounted now.
    fn consumer(&self) -> Result<Client, Diagnosis> {
        let snapshot = self.brokers.read()?;
        let consumer = self.consumer_of(&snapshot).map_err(|error| snapshot.unusable(&error))?;
        Ok((snapshot, consumer))
    }

    /// The next consumer, if something else is mounted by now and one can be made of it.
    fn successor(&self, snapshot: &Snapshot) -> Option<Client> {
        let next = snapshot.successor(|next| self.consumer_of(next))?;
        tracing::info!("joining the group anew, with what is mounted for the brokers now");
        Some(next)
    }

    fn consumer_of(&self, snapshot: &Snapshot) -> KafkaResult<BaseConsumer<Assignment>> {
        let settler = &self.settler;
        let context = Assignment::new(
            self.reading.clone(),
            snapshot.context(),
            self.ledger.clone(),
            settler.metrics.clone(),
            settler.troubles.clone(),
            self.shutdown.clone(),
        );
        snapshot
            .consumer("consumer", &self.reading.group)
            // Where to begin is decided at assignment; librdkafka must never decide it.
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("partition.assignment.strategy", "cooperative-sticky")
            // No static membership: a killed pod's successor has another name, and its partitions must move within seconds.
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "3000")
            .set("max.poll.interval.ms", "300000")
            .set(
                "queued.max.messages.kbytes",
                self.limits.read_ahead_kilobytes().to_string(),
            )
            .set("queued.min.messages", "10000")
            // Both count compressed bytes, and JSON unfolds to ten times as many.
            .set("fetch.message.max.bytes", PARTITION_FETCH_BYTES)
            .set("fetch.max.bytes", self.limits.fetch_bytes().to_string())
            .set("fetch.queue.backoff.ms", "50")
            .set("fetch.wait.max.ms", "100")
            // A topic that is made while the worker waits for it is seen soon.
            .set("topic.metadata.refresh.interval.ms", "10000")
            .create_with_context(context)
    }
}

/// A consumer, and what it was made from.
type Client = (Snapshot, BaseConsumer<Assignment>);

/// Consumes until shutdown or until something happens that the process cannot heal; with a new consumer whenever what is
/// mounted for it has changed. Blocks.
pub fn consume(consumption: &Consumption, runtime: &Handle) -> Result<(), WorkerError> {
    let mut next = None;
    while !consumption.shutdown.is_cancelled() {
        match next.take().map_or_else(|| consumption.consumer(), Ok) {
            Ok((snapshot, consumer)) => next = consume_by(consumption, &snapshot, consumer, runtime)?,
            Err(why) if why.reason == Reason::BadSettings => {
                return Err(WorkerError::settings(why.reason, why.message));
            }
            // Somebody corrects what is mounted, at any time.
            Err(why) => {
                consumption.settler.progress.beat();
                consumption.settler.troubles.denied(Place::Kafka, why);
                let pause = tokio::time::timeout(LOOK_EVERY, consumption.shutdown.cancelled());
                let _ = runtime.block_on(pause);
            }
        }
    }
    Ok(())
}

/// Consumes by one consumer, until shutdown or until there is another one, of what is mounted then. Returns that.
fn consume_by(
    consumption: &Consumption,
    snapshot: &Snapshot,
    consumer: BaseConsumer<Assignment>,
    runtime: &Handle,
) -> Result<Option<Client>, WorkerError> {
    // A token is given while the consumer is polled, and nothing is answered without one.
    serve(&consumer, SERVE);
    if let ControlFlow::Break(next) = admission(consumption, snapshot, &consumer, runtime)? {
        return Ok(next);
    }
    consumer
        .subscribe(&[&consumption.reading.topic])
        .map_err(|error| bad_client(&error))?;
    let outcome = poll_until_stopped(consumption, snapshot, &consumer, runtime);
    if !consumption.ledger.wait_settled(None, DRAIN_TIMEOUT) {
        tracing::warn!("stopped with records in flight; they are read again");
    }
    if !consumer.assignment_lost() {
        consumer.context().commit(&consumer, None, CommitMode::Sync);
    }
    // Dropping the consumer leaves the group, which gives the partitions back through the rebalance callback.
    drop(consumer);
    outcome
}

/// Stays out of the group as long as the brokers do not say where to begin for a reason that somebody must mend, and names
/// it: a member that cannot begin holds all others up, and ends. An outage is no such reason; whoever knows where to begin by
/// the time that the group gives partitions goes on. Breaks if it never joins: the worker is stopped, or another consumer
/// takes its place.
fn admission(
    consumption: &Consumption,
    snapshot: &Snapshot,
    consumer: &BaseConsumer<Assignment>,
    runtime: &Handle,
) -> Result<ControlFlow<Option<Client>>, WorkerError> {
    let (stop, settler, context) = (&consumption.shutdown, &consumption.settler, consumer.context());
    while !stop.is_cancelled() {
        settler.progress.beat();
        let unanswered = match context.refusal(consumer) {
            Ok(None) => return Ok(ControlFlow::Continue(())),
            Ok(Some(error)) => return Err(error),
            Err(unanswered) => unanswered,
        };
        // What the library has to say of it waits in the queue, and a denial stands there once.
        let needs = consumption.reading.needs.to_read();
        let said = serve(consumer, SERVE);
        let denied = said.iter().find_map(|error| context.client().denial(error, &needs));
        let why = denied.unwrap_or_else(|| context.explain(&unanswered));
        if why.reason == Reason::KafkaUnavailable {
            tracing::debug!(%why, "the group's offsets are not known yet");
            return Ok(ControlFlow::Continue(()));
        }
        settler.troubles.denied(Place::Reading, why);
        if let Some(next) = consumption.successor(snapshot) {
            return Ok(ControlFlow::Break(Some(next)));
        }
        let pause = tokio::time::timeout(LOOK_EVERY, stop.cancelled());
        let _ = runtime.block_on(pause);
    }
    Ok(ControlFlow::Break(None))
}

/// Looks again and again whether the topic is still the one that is read, and the group ours alone; ends the consumption
/// if not. Blocks.
pub fn watch_names(consumption: &Consumption, runtime: &Handle) -> Result<(), WorkerError> {
    let stop = &consumption.shutdown;
    for look in 1_u64.. {
        if stop.is_cancelled() {
            break;
        }
        let shared = || (look % LOOKS_AT_GROUP == 0).then(|| consumption.shared()).flatten();
        if let Some(error) = consumption.replaced().or_else(shared) {
            stop.cancel();
            return Err(error);
        }
        let pause = tokio::time::timeout(LOOK_EVERY, stop.cancelled());
        let _ = runtime.block_on(pause);
    }
    Ok(())
}

fn bad_client(error: &KafkaError) -> WorkerError {
    WorkerError::settings(Reason::BadSettings, format!("kafka consumer: {error}"))
}

fn poll_until_stopped(
    consumption: &Consumption,
    snapshot: &Snapshot,
    consumer: &BaseConsumer<Assignment>,
    runtime: &Handle,
) -> Result<Option<Client>, WorkerError> {
    let mut committed = Instant::now();
    let mut tried = Instant::now();
    let mut looked = Instant::now();
    let mut pressure = Pressure::default();
    while !consumption.shutdown.is_cancelled() {
        consumption.settler.progress.beat();
        if looked.elapsed() >= LOOK_AT_FILES_EVERY {
            looked = Instant::now();
            if let Some(next) = consumption.successor(snapshot) {
                return Ok(Some(next));
            }
        }
        if tried.elapsed() >= TRY_AGAIN_EVERY {
            tried = Instant::now();
            if consumption.settler.troubles.has(Place::Reading) {
                consumption.ledger.commit_again();
                // Waited for: it is an answer only if it is asked after reading was refused.
                consumer.context().commit(consumer, None, CommitMode::Sync);
            }
        }
        if committed.elapsed() >= COMMIT_EVERY {
            committed = Instant::now();
            consumer.context().commit(consumer, None, CommitMode::Async);
            consumer.context().commit_anchor(consumer);
        }
        if consumption.ledger.is_broken() {
            let message = "working on a record ended in a panic, which is a bug of this worker; its log says where";
            return Err(WorkerError::environment(Reason::RecordTaskPanicked, message));
        }
        pressure.relieve(consumption, consumer);
        let polled = consumer.poll(POLL);
        if let Some(error) = consumer.context().take_failure() {
            return Err(error);
        }
        match polled {
            None => {}
            Some(Ok(message)) => {
                consumption.settler.troubles.clear(Place::Reading);
                begin(consumption, message.detach(), runtime);
            }
            Some(Err(error)) => {
                if hints_at_another_topic(&error)
                    && let Some(error) = consumption.replaced()
                {
                    return Err(error);
                }
                let context = consumer.context().client();
                match reaction(&error, context, &consumption.reading.needs, &consumption.ledger) {
                    Reaction::Nothing => {}
                    Reaction::Denied(why) => consumption.settler.troubles.denied(Place::Reading, why),
                    Reaction::Wait(reason, message) => consumption.settler.troubles.set(Place::Kafka, reason, message),
                    Reaction::End(error) => return Err(error),
                }
            }
        }
    }
    Ok(None)
}

fn begin(consumption: &Consumption, record: OwnedMessage, runtime: &Handle) {
    let time = record
        .timestamp()
        .to_millis()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok());
    let Some(ticket) = consumption
        .ledger
        .begin(record.partition(), record.offset(), time, size(&record))
    else {
        return;
    };
    let settler = consumption.settler.clone();
    runtime.spawn(async move { settler.settle(record, ticket).await });
}

/// Bytes of a record's own.
fn size(record: &OwnedMessage) -> usize {
    let headers = record.headers().map_or(0, |headers| {
        headers
            .iter()
            .map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len))
            .sum()
    });
    record.payload().map_or(0, <[u8]>::len) + record.key().map_or(0, <[u8]>::len) + headers
}

/// Keeps the records in memory within their bounds without ever stopping to poll.
#[derive(Default)]
struct Pressure {
    /// The assignment at which everything was paused.
    paused_at: Option<u64>,
}

impl Pressure {
    fn relieve(&mut self, consumption: &Consumption, consumer: &BaseConsumer<Assignment>) {
        let (ledger, limit) = (&consumption.ledger, consumption.limits.settling_bytes);
        let bytes = ledger.bytes();
        consumption
            .settler
            .metrics
            .bytes_in_flight
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
        if bytes >= limit {
            // A short wait is cheaper than a pause, which throws away what the client library has read ahead.
            if ledger.wait_below(limit, MEMORY_WAIT) {
                return;
            }
            // Partitions that were assigned since the last pause must be paused too.
            let generation = ledger.generation();
            if self.paused_at != Some(generation) {
                match consumer.assignment().and_then(|assignment| consumer.pause(&assignment)) {
                    Ok(()) => self.paused_at = Some(generation),
                    Err(error) => tracing::warn!(%error, "partitions not paused"),
                }
            }
        } else if self.paused_at.is_some() && bytes < limit / 2 {
            match consumer
                .assignment()
                .and_then(|assignment| consumer.resume(&assignment))
            {
                Ok(()) => self.paused_at = None,
                Err(error) => tracing::warn!(%error, "partitions not resumed"),
            }
        }
    }
}
