//! An event source mapping of AWS Lambda on a table's stream: a shard's records in order, again until they are answered. Touches DynamoDB Streams.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail};
use aws_sdk_dynamodbstreams::error::SdkError;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsError;
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, ShardIteratorType, StreamDescription, StreamRecord};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::function::Function;
use crate::stores::Stores;

/// Most records of a batch.
const BATCH: usize = 100;

/// Where the mapping stands, which is nobody else's business: it begins at the oldest record.
pub struct Mapping<'s> {
    stores: &'s Stores,
    arn: String,
    shards: BTreeMap<String, Shard>,
    /// Invocations that failed, by the function's own word for why.
    pub failed: BTreeMap<String, usize>,
}

#[derive(Default)]
struct Shard {
    iterator: Option<String>,
    /// Sequence number of the newest record that was read.
    newest: Option<String>,
    waiting: Vec<Value>,
}

impl Shard {
    /// Reads on, if the shard goes on.
    async fn read(&mut self, stores: &Stores, arn: &str, id: &str) -> Result<()> {
        let Some(iterator) = self.iterator.take() else {
            return Ok(());
        };
        let page = stores.streams().get_records().shard_iterator(iterator).send().await;
        let page = match page.map_err(SdkError::into_service_error) {
            Ok(page) => page,
            // The local one says so of new tables, although nothing is.
            Err(GetRecordsError::TrimmedDataAccessException(_)) => {
                self.iterator = iterator_after(stores, arn, id, self.newest.as_deref()).await?;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for record in page.records() {
            let sequence = record.dynamodb().and_then(StreamRecord::sequence_number);
            self.newest = sequence.map(str::to_owned);
            self.waiting.push(event_record(record, arn)?);
        }
        self.iterator = page.next_shard_iterator;
        Ok(())
    }
}

/// Behind this record, or from the oldest.
async fn iterator_after(stores: &Stores, arn: &str, shard: &str, after: Option<&str>) -> Result<Option<String>> {
    let from = match after {
        Some(_) => ShardIteratorType::AfterSequenceNumber,
        None => ShardIteratorType::TrimHorizon,
    };
    let found = stores
        .streams()
        .get_shard_iterator()
        .stream_arn(arn)
        .shard_id(shard)
        .shard_iterator_type(from)
        .set_sequence_number(after.map(str::to_owned))
        .send()
        .await?;
    Ok(found.shard_iterator)
}

impl<'s> Mapping<'s> {
    pub async fn begin(stores: &'s Stores, table: &str) -> Result<Self> {
        let arn = stores.stream(table).await?;
        let streams = stores.streams();
        let listed = streams.describe_stream().stream_arn(&arn).send().await?;
        let mut shards = BTreeMap::new();
        for shard in listed
            .stream_description()
            .map(StreamDescription::shards)
            .unwrap_or_default()
        {
            let id = shard.shard_id().context("a shard has an id")?.to_owned();
            let iterator = iterator_after(stores, &arn, &id, None).await?;
            shards.insert(
                id,
                Shard {
                    iterator,
                    ..Shard::default()
                },
            );
        }
        Ok(Self {
            stores,
            arn,
            shards,
            failed: BTreeMap::new(),
        })
    }

    /// One batch of each shard that has something.
    pub async fn round(&mut self, function: &Function) -> Result<()> {
        for (id, shard) in &mut self.shards {
            shard.read(self.stores, &self.arn, id).await?;
            let records = &shard.waiting[..shard.waiting.len().min(BATCH)];
            if records.is_empty() {
                continue;
            }
            let answer = function.invoke(&event(&self.arn, id, records)).await?;
            if let Some(reason) = answer["errorType"].as_str() {
                *self.failed.entry(reason.to_owned()).or_default() += 1;
                continue;
            }
            let Some(failures) = answer["batchItemFailures"].as_array() else {
                bail!("{answer} answers no batch; {}", function.log());
            };
            let rest = failures.first().and_then(|failure| failure["itemIdentifier"].as_str());
            let done = match rest {
                None => records.len(),
                Some(rest) => {
                    let is_rest = |record: &Value| record["dynamodb"]["SequenceNumber"] == rest;
                    records.iter().position(is_rest).context("a record of the batch")?
                }
            };
            shard.waiting.drain(..done);
        }
        Ok(())
    }
}

fn event(arn: &str, shard: &str, records: &[Value]) -> Value {
    json!({
        "Records": records, "shardId": shard, "eventSourceARN": arn, "state": {},
        "window": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:15:00Z"},
        "isFinalInvokeForWindow": false, "isWindowTerminatedEarly": false,
    })
}

fn event_record(record: &Record, arn: &str) -> Result<Value> {
    let change = record.dynamodb().context("a record has a change")?;
    let time = change.approximate_creation_date_time().context("a change has a time")?;
    let mut event = json!({
        "eventID": record.event_id(), "eventName": record.event_name().context("a kind")?.as_str(),
        "eventVersion": record.event_version(), "eventSource": record.event_source(), "awsRegion": record.aws_region(),
        "eventSourceARN": arn,
        "dynamodb": {
            "ApproximateCreationDateTime": time.secs(), "Keys": attributes(change.keys())?,
            "SequenceNumber": change.sequence_number(), "SizeBytes": change.size_bytes(), "StreamViewType": "NEW_IMAGE",
        },
    });
    if change.new_image().is_some() {
        event["dynamodb"]["NewImage"] = attributes(change.new_image())?;
    }
    Ok(event)
}

fn attributes(item: Option<&HashMap<String, AttributeValue>>) -> Result<Value> {
    let mut all = Map::new();
    for (name, value) in item.into_iter().flatten() {
        // What the consumer writes.
        let value = match value {
            AttributeValue::S(text) => json!({"S": text}),
            AttributeValue::N(number) => json!({"N": number}),
            AttributeValue::B(bytes) => json!({"B": STANDARD.encode(bytes)}),
            other => bail!("{name} is {other:?}"),
        };
        all.insert(name.clone(), value);
    }
    Ok(Value::Object(all))
}
