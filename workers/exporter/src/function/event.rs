//! What invokes the function: a batch of one shard's records, or a schedule. No network.
//!
//! Records are read one by one, for one that cannot be read must not keep those before it from being committed.

use std::collections::HashMap;

use aws_lambda_events::dynamodb::EventRecord;
use aws_sdk_dynamodbstreams::types::{AttributeValue, Identity, OperationType, Record, StreamRecord as Change};
use aws_smithy_types::DateTime;
use medallion_crds::Reason;
use serde::Deserialize;
use serde_json::Value;
use worker_kit::WorkerError;

use crate::dynamodb::decode;
use crate::item::StreamRecord;

/// What a schedule of `EventBridge` calls its events.
const SCHEDULED: &str = "Scheduled Event";

/// What the function is to do.
#[derive(Clone, Debug)]
pub enum Invocation {
    /// To take a batch.
    Batch(Batch),
    /// To look at shards that nothing comes from.
    Look,
}

/// Records of one shard, in order.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The stream.
    pub arn: String,
    /// The shard.
    pub shard: String,
    /// The records; none at a window's end.
    pub records: Vec<Arrived>,
}

/// A record as it came.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Its sequence number, by which it can be asked for again.
    pub id: Option<String>,
    /// The record, or why it cannot be read.
    pub record: Result<StreamRecord, String>,
}

impl Batch {
    /// The records before the first that cannot be read.
    pub(crate) fn readable(&self) -> Vec<&StreamRecord> {
        self.records
            .iter()
            .map_while(|arrived| arrived.record.as_ref().ok())
            .collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(rename = "Records")]
    records: Option<Vec<Value>>,
    shard_id: Option<String>,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: Option<String>,
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
}

impl Invocation {
    /// Reads an event.
    pub fn read(event: Value) -> Result<Self, WorkerError> {
        let envelope: Envelope = serde_json::from_value(event).map_err(|error| unreadable(&error.to_string()))?;
        if envelope.detail_type.as_deref() == Some(SCHEDULED) {
            return Ok(Self::Look);
        }
        let records = envelope
            .records
            .ok_or_else(|| unreadable("it holds no records, and no schedule has made it"))?;
        let shard = envelope.shard_id.filter(|shard| !shard.is_empty()).ok_or_else(|| {
            unreadable(
                "it names no shard, so nobody can tell where its records belong; give the event source mapping a tumbling \
                 window (TumblingWindowInSeconds)",
            )
        })?;
        let of_first = records.first().and_then(|record| record.get("eventSourceARN"));
        let arn = envelope
            .event_source_arn
            .or_else(|| of_first.and_then(Value::as_str).map(str::to_owned))
            .ok_or_else(|| unreadable("it names no stream"))?;
        Ok(Self::Batch(Batch {
            arn,
            shard,
            records: records.into_iter().map(arrived).collect(),
        }))
    }
}

fn unreadable(what: &str) -> WorkerError {
    WorkerError::environment(
        Reason::BatchUnreadable,
        format!("the event is no batch of a DynamoDB stream: {what}"),
    )
}

fn arrived(value: Value) -> Arrived {
    let id = value.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str);
    Arrived {
        id: id.map(str::to_owned),
        record: serde_json::from_value(value)
            .map_err(|error| error.to_string())
            .and_then(|record| decode(as_the_stream_gives_it(record)).map_err(|error| error.to_string())),
    }
}

/// The record as the stream itself gives it, so that it is decoded in one place.
fn as_the_stream_gives_it(record: EventRecord) -> Record {
    let change = record.change;
    // What is missing has the library's default.
    let seconds = change.approximate_creation_date_time.timestamp();
    let image: HashMap<String, AttributeValue> = change.new_image.into();
    let keys: HashMap<String, AttributeValue> = change.keys.into();
    let change = Change::builder()
        .set_sequence_number(change.sequence_number)
        .set_approximate_creation_date_time((seconds != 0).then(|| DateTime::from_secs(seconds)))
        .set_keys(Some(keys))
        // Every item has its keys, so an empty one is none.
        .set_new_image((!image.is_empty()).then_some(image))
        .build();
    let identity = record
        .user_identity
        .map(|identity| Identity::builder().principal_id(identity.principal_id).build());
    Record::builder()
        .event_name(OperationType::from(record.event_name.as_str()))
        .set_user_identity(identity)
        .dynamodb(change)
        .build()
}

#[cfg(test)]
mod tests {
    use medallion_contract::ChangeKind;
    use serde_json::json;

    use super::*;

