//! Reads whole topics and puts records into them past the gateway. Touches Kafka.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

const WAIT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub key: String,
    pub headers: BTreeMap<String, String>,
    pub payload: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Kafka {
    bootstrap: String,
}

impl Kafka {
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
        }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", "stories")
            .set("log_level", "2");
        config
    }

    /// Every record of a topic, from the first to what was the last one when the reading began. A topic that is not there has none.
    pub async fn read(&self, topic: &str) -> Result<Vec<Record>> {
        let (config, name) = (self.config(), topic.to_owned());
        tokio::task::spawn_blocking(move || read(config, &name))
            .await?
            .with_context(|| format!("reading topic {topic}"))
    }

    /// How many records a topic has.
    pub async fn count(&self, topic: &str) -> Result<i64> {
        let (config, name) = (self.config(), topic.to_owned());
        tokio::task::spawn_blocking(move || {
            let consumer = consumer(config)?;
            Ok(ends(&consumer, &name)?.values().map(|(low, high)| high - low).sum())
        })
        .await?
    }

    /// Puts a record past the gateway.
    pub async fn put(&self, topic: &str, key: &str, payload: &[u8], headers: &[(&str, &str)]) -> Result<()> {
        let producer: FutureProducer = self.config().set("acks", "all").create()?;
        let mut all = OwnedHeaders::new();
        for (name, value) in headers {
            all = all.insert(Header {
                key: name,
                value: Some(*value),
            });
        }
        let record = FutureRecord::to(topic).key(key).payload(payload).headers(all);
        producer
            .send(record, WAIT)
            .await
            .map_err(|(error, _)| error)
            .with_context(|| format!("putting into {topic}"))?;
        Ok(())
    }

    /// Puts many records as fast as the client can; how long it took until all were acknowledged.
    pub async fn put_all(&self, topic: &str, records: &[(&str, &str)]) -> Result<Duration> {
        let producer: FutureProducer = self
            .config()
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .create()?;
        let begun = Instant::now();
        let mut acknowledgements = Vec::with_capacity(records.len());
        for (key, payload) in records {
            let mut record = FutureRecord::to(topic).key(*key).payload(*payload);
            // A full queue hands the record back: the broker is the limit, which is what is measured.
            let acknowledgement = loop {
                match producer.send_result(record) {
                    Ok(acknowledgement) => break acknowledgement,
                    Err((_, handed_back)) => record = handed_back,
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            };
            acknowledgements.push(acknowledgement);
        }
        for acknowledgement in acknowledgements {
            acknowledgement.await?.map_err(|(error, _)| error)?;
        }
        Ok(begun.elapsed())
    }

    /// Records of a topic that a consumer group has not committed.
    pub async fn lag(&self, topic: &str, group: &str) -> Result<i64> {
        let (mut config, name) = (self.config(), topic.to_owned());
        config.set("group.id", group).set("enable.auto.commit", "false");
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = config.create()?;
            let ends = ends(&consumer, &name)?;
            let mut partitions = TopicPartitionList::new();
            for partition in ends.keys() {
                partitions.add_partition(&name, *partition);
            }
            let committed = consumer.committed_offsets(partitions, WAIT)?;
            let mut lag = 0;
            for (partition, (low, high)) in ends {
                let place = committed.find_partition(&name, partition).map(|found| found.offset());
                lag += high
                    - if let Some(Offset::Offset(offset)) = place {
                        offset
                    } else {
                        low
                    };
            }
            Ok(lag)
        })
        .await?
    }

    /// Deletes topics and a consumer group, whether they are there or not, and waits until they are gone.
    pub async fn forget(&self, topics: &[&str], group: &str) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.config().create()?;
        let options = AdminOptions::new().operation_timeout(Some(WAIT));
        for result in admin.delete_topics(topics, &options).await? {
            // Brokers that need longer go on with it; below it is waited for.
            if !matches!(result, Err((_, RDKafkaErrorCode::RequestTimedOut))) {
                accept(result, RDKafkaErrorCode::UnknownTopicOrPartition)?;
            }
        }
        let begun = Instant::now();
        // A group whose members have just left is still held for a moment.
        loop {
            let results = admin.delete_groups(&[group], &options).await?;
            let errors: Vec<_> = results
                .into_iter()
                .filter_map(|result| accept(result, RDKafkaErrorCode::GroupIdNotFound).err())
                .collect();
            match errors.into_iter().next() {
                None => break,
                Some(error) if begun.elapsed() > Duration::from_mins(1) => return Err(error),
                Some(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
        for topic in topics {
            while self.exists(topic).await? {
                if begun.elapsed() > Duration::from_mins(1) {
                    bail!("topic {topic} does not go");
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Ok(())
    }

    pub async fn exists(&self, topic: &str) -> Result<bool> {
        let (config, name) = (self.config(), topic.to_owned());
        tokio::task::spawn_blocking(move || {
            let consumer = consumer(config)?;
            let metadata = consumer.fetch_metadata(None, WAIT)?;
            Ok(metadata.topics().iter().any(|one| one.name() == name))
        })
        .await?
    }
}

fn accept<T>(result: Result<T, (String, RDKafkaErrorCode)>, fine: RDKafkaErrorCode) -> Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err((_, code)) if code == fine => Ok(()),
        Err((name, code)) => bail!("{name}: {code}"),
    }
}

fn consumer(mut config: ClientConfig) -> Result<BaseConsumer, KafkaError> {
    config
        .set("group.id", "stories-look-only")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "false")
        .create()
}

/// First and next offset of each partition; nothing for a topic that is not there.
fn ends(consumer: &BaseConsumer, topic: &str) -> Result<BTreeMap<i32, (i64, i64)>> {
    let metadata = consumer.fetch_metadata(None, WAIT)?;
    let Some(found) = metadata.topics().iter().find(|one| one.name() == topic) else {
        return Ok(BTreeMap::new());
    };
    let mut ends = BTreeMap::new();
    for partition in found.partitions() {
        ends.insert(partition.id(), consumer.fetch_watermarks(topic, partition.id(), WAIT)?);
    }
    Ok(ends)
}

fn read(config: ClientConfig, topic: &str) -> Result<Vec<Record>> {
    let consumer = consumer(config)?;
    let mut open = ends(&consumer, topic)?;
    open.retain(|_, (low, high)| low < high);
    let mut assignment = TopicPartitionList::new();
    for (partition, (low, _)) in &open {
        assignment.add_partition_offset(topic, *partition, Offset::Offset(*low))?;
    }
    consumer.assign(&assignment)?;
    let mut records = Vec::new();
    let mut last = Instant::now();
    while !open.is_empty() {
        let Some(message) = consumer.poll(Duration::from_millis(200)) else {
            if last.elapsed() > Duration::from_secs(30) {
                bail!("no record for 30 s, {} partitions not read to their end", open.len());
            }
            continue;
        };
        let message = message?;
        last = Instant::now();
        let (partition, offset) = (message.partition(), message.offset());
        let Some((_, high)) = open.get(&partition) else {
            continue;
        };
        if offset + 1 >= *high {
            open.remove(&partition);
        }
        let mut headers = BTreeMap::new();
        if let Some(all) = message.headers() {
            for header in all.iter() {
                let value = header.value.map(|value| String::from_utf8_lossy(value).into_owned());
                headers.insert(header.key.to_owned(), value.unwrap_or_default());
            }
        }
        records.push(Record {
            partition,
            offset,
            key: message
                .key()
                .map(|key| String::from_utf8_lossy(key).into_owned())
                .unwrap_or_default(),
            headers,
            payload: message.payload().unwrap_or_default().to_vec(),
        });
    }
    Ok(records)
}
