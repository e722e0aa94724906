//! The stream of a `DynamoDB` table. Talks to `DynamoDB` and `DynamoDB` Streams.

use std::collections::HashMap;
use std::fmt::Debug;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodbstreams::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsError;
use aws_sdk_dynamodbstreams::operation::get_shard_iterator::GetShardIteratorError;
use aws_sdk_dynamodbstreams::types::{
    AttributeValue, OperationType, Record, ShardIteratorType, StreamStatus, StreamViewType,
};
use aws_smithy_types::error::display::DisplayErrorContext;
use jiff::Timestamp;
use medallion_contract::ChangeKind;
use serde_json::{Map, Value, json};

use crate::item::StreamRecord;
use crate::lineage::Listed;
use crate::sequence::Sequence;
use crate::source::{Listing, PAGE_RECORDS, Page, SourceError, StreamSource};

/// Who deletes items whose time to live has ended.
const EXPIRY_PRINCIPAL: &str = "dynamodb.amazonaws.com";
/// The word for an iterator or a sequence number that the stream cannot make sense of.
const INVALID: &str = "ValidationException";

/// A table's stream.
pub struct DynamoDbSource {
    table: String,
    tables: aws_sdk_dynamodb::Client,
    streams: aws_sdk_dynamodbstreams::Client,
}

impl DynamoDbSource {
    /// The stream of the named table.
    pub fn new(configuration: &SdkConfig, table: &str) -> Self {
        Self {
            table: table.to_owned(),
            tables: aws_sdk_dynamodb::Client::new(configuration),
            streams: aws_sdk_dynamodbstreams::Client::new(configuration),
        }
    }

    async fn stream_of_table(&self) -> Result<String, SourceError> {
        let described = self
            .tables
            .describe_table()
            .table_name(&self.table)
            .send()
            .await
            .map_err(|error| {
                let missing = error
                    .as_service_error()
                    .is_some_and(DescribeTableError::is_resource_not_found_exception);
                if missing {
                    SourceError::Missing(format!("table {} does not exist", self.table))
                } else {
                    SourceError::Unavailable(format!("describe table {}: {}", self.table, DisplayErrorContext(error)))
                }
            })?;
        described
            .table
            .and_then(|table| table.latest_stream_arn)
            .ok_or_else(|| {
                SourceError::Missing(format!(
                    "table {} has no stream: switch it on with NEW_IMAGE",
                    self.table
                ))
            })
    }
}

impl StreamSource for DynamoDbSource {
    async fn list(&self) -> Result<Listing, SourceError> {
        let arn = self.stream_of_table().await?;
        let mut shards = Vec::new();
        let mut from = None;
        loop {
            let described = self
                .streams
                .describe_stream()
                .stream_arn(&arn)
                .set_exclusive_start_shard_id(from)
                .send()
                .await
                .map_err(|error| SourceError::Unavailable(format!("describe {arn}: {}", DisplayErrorContext(error))))?;
            let Some(description) = described.stream_description else {
                return Err(SourceError::Unavailable(format!(
                    "describe {arn}: an answer without a description"
                )));
            };
            if let Some(view) = &description.stream_view_type
                && !has_images(view)
            {
                return Err(SourceError::Missing(format!(
                    "the stream of table {} shows {view} instead of NEW_IMAGE: its records hold no events",
                    self.table
                )));
            }
            let disabled = matches!(
                description.stream_status,
                Some(StreamStatus::Disabled | StreamStatus::Disabling)
            );
            shards.extend(description.shards.into_iter().flatten().filter_map(|shard| {
                Some(Listed {
                    id: shard.shard_id?,
                    parent: shard.parent_shard_id.filter(|parent| !parent.is_empty()),
                })
            }));
            from = description.last_evaluated_shard_id.filter(|last| !last.is_empty());
            if from.is_none() {
                return Ok(Listing { arn, shards, disabled });
            }
        }
    }

    async fn iterator(&self, arn: &str, shard: &str, after: Option<&Sequence>) -> Result<String, SourceError> {
        let kind = if after.is_some() {
            ShardIteratorType::AfterSequenceNumber
        } else {
            ShardIteratorType::TrimHorizon
        };
        let answer = self
            .streams
            .get_shard_iterator()
            .stream_arn(arn)
            .shard_id(shard)
            .shard_iterator_type(kind)
            .set_sequence_number(after.map(ToString::to_string))
            .send()
            .await
            .map_err(|error| iterator_error(error, after.is_some()))?;
        answer
            .shard_iterator
            .ok_or_else(|| SourceError::Unavailable("an answer without a shard iterator".to_owned()))
    }

    async fn page(&self, iterator: &str, most: usize) -> Result<Page, SourceError> {
        let most = i32::try_from(most.min(PAGE_RECORDS)).unwrap_or(i32::MAX);
        let answer = self
            .streams
            .get_records()
            .shard_iterator(iterator)
            .limit(most)
            .send()
            .await
            .map_err(page_error)?;
        let records = answer
            .records
            .unwrap_or_default()
            .into_iter()
            .map(decode)
            .collect::<Result<_, _>>()?;
        Ok(Page {
            records,
            next: answer.next_shard_iterator.filter(|next| !next.is_empty()),
        })
    }
}

/// Whether records of such a stream hold the item as it was written.
fn has_images(view: &StreamViewType) -> bool {
    matches!(view, StreamViewType::NewImage | StreamViewType::NewAndOldImages)
}

