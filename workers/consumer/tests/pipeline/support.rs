//! Mock brokers, a table in memory that fails when told to, and a running consumer. Loopback only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use consumer::{
    ConsumerMetrics, Consumption, DeadLetter, DeadLetterSink, Item, KafkaDeadLetters, Limits, Names, Put, Settler,
    Source, Table, TableError, Troubles, consume, watch_names,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use kafka_admin::{Stamp, topic_id};
use kafka_client::Diagnosis;
use medallion_contract::{Contract, Pointers};
use medallion_crds::Reason;
use medallion_crds::launch::KafkaSettings;
use medallion_crds::progress::Identity;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker_kit::{Metrics, ProgressHandle, WorkerError};

pub const TOPIC: &str = "events";
pub const DEAD_LETTERS: &str = "dlq.events";
pub const GROUP: &str = "shop.orders";
pub const OWNER: &str = "0b7c/shop/orders";
pub const PARTITIONS: i32 = 4;

/// Nothing here takes longer unless it is broken.
const PATIENCE: Duration = Duration::from_mins(1);

const SCHEMA: &str = r#"{"type":"object","required":["id","part","at"],"properties":{
    "id":{"type":"string"},"part":{"type":"integer"},"at":{"type":"string","format":"date-time"}}}"#;

pub fn event(id: &str, part: usize) -> String {
    format!(r#"{{"id":"{id}","part":{part},"at":"2024-01-02T03:04:05Z"}}"#)
}

pub struct Brokers {
    pub cluster: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
}

impl Brokers {
    pub fn new() -> Self {
        let brokers = Self::without_dead_letters();
        brokers.cluster.create_topic(DEAD_LETTERS, 1, 1).expect("a topic");
        brokers
    }

    pub fn without_dead_letters() -> Self {
        let cluster = MockCluster::new(1).expect("mock brokers");
        cluster.create_topic(TOPIC, PARTITIONS, 1).expect("a topic");
        let producer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .create()
            .expect("a producer");
        Self { cluster, producer }
    }

    pub fn produce(&self, partition: i32, payload: &str) {
        let headers = OwnedHeaders::new().insert(Header {
            key: "trace",
            value: Some("t1"),
        });
        let record = BaseRecord::to(TOPIC)
            .partition(partition)
            .key("a key")
            .payload(payload)
            .headers(headers);
        self.producer.send(record).map_err(|(error, _)| error).expect("queued");
        self.producer.flush(PATIENCE).expect("produced");
    }

    fn reader(&self, group: &str) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", self.cluster.bootstrap_servers())
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .create()
            .expect("a consumer")
    }

    /// Committed offset of each partition.
    pub fn committed(&self) -> Vec<Option<i64>> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(TOPIC, 0, PARTITIONS - 1);
        let committed = self
            .reader(GROUP)
            .committed_offsets(asked, PATIENCE)
            .expect("committed offsets");
        committed
            .elements()
            .iter()
            .map(|element| element.offset().to_raw().filter(|offset| *offset >= 0))
            .collect()
    }

    /// Sets the group's offset, as a person would.
    pub fn commit(&self, partition: i32, offset: i64) {
        self.commit_with(TOPIC, partition, offset, "");
    }

    /// Commits an offset with words beside it.
    pub fn commit_with(&self, topic: &str, partition: i32, offset: i64, metadata: &str) {
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(topic, partition, Offset::Offset(offset))
            .expect("an offset");
        for mut element in offsets.elements() {
            element.set_metadata(metadata);
        }
        self.reader(GROUP)
            .commit(&offsets, CommitMode::Sync)
            .expect("committed");
    }

    /// What stands beside the committed offset of a partition.
    pub fn stamp(&self, topic: &str, partition: i32) -> Option<Stamp> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, partition);
        let committed = self
            .reader(GROUP)
            .committed_offsets(asked, PATIENCE)
            .expect("committed offsets");
        committed
            .elements()
            .first()
            .and_then(|element| Stamp::read(element.metadata()))
    }

    /// Id of the topic.
    pub fn topic_id(&self) -> String {
        let reader = self.reader("a reader");
        topic_id(reader.client(), TOPIC, PATIENCE)
            .expect("an answer")
            .expect("an id")
    }

    /// Brokers and topics, as a worker is told them.
    pub fn kafka(&self) -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: vec![self.cluster.bootstrap_servers()],
            topic: TOPIC.to_owned(),
            dead_letter_topic: DEAD_LETTERS.to_owned(),
            ..KafkaSettings::default()
        }
    }

    /// From now on the brokers answer this question so.
    pub fn deny(&self, question: RDKafkaApiKey, answer: RDKafkaRespErr) {
        self.cluster.request_errors(question, &[answer; 1000]);
    }

    /// The brokers answer this question as usual again.
    pub fn allow(&self, question: RDKafkaApiKey) {
        self.cluster.clear_request_errors(question);
    }

    /// The same, as the worker makes its clients for them.
    pub fn ours(&self) -> kafka_client::Brokers {
        kafka_client::Brokers::without_tokens(&self.kafka())
    }

    /// Everything in the dead-letter topic.
    pub fn dead_letters(&self) -> Vec<OwnedMessage> {
        let reader = self.reader("a reader");
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(DEAD_LETTERS, 0, Offset::Beginning)
            .expect("an offset");
        reader.assign(&all).expect("assigned");
        let (_, end) = reader.fetch_watermarks(DEAD_LETTERS, 0, PATIENCE).expect("watermarks");
        let begun = Instant::now();
        let mut letters = Vec::new();
        while i64::try_from(letters.len()).expect("few") < end && begun.elapsed() < PATIENCE {
            if let Some(message) = reader.poll(Duration::from_millis(200)) {
                letters.push(message.expect("a letter").detach());
            }
        }
        letters
    }
}

