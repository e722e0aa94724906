//! An event source mapping with a tumbling window, as Lambda has it, on the local `DynamoDB`'s stream. Talks to `DynamoDB` Streams.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use aws_sdk_dynamodbstreams::error::SdkError;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsError;
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, ShardIteratorType};
use serde_json::{Map, Value, json};

use crate::emulator::{Answer, Emulator};
use crate::shop::Shop;

/// Where the mapping stands: it begins at the oldest record, and gives again what is not answered for.
pub struct Mapping {
    streams: aws_sdk_dynamodbstreams::Client,
    pub arn: String,
    shards: BTreeMap<String, Shard>,
}

#[derive(Default)]
struct Shard {
    iterator: Option<String>,
    /// Sequence number of the newest record that was read.
    newest: Option<String>,
    waiting: Vec<Value>,
}

impl Mapping {
    pub async fn begin(shop: &Shop) -> Result<Self> {
        let streams = aws_sdk_dynamodbstreams::Client::new(&shop.stack.dynamodb());
        let described = shop.items.describe_table().table_name(&shop.table).send().await?;
        let arn = described
            .table
            .and_then(|table| table.latest_stream_arn)
            .context("a stream")?;
        let mut mapping = Self {
            streams,
            arn,
            shards: BTreeMap::new(),
        };
        mapping.list().await?;
        Ok(mapping)
    }

    /// Takes the shards in that it does not know yet. A new stream may list its first one late.
    async fn list(&mut self) -> Result<()> {
        let described = self.streams.describe_stream().stream_arn(&self.arn).send().await?;
        for shard in described.stream_description.context("a description")?.shards() {
            let id = shard.shard_id.clone().context("a shard")?;
            if self.shards.contains_key(&id) {
                continue;
            }
            let shard = Shard {
                iterator: self.iterator(&id, None).await?,
                ..Shard::default()
            };
            self.shards.insert(id, shard);
        }
        Ok(())
    }

    /// Reads on in all shards.
    async fn pull(&mut self) -> Result<()> {
        if self.shards.values().all(|shard| shard.iterator.is_none()) {
            self.list().await?;
        }
        for (id, mut shard) in std::mem::take(&mut self.shards) {
            self.read(&id, &mut shard).await?;
            self.shards.insert(id, shard);
        }
        Ok(())
    }

    async fn read(&self, id: &str, shard: &mut Shard) -> Result<()> {
        let Some(iterator) = shard.iterator.take() else {
            return Ok(());
        };
        let answer = self.streams.get_records().shard_iterator(iterator).send().await;
        let answer = match answer.map_err(SdkError::into_service_error) {
            Ok(answer) => answer,
            // The local one says so of new tables, although nothing is.
            Err(GetRecordsError::TrimmedDataAccessException(_)) => {
                shard.iterator = self.iterator(id, shard.newest.as_deref()).await?;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for record in answer.records() {
            let record = event_record(record, &self.arn)?;
            shard.newest = Some(sequence(&record).to_owned());
            shard.waiting.push(record);
        }
        shard.iterator = answer.next_shard_iterator;
        Ok(())
    }

    /// Behind this record, or from the oldest.
    async fn iterator(&self, shard: &str, after: Option<&str>) -> Result<Option<String>> {
        let from = match after {
            Some(_) => ShardIteratorType::AfterSequenceNumber,
            None => ShardIteratorType::TrimHorizon,
        };
        let found = self
            .streams
            .get_shard_iterator()
            .stream_arn(&self.arn)
            .shard_id(shard)
            .shard_iterator_type(from)
            .set_sequence_number(after.map(str::to_owned))
            .send()
            .await?;
        Ok(found.shard_iterator)
    }

    /// The next batch of the first shard that has one.
    pub async fn next(&mut self, most: usize) -> Result<Option<Value>> {
        self.pull().await?;
        let waiting = self.shards.iter().find(|(_, shard)| !shard.waiting.is_empty());
        Ok(waiting.map(|(id, shard)| {
            let records: Vec<_> = shard.waiting.iter().take(most).cloned().collect();
            event(&self.arn, id, &records)
        }))
    }

    /// What a function has answered for is not given again.
    pub fn answered(&mut self, event: &Value, answer: &Answer) {
        let given = event["Records"].as_array().expect("records");
        let done = match answer {
            Answer::Done => given.len(),
            Answer::From(first) => given
                .iter()
                .position(|record| sequence(record) == first)
                .expect("one of them"),
            Answer::Failed(..) => 0,
        };
        let shard = event["shardId"].as_str().and_then(|shard| self.shards.get_mut(shard));
        shard.expect("a shard").waiting.drain(..done);
    }

    /// Gives the function its next batch, if there is one; 1 if the invocation failed.
    pub async fn invoke_once(&mut self, function: &Emulator, most: usize) -> Result<usize> {
        let Some(event) = self.next(most).await? else {
            return Ok(0);
        };
        let answer = function.give(&event).await?;
        self.answered(&event, &answer);
        Ok(usize::from(matches!(answer, Answer::Failed(..))))
    }
}

/// The event of one batch.
pub fn event(arn: &str, shard: &str, records: &[Value]) -> Value {
    json!({
        "Records": records,
        "window": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:15:00Z"},
        "state": {},
        "shardId": shard,
        "eventSourceARN": arn,
        "isFinalInvokeForWindow": false,
        "isWindowTerminatedEarly": false,
    })
}

/// The sequence number of an event's record.
pub fn sequence(record: &Value) -> &str {
    record["dynamodb"]["SequenceNumber"]
        .as_str()
        .expect("a sequence number")
}

fn event_record(record: &Record, arn: &str) -> Result<Value> {
    let change = record.dynamodb.as_ref().context("a change")?;
    let time = change.approximate_creation_date_time.context("a time")?;
    let mut event = json!({
        "eventID": record.event_id,
        "eventName": record.event_name.as_ref().context("a kind")?.as_str(),
        "eventVersion": record.event_version,
        "eventSource": record.event_source,
        "awsRegion": record.aws_region,
        "eventSourceARN": arn,
        "dynamodb": {
            "ApproximateCreationDateTime": time.secs(),
            "Keys": attributes(change.keys.as_ref())?,
            "SequenceNumber": change.sequence_number,
            "SizeBytes": change.size_bytes,
            "StreamViewType": "NEW_IMAGE",
        },
    });
    if change.new_image.is_some() {
        event["dynamodb"]["NewImage"] = attributes(change.new_image.as_ref())?;
    }
    Ok(event)
}

fn attributes(item: Option<&HashMap<String, AttributeValue>>) -> Result<Value> {
    let mut all = Map::new();
    for (name, value) in item.into_iter().flatten() {
        let value = serde_dynamo::AttributeValue::from(value.clone());
        all.insert(name.clone(), serde_json::to_value(value)?);
    }
    Ok(Value::Object(all))
}