fn iterator_error<R: Debug>(error: SdkError<GetShardIteratorError, R>, behind_a_record: bool) -> SourceError {
    if behind_a_record && error.code() == Some(INVALID) {
        // `DynamoDB` Local's word for a trimmed position: it keeps no records over a restart.
        return SourceError::Trimmed;
    }
    match error.as_service_error() {
        Some(GetShardIteratorError::TrimmedDataAccessException(_)) => SourceError::Trimmed,
        Some(GetShardIteratorError::ResourceNotFoundException(_)) => SourceError::Gone,
        _ => SourceError::Unavailable(format!("get shard iterator: {}", DisplayErrorContext(error))),
    }
}

fn page_error<R: Debug>(error: SdkError<GetRecordsError, R>) -> SourceError {
    if error.code() == Some(INVALID) {
        // The iterator is all that was asked with.
        return SourceError::Expired;
    }
    match error.as_service_error() {
        Some(GetRecordsError::ExpiredIteratorException(_)) => SourceError::Expired,
        Some(GetRecordsError::TrimmedDataAccessException(_)) => SourceError::Trimmed,
        Some(GetRecordsError::ResourceNotFoundException(_)) => SourceError::Gone,
        _ => SourceError::Unavailable(format!("get records: {}", DisplayErrorContext(error))),
    }
}

/// A record without a place or a key cannot be committed in order: that is the stream's fault and not the record's, and
/// the shard waits for a better answer.
pub(crate) fn decode(record: Record) -> Result<StreamRecord, SourceError> {
    let incomplete = |what: &str| SourceError::Unavailable(format!("get records: a record without {what}"));
    let expired = record
        .user_identity
        .as_ref()
        .is_some_and(|identity| identity.principal_id.as_deref() == Some(EXPIRY_PRINCIPAL));
    let kind = match record.event_name {
        Some(OperationType::Insert) => ChangeKind::Insert,
        Some(OperationType::Modify) => ChangeKind::Modify,
        Some(OperationType::Remove) => ChangeKind::Remove,
        _ => return Err(incomplete("a known kind")),
    };
    let change = record.dynamodb.ok_or_else(|| incomplete("its change"))?;
    let keys = change.keys.unwrap_or_default();
    let sequence = change.sequence_number.ok_or_else(|| incomplete("a sequence number"))?;
    let changed_at = change
        .approximate_creation_date_time
        .and_then(|time| Timestamp::from_second(time.secs()).ok())
        .ok_or_else(|| incomplete("a time"))?;
    let mut image = match (change.new_image, kind) {
        (Some(image), _) => image,
        (None, ChangeKind::Remove) => HashMap::new(),
        (None, _) => return Err(incomplete("the item")),
    };
    let payload = match (take_text(&mut image, "payload"), kind) {
        (Some(payload), _) => Some(payload),
        (None, ChangeKind::Remove) => None,
        // Somebody else's item: kept whole, in a form that no contract can take for an event.
        (None, _) => Some(plain(&image)),
    };
    Ok(StreamRecord {
        sequence: Sequence::new(sequence),
        kind,
        key: key_text(&keys, "key"),
        event_id: key_text(&keys, "event_id"),
        payload,
        contract: take_text(&mut image, "contract_version"),
        digest: take_text(&mut image, "digest"),
        source: take_text(&mut image, "source"),
        changed_at,
        expired: expired && kind == ChangeKind::Remove,
    })
}

fn take_text(image: &mut HashMap<String, AttributeValue>, name: &str) -> Option<String> {
    match image.remove(name) {
        Some(AttributeValue::S(text)) => Some(text),
        Some(other) => {
            image.insert(name.to_owned(), other);
            None
        }
        None => None,
    }
}

fn key_text(keys: &HashMap<String, AttributeValue>, name: &str) -> String {
    match keys.get(name) {
        Some(AttributeValue::S(text) | AttributeValue::N(text)) => text.clone(),
        Some(other) => typed(other).to_string(),
        None => String::new(),
    }
}

/// The item in `DynamoDB`'s own JSON, which keeps types and every digit.
fn plain(image: &HashMap<String, AttributeValue>) -> String {
    members(image).to_string()
}

fn members(image: &HashMap<String, AttributeValue>) -> Value {
    let mut members: Vec<_> = image.iter().collect();
    members.sort_by_key(|(name, _)| *name);
    Value::Object(
        members
            .into_iter()
            .map(|(name, value)| (name.clone(), typed(value)))
            .collect::<Map<_, _>>(),
    )
}

fn typed(value: &AttributeValue) -> Value {
    let binary = |bytes: &aws_smithy_types::Blob| aws_smithy_types::base64::encode(bytes.as_ref());
    match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        AttributeValue::Bool(flag) => json!({"BOOL": flag}),
        AttributeValue::Null(_) => json!({"NULL": true}),
        AttributeValue::M(map) => json!({"M": members(map)}),
        AttributeValue::L(list) => json!({"L": list.iter().map(typed).collect::<Vec<_>>()}),
        AttributeValue::Ss(texts) => json!({"SS": texts}),
        AttributeValue::Ns(numbers) => json!({"NS": numbers}),
        AttributeValue::B(bytes) => json!({"B": binary(bytes)}),
        AttributeValue::Bs(list) => json!({"BS": list.iter().map(binary).collect::<Vec<_>>()}),
        _ => Value::Null,
    }
}

#[cfg(test)]
#[path = "dynamodb_tests.rs"]
mod tests;
