//! One story's own topics and table on the real parts. Kafka and `DynamoDB`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType,
};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use tokio::runtime::Runtime;

pub const PARTITIONS: i32 = 4;
const PATIENCE: Duration = Duration::from_secs(30);

/// A good event; its key is one of 97.
pub fn event(number: usize) -> String {
    format!(
        r#"{{"id":"e{number}","part":{},"at":"2024-01-02T03:04:05Z"}}"#,
        number % 97
    )
}

pub struct Stack {
    pub name: String,
    pub bootstrap_servers: String,
    pub dynamodb_endpoint: String,
    pub access_key: String,
    pub secret_key: String,
    pub region: String,
    /// The stack's file.
    pub document: Value,
    runtime: Runtime,
    producer: BaseProducer,
    client: Client,
}

impl Stack {
    pub fn new(story: &str) -> Result<Self> {
        let path = std::env::var("MEDALLION_STACK").context("MEDALLION_STACK must name the stack's file")?;
        let file: Value = serde_json::from_str(&std::fs::read_to_string(&path).context(path)?)?;
        let text = |pointer: &str| -> Result<String> {
            Ok(file
                .pointer(pointer)
                .and_then(Value::as_str)
                .with_context(|| pointer.to_owned())?
                .to_owned())
        };
        let (access_key, secret_key) = (text("/aws/accessKeyId")?, text("/aws/secretAccessKey")?);
        let (dynamodb_endpoint, region) = (text("/dynamodb/endpoint")?, text("/aws/region")?);
        let bootstrap_servers = text("/kafka/bootstrapServers")?;
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.clone()))
            .credentials_provider(Credentials::new(&access_key, &secret_key, None, None, "stack"))
            .endpoint_url(&dynamodb_endpoint)
            .build();
        let stack = Self {
            name: format!("consumer-{story}-{}", std::process::id()),
            producer: ClientConfig::new()
                .set("bootstrap.servers", &bootstrap_servers)
                .set("partitioner", "murmur2_random")
                .create()?,
            bootstrap_servers,
            dynamodb_endpoint,
            access_key,
            secret_key,
            region,
            document: file.clone(),
            runtime: Runtime::new()?,
            client: Client::from_conf(config),
        };
        stack.create_topics()?;
        stack.create_table()?;
        Ok(stack)
    }

    pub fn dead_letter_topic(&self) -> String {
        format!("dlq.{}", self.name)
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap_servers)
            .create()?)
    }

    /// Deletes the events' topic and makes it again under the same name.
    pub fn make_topic_anew(&self) -> Result<()> {
        let (admin, options) = (self.admin()?, AdminOptions::new());
        let deleted = self.runtime.block_on(admin.delete_topics(&[&self.name], &options))?;
        for result in deleted {
            result.map_err(|(topic, code)| anyhow::anyhow!("topic {topic}: {code}"))?;
        }
        let new = NewTopic::new(&self.name, PARTITIONS, TopicReplication::Fixed(1));
        let begun = std::time::Instant::now();
        // The name is free only when the brokers have done with the old one.
        loop {
            let made = self.runtime.block_on(admin.create_topics([&new], &options))?;
            match made.into_iter().next().context("an answer")? {
                Ok(_) => return Ok(()),
                Err((topic, code)) => ensure!(begun.elapsed() < PATIENCE, "topic {topic}: {code}"),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Id of the events' topic, as the brokers give it now.
    pub fn topic_id(&self) -> Result<String> {
        let reader = self.reader("a reader")?;
        kafka_admin::topic_id(reader.client(), &self.name, PATIENCE)?.context("an id")
    }

    fn create_topics(&self) -> Result<()> {
        let dead_letters = self.dead_letter_topic();
        let topics = [
            NewTopic::new(&self.name, PARTITIONS, TopicReplication::Fixed(1)),
            NewTopic::new(&dead_letters, 1, TopicReplication::Fixed(1)),
        ];
        let created = self
            .runtime
            .block_on(self.admin()?.create_topics(&topics, &AdminOptions::new()))?;
        for result in created {
            result.map_err(|(topic, code)| anyhow::anyhow!("topic {topic}: {code}"))?;
        }
        Ok(())
    }

    pub fn create_table(&self) -> Result<()> {
        let attribute = |name: &str| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S)
                .build()
        };
        let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::NewImage)
            .build()?;
        let call = self
            .client
            .create_table()
            .table_name(&self.name)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute("key")?)
            .attribute_definitions(attribute("event_id")?)
            .key_schema(key("key", KeyType::Hash)?)
            .key_schema(key("event_id", KeyType::Range)?)
            .stream_specification(stream);
        self.runtime.block_on(call.send())?;
        Ok(())
    }

    pub fn delete_table(&self) -> Result<()> {
        self.runtime
            .block_on(self.client.delete_table().table_name(&self.name).send())?;
        Ok(())
    }

    /// Queues one record under its event's key.
    pub fn produce(&self, payload: &str) -> Result<()> {
        self.produce_at(payload, rdkafka::Timestamp::now().to_millis().context("a time")?)
    }

    /// Queues one record of a time, in milliseconds of the epoch.
    pub fn produce_at(&self, payload: &str, milliseconds: i64) -> Result<()> {
        let value: Value = serde_json::from_str(payload).unwrap_or_default();
        let key = value["part"].to_string();
        while let Err((error, _)) = self.producer.send(
            BaseRecord::to(&self.name)
                .key(&key)
                .payload(payload)
                .timestamp(milliseconds),
        ) {
            ensure!(
                error.rdkafka_error_code() == Some(rdkafka::error::RDKafkaErrorCode::QueueFull),
                "{error}"
            );
            self.producer.poll(Duration::from_millis(10));
        }
        Ok(())
    }

    pub fn flush(&self) -> Result<()> {
        Ok(self.producer.flush(PATIENCE)?)
    }

    /// Keys and event ids in the table.
    pub fn stored(&self) -> Result<BTreeSet<(String, String)>> {
        let call = self.client.scan().table_name(&self.name).consistent_read(true);
        let items = self
            .runtime
            .block_on(call.into_paginator().items().send().collect::<Result<Vec<_>, _>>())?;
        items
            .iter()
            .map(|item| {
                let text = |name: &str| {
                    item.get(name)
                        .and_then(|value| value.as_s().ok())
                        .cloned()
                        .context("an attribute")
                };
                Ok((text("key")?, text("event_id")?))
            })
            .collect()
    }

    /// When each item may be deleted, in seconds of the epoch, by its event id; nothing where it says nothing.
    pub fn expiries(&self) -> Result<BTreeMap<String, Option<String>>> {
        let call = self.client.scan().table_name(&self.name).consistent_read(true);
        let items = self.runtime.block_on(call.send())?.items.unwrap_or_default();
        items
            .iter()
            .map(|item| {
                let id = item.get("event_id").and_then(|value| value.as_s().ok());
                let at = item.get("expires_at").map(|value| value.as_n().cloned());
                let at = at
                    .transpose()
                    .map_err(|other| anyhow::anyhow!("no number: {other:?}"))?;
                Ok((id.context("an id")?.clone(), at))
            })
            .collect()
    }

    fn reader(&self, group: &str) -> Result<BaseConsumer> {
        Ok(ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("group.id", group)
            .create()?)
    }

    /// Sum of the group's committed offsets.
    pub fn committed(&self) -> Result<i64> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.name, 0, PARTITIONS - 1);
        let committed = self.reader(&self.name)?.committed_offsets(asked, PATIENCE)?;
        Ok(committed
            .elements()
            .iter()
            .filter_map(|element| element.offset().to_raw())
            .filter(|offset| *offset > 0)
            .sum())
    }

    pub fn dead_letters(&self) -> Result<i64> {
        let (first, end) = self
            .reader("a reader")?
            .fetch_watermarks(&self.dead_letter_topic(), 0, PATIENCE)?;
        Ok(end - first)
    }

    /// Deletes everything that is in the topic now, as retention would.
    pub fn delete_records(&self) -> Result<()> {
        let mut offsets = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            offsets.add_partition_offset(&self.name, partition, Offset::End)?;
        }
        self.runtime
            .block_on(self.admin()?.delete_records(&offsets, &AdminOptions::new()))?;
        Ok(())
    }

    /// How many changes the table's stream holds.
    pub fn stream_records(&self) -> Result<usize> {
        let described = self
            .runtime
            .block_on(self.client.describe_table().table_name(&self.name).send())?;
        let arn = described
            .table()
            .and_then(|table| table.latest_stream_arn())
            .context("a stream")?
            .to_owned();
        let config = aws_sdk_dynamodbstreams::config::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(Credentials::new(
                &self.access_key,
                &self.secret_key,
                None,
                None,
                "stack",
            ))
            .endpoint_url(&self.dynamodb_endpoint)
            .build();
        let streams = aws_sdk_dynamodbstreams::Client::from_conf(config);
        self.runtime.block_on(async {
            let described = streams.describe_stream().stream_arn(&arn).send().await?;
            let shards = described
                .stream_description()
                .map(|stream| stream.shards().to_vec())
                .unwrap_or_default();
            let mut count = 0;
            for shard in shards {
                let start = aws_sdk_dynamodbstreams::types::ShardIteratorType::TrimHorizon;
                let iterator = streams
                    .get_shard_iterator()
                    .stream_arn(&arn)
                    .set_shard_id(shard.shard_id)
                    .shard_iterator_type(start)
                    .send()
                    .await?;
                let records = streams
                    .get_records()
                    .set_shard_iterator(iterator.shard_iterator)
                    .send()
                    .await?;
                count += records.records().len();
            }
            Ok(count)
        })
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let (topic, dead_letters) = (self.name.clone(), self.dead_letter_topic());
        if let Ok(admin) = self.admin() {
            let _ = self
                .runtime
                .block_on(admin.delete_topics(&[&topic, &dead_letters], &AdminOptions::new()));
        }
        let _ = self.delete_table();
    }
}