    fn record(sequence: &str) -> Value {
        json!({
            "eventID": "c4ca4238a0b923820dcc509a6f75849b", "eventName": "INSERT", "eventVersion": "1.1",
            "eventSource": "aws:dynamodb", "awsRegion": "eu-west-1",
            "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-03-01T00:00:00.000",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_800_000_000,
                "Keys": {"key": {"S": "order-1"}, "event_id": {"S": "e-1"}},
                "NewImage": {
                    "key": {"S": "order-1"}, "event_id": {"S": "e-1"}, "payload": {"S": r#"{"a": 1}"#},
                    "digest": {"S": "d"}, "contract_version": {"S": "v"}, "source": {"S": "orders/0/7"}
                },
                "SequenceNumber": sequence, "SizeBytes": 100, "StreamViewType": "NEW_IMAGE"
            }
        })
    }

    fn event(records: &[Value]) -> Value {
        json!({
            "Records": records, "shardId": "shardId-1", "eventSourceARN": "arn:1", "state": {},
            "window": {"start": "2026-03-01T00:00:00Z", "end": "2026-03-01T00:15:00Z"},
            "isFinalInvokeForWindow": false, "isWindowTerminatedEarly": false
        })
    }

    fn batch(event: Value) -> Batch {
        match Invocation::read(event).expect("readable") {
            Invocation::Batch(batch) => batch,
            Invocation::Look => panic!("it is a batch"),
        }
    }

    #[test]
    fn a_batch_names_stream_and_shard_and_has_the_records_as_the_stream_gives_them() {
        let batch = batch(event(&[record("100"), record("101")]));
        assert_eq!((batch.arn.as_str(), batch.shard.as_str()), ("arn:1", "shardId-1"));
        let readable = batch.readable();
        assert_eq!(readable.len(), 2);
        let first = readable[0];
        assert_eq!((first.kind, first.sequence.as_str()), (ChangeKind::Insert, "100"));
        assert_eq!((first.key.as_str(), first.event_id.as_str()), ("order-1", "e-1"));
        assert_eq!(first.payload.as_deref(), Some(r#"{"a": 1}"#));
        assert_eq!(first.source.as_deref(), Some("orders/0/7"));
        assert_eq!(first.changed_at.as_second(), 1_800_000_000);
    }

    #[test]
    fn a_record_that_cannot_be_read_leaves_those_before_it_and_can_be_named() {
        let broken: [fn(&mut Value); 5] = [
            |record| record["dynamodb"]["NewImage"] = Value::Null,
            |record| record["dynamodb"]["NewImage"]["payload"] = json!({"?": 1}),
            |record| record["dynamodb"]["ApproximateCreationDateTime"] = Value::Null,
            |record| record["eventName"] = json!("RENAME"),
            |record| record["dynamodb"] = json!({"SequenceNumber": "101"}),
        ];
        for spoil in broken {
            let mut bad = record("101");
            spoil(&mut bad);
            let batch = batch(event(&[record("100"), bad, record("102")]));
            assert_eq!(batch.readable().len(), 1, "{:?}", batch.records[1].record);
            assert_eq!(batch.records[1].id.as_deref(), Some("101"));
        }
    }

    #[test]
    fn an_item_of_somebody_else_and_an_expiry_are_what_they_are_in_the_stream() {
        let mut others = record("1");
        others["dynamodb"]["NewImage"] = json!({"key": {"S": "order-1"}, "n": {"N": "0.10"}, "b": {"B": "AAE="}});
        let mut expired = record("2");
        expired["eventName"] = json!("REMOVE");
        expired["dynamodb"]["NewImage"] = Value::Null;
        expired["userIdentity"] = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
        let batch = batch(event(&[others, expired]));
        let readable = batch.readable();
        let expected = r#"{"b":{"B":"AAE="},"key":{"S":"order-1"},"n":{"N":"0.10"}}"#;
        assert_eq!(readable[0].payload.as_deref(), Some(expected));
        assert!(readable[1].expired);
    }

    #[test]
    fn what_is_no_batch_is_refused_with_the_fix() {
        let mut windowless = event(&[record("1")]);
        for field in [
            "shardId",
            "window",
            "state",
            "isFinalInvokeForWindow",
            "isWindowTerminatedEarly",
        ] {
            windowless.as_object_mut().expect("object").remove(field);
        }
        let mut nowhere = event(&[]);
        nowhere["eventSourceARN"] = Value::Null;
        for (event, words) in [
            (windowless, "tumbling window"),
            (nowhere, "names no stream"),
            (json!({"version": "2.0", "routeKey": "POST /v1/events"}), "no records"),
            (json!({"Records": 7}), "invalid type"),
            (json!("text"), "invalid type"),
        ] {
            let error = Invocation::read(event).expect_err("no batch");
            assert_eq!(error.reason, Reason::BatchUnreadable);
            assert!(error.message.contains(words), "{error}");
        }
    }

    #[test]
    fn a_schedule_asks_to_look_and_a_windows_end_brings_nothing() {
        let scheduled = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
        assert!(matches!(Invocation::read(scheduled), Ok(Invocation::Look)));
        assert!(batch(event(&[])).records.is_empty());
    }
}
