//! An event source mapping of AWS Lambda on a table's stream: a shard's records in order, again until they are answered. Talks to `DynamoDB` Streams.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::error::SdkError;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsError;
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, ShardIteratorType, StreamDescription};
use serde_json::{Map, Value, json};

/// Where the mapping stands, which is nobody else's business: it begins at the oldest record.
pub struct Mapping {
    streams: Client,
    arn: String,
    shards: BTreeMap<String, Shard>,
}

#[derive(Default)]
struct Shard {
    iterator: Option<String>,
    /// Sequence number of the newest record that was read.
    newest: Option<String>,
    waiting: Vec<Value>,
}

/// How Lambda understands what a function says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Everything is taken.
    Done,
    /// Everything before this record is.
    From(String),
    /// The invocation failed: nothing is known to be taken. Reason and message.
    Failed(String, String),
}

impl Answer {
    /// The answer in what the function said; an error if that answers no batch.
    pub fn of(said: &Value) -> Result<Self> {
        if let Some(reason) = said["errorType"].as_str() {
            let message = said["errorMessage"].as_str().unwrap_or_default();
            return Ok(Self::Failed(reason.to_owned(), message.to_owned()));
        }
        let failures = said["batchItemFailures"].as_array();
        let failures = failures.with_context(|| format!("{said} answers no batch"))?;
        let first = failures.first().and_then(|failure| failure["itemIdentifier"].as_str());
        Ok(first.map_or(Self::Done, |first| Self::From(first.to_owned())))
    }

    /// The reason of a failed invocation; else empty.
    pub fn reason(&self) -> &str {
        match self {
            Self::Failed(reason, _) => reason,
            Self::Done | Self::From(_) => "",
        }
    }
}

impl Mapping {
    /// One on this stream.
    pub async fn begin(streams: Client, arn: String) -> Result<Self> {
        let mut mapping = Self {
            streams,
            arn,
            shards: BTreeMap::new(),
        };
        mapping.list().await?;
        Ok(mapping)
    }

    /// The stream.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Takes the shards in that it does not know yet. A new stream may list its first one late.
    async fn list(&mut self) -> Result<()> {
        let listed = self.streams.describe_stream().stream_arn(&self.arn).send().await?;
        let shards = listed.stream_description().map(StreamDescription::shards);
        for shard in shards.unwrap_or_default() {
            let id = shard.shard_id().context("a shard has an id")?;
            if self.shards.contains_key(id) {
                continue;
            }
            let shard = Shard {
                iterator: iterator_after(&self.streams, &self.arn, id, None).await?,
                ..Shard::default()
            };
            self.shards.insert(id.to_owned(), shard);
        }
        Ok(())
    }

    /// Reads on in all shards.
    async fn pull(&mut self) -> Result<()> {
        if self.shards.values().all(|shard| shard.iterator.is_none()) {
            self.list().await?;
        }
        for (id, shard) in &mut self.shards {
            shard.read(&self.streams, &self.arn, id).await?;
        }
        Ok(())
    }

    /// The next batch of each shard that has one, of so many records at most.
    pub async fn round(&mut self, most: usize) -> Result<Vec<Value>> {
        self.pull().await?;
        let waiting = self.shards.iter().filter(|(_, shard)| !shard.waiting.is_empty());
        let batch = |(id, shard): (&String, &Shard)| {
            let records = &shard.waiting[..shard.waiting.len().min(most)];
            event(&self.arn, id, records)
        };
        Ok(waiting.map(batch).collect())
    }

    /// The next batch of the first shard that has one.
    pub async fn next(&mut self, most: usize) -> Result<Option<Value>> {
        Ok(self.round(most).await?.into_iter().next())
    }

    /// What a function has answered for is not given again.
    pub fn answered(&mut self, batch: &Value, answer: &Answer) -> Result<()> {
        let given = batch["Records"].as_array().context("a batch has records")?;
        let done = match answer {
            Answer::Done => given.len(),
            Answer::From(first) => given
                .iter()
                .position(|record| sequence(record) == first)
                .with_context(|| format!("{first} is no record of the batch"))?,
            Answer::Failed(..) => 0,
        };
        let shard = batch["shardId"].as_str().and_then(|shard| self.shards.get_mut(shard));
        shard.context("a batch is of a shard")?.waiting.drain(..done);
        Ok(())
    }
}