/// A table in memory.
#[derive(Default)]
pub struct MemoryTable {
    pub items: Mutex<BTreeMap<(String, String), Item>>,
    pub puts: AtomicUsize,
    /// While true every put meets an environment error.
    pub down: AtomicBool,
    /// While true every put panics, as a bug would.
    pub broken: AtomicBool,
    /// Event ids whose puts wait until they are let go.
    pub held: Mutex<Vec<String>>,
    pub let_go: Notify,
}

impl MemoryTable {
    pub fn len(&self) -> usize {
        self.items.lock().expect("items").len()
    }

    fn is_held(&self, item: &Item) -> bool {
        self.held.lock().expect("held").contains(&item.event_id)
    }

    pub fn release(&self) {
        self.held.lock().expect("held").clear();
        self.let_go.notify_waiters();
    }
}

impl Table for MemoryTable {
    fn put<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Result<Put, TableError>> {
        async move {
            loop {
                let let_go = self.let_go.notified();
                tokio::pin!(let_go);
                let_go.as_mut().enable();
                if !self.is_held(item) {
                    break;
                }
                let_go.await;
            }
            self.puts.fetch_add(1, Ordering::SeqCst);
            assert!(!self.broken.load(Ordering::SeqCst), "broken on purpose");
            if self.down.load(Ordering::SeqCst) {
                return Err(TableError::Environment {
                    reason: Reason::TableUnavailable,
                    message: "down".to_owned(),
                });
            }
            let mut items = self.items.lock().expect("items");
            let key = (item.key.clone(), item.event_id.clone());
            if let Some(old) = items.get(&key) {
                return Ok(Put::Exists {
                    digest: Some(old.digest.clone()),
                    source: Some(old.source.clone()),
                });
            }
            items.insert(key, item.clone());
            Ok(Put::Stored)
        }
        .boxed()
    }
}

/// The dead-letter topic, which can be down.
pub struct FlakyDeadLetters {
    pub down: AtomicBool,
    topic: KafkaDeadLetters,
}

impl FlakyDeadLetters {
    pub fn new(brokers: &Brokers) -> Arc<Self> {
        Arc::new(Self {
            down: AtomicBool::new(false),
            topic: KafkaDeadLetters::new(brokers.ours(), GROUP),
        })
    }
}

impl DeadLetterSink for FlakyDeadLetters {
    fn send<'a>(&'a self, letter: DeadLetter<'a>) -> BoxFuture<'a, Result<(), Diagnosis>> {
        async move {
            if self.down.load(Ordering::SeqCst) {
                return Err(Diagnosis::new(Reason::DeadLetterTopicUnavailable, "down"));
            }
            self.topic.send(letter).await
        }
        .boxed()
    }
}

/// What brokers say of topic and group, as a story wants it: mock brokers cannot make a topic anew.
#[derive(Default)]
pub struct SetNames {
    pub topic_id: Mutex<String>,
    pub owners: Mutex<BTreeSet<String>>,
}

impl SetNames {
    pub fn new(topic_id: &str) -> Arc<Self> {
        Arc::new(Self {
            topic_id: Mutex::new(topic_id.to_owned()),
            owners: Mutex::default(),
        })
    }

    /// The topic is deleted and made again.
    pub fn make_anew(&self, topic_id: &str) {
        topic_id.clone_into(&mut self.topic_id.lock().expect("an id"));
    }
}

impl Names for SetNames {
    fn topic_id(&self, _: &str) -> KafkaResult<Option<String>> {
        Ok(Some(self.topic_id.lock().expect("an id").clone()))
    }

    fn owners(&self, _: &str, _: &str) -> KafkaResult<BTreeSet<String>> {
        Ok(self.owners.lock().expect("owners").clone())
    }
}

/// A consumer at work.
pub struct Running {
    pub progress: ProgressHandle,
    pub metrics: Metrics,
    consumption: Consumption,
    shutdown: CancellationToken,
    task: Option<JoinHandle<Result<(), WorkerError>>>,
}

