//! Counts and wipes what a story has left in S3 and DynamoDB. Touches both.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, Select,
    StreamSpecification, StreamViewType,
};
use aws_sdk_dynamodbstreams::types::{ShardIteratorType, StreamDescription};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, Object, ObjectIdentifier};
use futures::{StreamExt, stream};

use crate::event::Identity;
use crate::stack::Stack;

#[derive(Clone)]
pub struct Stores {
    s3: aws_sdk_s3::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    streams: aws_sdk_dynamodbstreams::Client,
}

impl Stores {
    pub async fn connect(stack: &Stack) -> Self {
        let aws = &stack.aws;
        let shared = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(aws.region.clone()))
            .credentials_provider(Credentials::new(
                &aws.access_key_id,
                &aws.secret_access_key,
                None,
                None,
                "stack.json",
            ))
            .load()
            .await;
        let s3 = aws_sdk_s3::config::Builder::from(&shared)
            .endpoint_url(&stack.s3.endpoint)
            .force_path_style(true)
            .build();
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(&shared)
            .endpoint_url(&stack.dynamodb.endpoint)
            .build();
        let streams = aws_sdk_dynamodbstreams::config::Builder::from(&shared)
            .endpoint_url(&stack.dynamodb.endpoint)
            .build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
            streams: aws_sdk_dynamodbstreams::Client::from_conf(streams),
        }
    }

    /// How many items a table has.
    pub async fn items(&self, table: &str) -> Result<i64> {
        let mut pages = self
            .dynamodb
            .scan()
            .table_name(table)
            .select(Select::Count)
            .consistent_read(true)
            .into_paginator()
            .send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            count += i64::from(page.with_context(|| format!("scanning {table}"))?.count());
        }
        Ok(count)
    }

    /// The payload of each item of a table.
    pub async fn payloads(&self, table: &str) -> Result<BTreeMap<Identity, String>> {
        let scan = self.dynamodb.scan().table_name(table).consistent_read(true);
        let mut items = scan.into_paginator().items().send();
        let mut payloads = BTreeMap::new();
        while let Some(item) = items.next().await {
            let item = item.with_context(|| format!("scanning {table}"))?;
            let text = |name: &str| {
                let value = item.get(name).and_then(|value| value.as_s().ok());
                value
                    .cloned()
                    .with_context(|| format!("an item of {table} has no {name}"))
            };
            let identity = Identity {
                key: text("key")?,
                id: text("event_id")?,
            };
            payloads.insert(identity, text("payload")?);
        }
        Ok(payloads)
    }

    /// Conditional puts into a table of its own, so many at once; how long they took.
    pub async fn puts(&self, count: usize, in_flight: usize) -> Result<Duration> {
        const TABLE: &str = "bench_puts";
        self.forget_table(TABLE).await?;
        let text = |name: &str| {
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
        let create = self
            .dynamodb
            .create_table()
            .table_name(TABLE)
            .billing_mode(BillingMode::PayPerRequest);
        let create = create
            .attribute_definitions(text("key")?)
            .attribute_definitions(text("event_id")?);
        let create = create
            .key_schema(key("key", KeyType::Hash)?)
            .key_schema(key("event_id", KeyType::Range)?);
        create.stream_specification(stream).send().await?;
        let payload = "x".repeat(400);
        let begun = Instant::now();
        let mut puts = stream::iter((0..count).map(|number| {
            let put = self
                .dynamodb
                .put_item()
                .table_name(TABLE)
                .condition_expression("attribute_not_exists(#key)");
            put.expression_attribute_names("#key", "key")
                .item("key", AttributeValue::S(number.to_string()))
                .item("event_id", AttributeValue::S(number.to_string()))
                .item("payload", AttributeValue::S(payload.clone()))
                .send()
        }))
        .buffer_unordered(in_flight);
        while let Some(put) = puts.next().await {
            put?;
        }
        drop(puts);
        let took = begun.elapsed();
        self.forget_table(TABLE).await?;
        Ok(took)
    }

    /// Reads a table's stream from its beginning, until so many records were seen; how long that took.
    pub async fn read_stream(&self, table: &str, records: usize) -> Result<Duration> {
        let description = self.dynamodb.describe_table().table_name(table).send().await?;
        let stream = description.table().and_then(|table| table.latest_stream_arn());
        let stream = stream.with_context(|| format!("{table} has no stream"))?;
        let begun = Instant::now();
        let listed = self.streams.describe_stream().stream_arn(stream).send().await?;
        let shards = listed
            .stream_description()
            .map(StreamDescription::shards)
            .unwrap_or_default();
        let mut seen = 0;
        for shard in shards {
            let first = self
                .streams
                .get_shard_iterator()
                .stream_arn(stream)
                .set_shard_id(shard.shard_id().map(ToOwned::to_owned))
                .shard_iterator_type(ShardIteratorType::TrimHorizon)
                .send()
                .await?;
            let mut iterator = first.shard_iterator;
            while let Some(next) = iterator.take_if(|_| seen < records) {
                let page = self.streams.get_records().shard_iterator(next).send().await?;
                seen += page.records().len();
                iterator = page.next_shard_iterator;
            }
        }
        ensure!(
            seen >= records,
            "the stream of {table} holds {seen} records instead of {records}"
        );
        Ok(begun.elapsed())
    }

    /// A table's stream.
    pub async fn stream(&self, table: &str) -> Result<String> {
        let description = self.dynamodb.describe_table().table_name(table).send().await?;
        let stream = description.table().and_then(|table| table.latest_stream_arn());
        stream
            .map(str::to_owned)
            .with_context(|| format!("{table} has no stream"))
    }

    /// Who reads streams.
    pub const fn streams(&self) -> &aws_sdk_dynamodbstreams::Client {
        &self.streams
    }

    pub async fn has_table(&self, table: &str) -> bool {
        self.dynamodb.describe_table().table_name(table).send().await.is_ok()
    }

    pub async fn has_bucket(&self, bucket: &str) -> bool {
        self.s3.head_bucket().bucket(bucket).send().await.is_ok()
    }

    /// Writes an object.
    pub async fn put(&self, bucket: &str, key: &str, text: &str) -> Result<()> {
        let body = ByteStream::from(text.as_bytes().to_vec());
        let put = self.s3.put_object().bucket(bucket).key(key).body(body).send();
        put.await.with_context(|| format!("writing s3://{bucket}/{key}"))?;
        Ok(())
    }

    /// Every object of a bucket with its content.
    pub async fn objects(&self, bucket: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let mut objects = Vec::new();
        let mut pages = self.s3.list_objects_v2().bucket(bucket).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.with_context(|| format!("listing {bucket}"))?;
            for key in page.contents().iter().filter_map(Object::key) {
                let got = self.s3.get_object().bucket(bucket).key(key).send().await;
                let got = got.with_context(|| format!("reading s3://{bucket}/{key}"))?;
                objects.push((key.to_owned(), got.body.collect().await?.to_vec()));
            }
        }
        Ok(objects)
    }

    /// Deletes a table, if it is there.
    pub async fn forget_table(&self, table: &str) -> Result<()> {
        if self.has_table(table).await {
            self.dynamodb
                .delete_table()
                .table_name(table)
                .send()
                .await
                .with_context(|| format!("deleting {table}"))?;
        }
        Ok(())
    }

    /// Deletes a bucket with everything in it, if it is there.
    pub async fn forget_bucket(&self, bucket: &str) -> Result<()> {
        if !self.has_bucket(bucket).await {
            return Ok(());
        }
        let mut pages = self.s3.list_objects_v2().bucket(bucket).into_paginator().send();
        while let Some(page) = pages.next().await {
            let keys: Vec<ObjectIdentifier> = page?
                .contents()
                .iter()
                .filter_map(|object| ObjectIdentifier::builder().key(object.key()?).build().ok())
                .collect();
            if !keys.is_empty() {
                let delete = Delete::builder().set_objects(Some(keys)).quiet(true).build()?;
                self.s3
                    .delete_objects()
                    .bucket(bucket)
                    .delete(delete)
                    .send()
                    .await
                    .with_context(|| format!("emptying {bucket}"))?;
            }
        }
        self.s3
            .delete_bucket()
            .bucket(bucket)
            .send()
            .await
            .with_context(|| format!("deleting {bucket}"))?;
        Ok(())
    }
}