impl Shard {
    /// Reads on, if the shard goes on.
    async fn read(&mut self, streams: &Client, arn: &str, id: &str) -> Result<()> {
        let Some(iterator) = self.iterator.take() else {
            return Ok(());
        };
        let page = streams.get_records().shard_iterator(iterator).send().await;
        let page = match page.map_err(SdkError::into_service_error) {
            Ok(page) => page,
            // The local one says so of new tables, although nothing is.
            Err(GetRecordsError::TrimmedDataAccessException(_)) => {
                self.iterator = iterator_after(streams, arn, id, self.newest.as_deref()).await?;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for record in page.records() {
            let record = event_record(record, arn)?;
            self.newest = Some(sequence(&record).to_owned());
            self.waiting.push(record);
        }
        self.iterator = page.next_shard_iterator;
        Ok(())
    }
}

/// Behind this record, or from the oldest.
async fn iterator_after(streams: &Client, arn: &str, shard: &str, after: Option<&str>) -> Result<Option<String>> {
    let from = match after {
        Some(_) => ShardIteratorType::AfterSequenceNumber,
        None => ShardIteratorType::TrimHorizon,
    };
    let found = streams
        .get_shard_iterator()
        .stream_arn(arn)
        .shard_id(shard)
        .shard_iterator_type(from)
        .set_sequence_number(after.map(str::to_owned))
        .send()
        .await?;
    Ok(found.shard_iterator)
}

/// The event of one batch, in a tumbling window: only so it names its shard.
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

/// The sequence number of an event's record; empty if it has none.
pub fn sequence(record: &Value) -> &str {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default()
}

fn event_record(record: &Record, arn: &str) -> Result<Value> {
    let change = record.dynamodb().context("a record has a change")?;
    let time = change.approximate_creation_date_time().context("a change has a time")?;
    let number = change.sequence_number().context("a change has a number")?;
    let mut event = json!({
        "eventID": record.event_id(),
        "eventName": record.event_name().context("a record has a kind")?.as_str(),
        "eventVersion": record.event_version(),
        "eventSource": record.event_source(),
        "awsRegion": record.aws_region(),
        "eventSourceARN": arn,
        "dynamodb": {
            "ApproximateCreationDateTime": time.secs(),
            "Keys": attributes(change.keys())?,
            "SequenceNumber": number,
            "SizeBytes": change.size_bytes(),
            "StreamViewType": "NEW_IMAGE",
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
        let value = serde_dynamo::AttributeValue::from(value.clone());
        all.insert(name.clone(), serde_json::to_value(value)?);
    }
    Ok(Value::Object(all))
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodbstreams::config::{BehaviorVersion, Config, Region};
    use aws_sdk_dynamodbstreams::primitives::{Blob, DateTime};
    use aws_sdk_dynamodbstreams::types::{OperationType, StreamRecord};

    use super::*;

    fn record(number: u8) -> Value {
        json!({"dynamodb": {"SequenceNumber": number.to_string()}})
    }

    /// A mapping that has read so many records of one shard, and asks nobody.
    fn standing_at(records: u8) -> Mapping {
        let configuration = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"));
        let shard = Shard {
            waiting: (0..records).map(record).collect(),
            ..Shard::default()
        };
        Mapping {
            streams: Client::from_conf(configuration.build()),
            arn: "arn".to_owned(),
            shards: [("shard".to_owned(), shard)].into(),
        }
    }

    #[test]
    fn what_is_not_answered_for_is_given_again() {
        let mut mapping = standing_at(4);
        let batch = event("arn", "shard", &[record(0), record(1), record(2)]);
        let waiting = |mapping: &Mapping| mapping.shards["shard"].waiting.clone();
        let failed = Answer::of(&json!({"errorType": "LakeUnavailable", "errorMessage": "no"})).expect("an answer");
        assert_eq!(failed.reason(), "LakeUnavailable");
        mapping.answered(&batch, &failed).expect("a batch");
        assert_eq!(waiting(&mapping).len(), 4);
        let partly = Answer::of(&json!({"batchItemFailures": [{"itemIdentifier": "2"}]})).expect("an answer");
        mapping.answered(&batch, &partly).expect("a batch");
        assert_eq!(waiting(&mapping), [record(2), record(3)]);
        let done = Answer::of(&json!({"batchItemFailures": []})).expect("an answer");
        mapping
            .answered(&event("arn", "shard", &[record(2)]), &done)
            .expect("a batch");
        assert_eq!(waiting(&mapping), [record(3)]);
        assert!(Answer::of(&json!({"statusCode": 200})).is_err());
        let strange = Answer::From("77".to_owned());
        assert!(mapping.answered(&batch, &strange).is_err(), "no record of the batch");
    }

    #[test]
    fn a_record_is_written_as_lambda_writes_it() {
        let change = StreamRecord::builder()
            .approximate_creation_date_time(DateTime::from_secs(7))
            .keys("pk", AttributeValue::S("a".to_owned()))
            .new_image("n", AttributeValue::N("1.50".to_owned()))
            .new_image("b", AttributeValue::B(Blob::new("bytes")))
            .sequence_number("100")
            .build();
        let record = Record::builder().event_name(OperationType::Insert).dynamodb(change);
        let event = event_record(&record.build(), "arn").expect("an event's record");
        assert_eq!(event["eventName"], "INSERT");
        let written = &event["dynamodb"];
        assert_eq!(written["ApproximateCreationDateTime"], 7);
        assert_eq!(written["Keys"], json!({"pk": {"S": "a"}}));
        assert_eq!(written["NewImage"], json!({"n": {"N": "1.50"}, "b": {"B": "Ynl0ZXM="}}));
    }
}