impl Running {
    pub fn start(brokers: &Brokers, table: &Arc<MemoryTable>, settling_bytes: usize) -> Self {
        Self::start_with(brokers, table, settling_bytes, FlakyDeadLetters::new(brokers))
    }

    pub fn start_with(
        brokers: &Brokers,
        table: &Arc<MemoryTable>,
        settling_bytes: usize,
        dead_letters: Arc<FlakyDeadLetters>,
    ) -> Self {
        Self::start_as(table, settling_bytes, dead_letters, Self::source(brokers))
    }

    /// The pipeline's own group and topic.
    pub fn source(brokers: &Brokers) -> Source {
        Source {
            brokers: brokers.ours(),
            group: GROUP.to_owned(),
            owner: OWNER.parse().expect("an owner"),
            adopt: Vec::new(),
            names: Arc::new(brokers.reader("a reader")),
        }
    }

    /// From this source, with the other things as usual.
    pub fn start_from(brokers: &Brokers, table: &Arc<MemoryTable>, source: Source) -> Self {
        Self::start_as(table, 8 << 20, FlakyDeadLetters::new(brokers), source)
    }

    fn start_as(
        table: &Arc<MemoryTable>,
        settling_bytes: usize,
        dead_letters: Arc<FlakyDeadLetters>,
        source: Source,
    ) -> Self {
        let pointers = Pointers {
            key: "/part",
            event_id: "/id",
            event_time: "/at",
            event_version: None,
        };
        let contract = Contract::compile(SCHEMA, &pointers).expect("a contract");
        let metrics = Metrics::default();
        let progress = ProgressHandle::new(Identity::default(), Timestamp::now);
        let settler = Settler {
            contract: Arc::new(contract),
            expiry: None,
            table: table.clone(),
            dead_letters,
            in_flight: Semaphore::new(64),
            metrics: ConsumerMetrics::register(&metrics),
            troubles: Troubles::new(progress.clone()),
            progress: progress.clone(),
        };
        let shutdown = CancellationToken::new();
        let limits = Limits {
            in_flight: 64,
            settling_bytes,
        };
        let consumption = Consumption::new(source, limits, Arc::new(settler), shutdown.clone());
        let polling = tokio::task::spawn_blocking({
            let consumption = consumption.clone();
            move || consume(&consumption, &Handle::current())
        });
        let naming = tokio::task::spawn_blocking({
            let consumption = consumption.clone();
            move || watch_names(&consumption, &Handle::current())
        });
        // Whichever ends first ends the other, as in the worker.
        let task = tokio::spawn({
            let shutdown = shutdown.clone();
            async move {
                let consumed = polling.await.expect("no panic");
                shutdown.cancel();
                consumed.and(naming.await.expect("no panic"))
            }
        });
        Self {
            progress,
            metrics,
            consumption,
            shutdown,
            task: Some(task),
        }
    }

    /// Whether the group has said what it is to read, be it nothing.
    pub fn is_assigned(&self) -> bool {
        self.consumption.is_assigned()
    }

    /// Changes whenever partitions come or go.
    pub fn generation(&self) -> u64 {
        self.consumption.generation()
    }

    /// Asks it to stop and waits for its end.
    pub async fn stop(self) -> Result<(), WorkerError> {
        self.shutdown.cancel();
        self.end().await
    }

    /// Waits for its end.
    pub async fn end(mut self) -> Result<(), WorkerError> {
        tokio::time::timeout(PATIENCE, self.task.take().expect("it ends once"))
            .await
            .expect("an end in time")
            .expect("no panic")
    }

    /// How many records have had this fate.
    pub fn count(&self, fate: &str) -> usize {
        let text = self.metrics.text();
        let lines = text.lines().filter(|line| {
            line.starts_with("medallion_consumer_records_total") && line.contains(&format!("fate=\"{fate}\""))
        });
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
            .sum()
    }

    /// The committed offset of a partition, as its metric shows it.
    pub fn committed(&self, partition: i32) -> Option<i64> {
        let name = format!("medallion_consumer_committed_offset{{partition=\"{partition}\"}} ");
        let text = self.metrics.text();
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
    }

    /// What is in its way, and what a person reads of it.
    pub fn trouble_in_words(&self) -> Option<(Reason, String)> {
        let trouble = self.progress.snapshot().work.trouble?;
        Some((trouble.reason, trouble.message))
    }

    pub fn trouble(&self) -> Option<String> {
        self.progress
            .snapshot()
            .work
            .trouble
            .map(|trouble| trouble.reason.to_string())
    }
}

impl Drop for Running {
    /// A story that fails must not leave a thread that polls for ever, nor take the brokers away before it has left them:
    /// then it would ask them for ever, and the failure would not be seen.
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(task) = self.task.take() {
            let leaves = tokio::time::timeout(PATIENCE, task);
            // How it ends is another story's matter.
            let _ = tokio::task::block_in_place(|| Handle::current().block_on(leaves));
        }
    }
}

/// Waits for something that must come to pass.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
