//! The table: one conditional put per event. Writes to `DynamoDB`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use futures::FutureExt;
use futures::future::BoxFuture;
use thiserror::Error;

/// One event as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// Partition key: canonical text of the event's key.
    pub key: String,
    /// Sort key: canonical text of the event id.
    pub event_id: String,
    /// The event's JSON text as it was sent.
    pub payload: String,
    /// Hex SHA-256 of the payload's canonical form.
    pub digest: String,
    /// The contract version that the record carries.
    pub contract_version: String,
    /// topic/partition/offset.
    pub source: String,
}

/// The table's answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Put {
    /// The item is stored.
    Stored,
    /// There is an item of this key and event id already.
    Exists {
        /// Its payload digest, if it has one.
        digest: Option<String>,
        /// Where it came from, if it says so.
        source: Option<String>,
    },
}

/// Why the table has no answer.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum TableError {
    /// This item can never be stored.
    #[error("{message}")]
    Item {
        /// CamelCase word.
        class: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// Something outside does not work; the item is not to blame.
    #[error("{message}")]
    Environment {
        /// CamelCase word.
        reason: &'static str,
        /// What, where and what to do.
        message: String,
    },
}

/// Where items go.
pub trait Table: Send + Sync + 'static {
    /// Stores the item unless there is one of its key and event id.
    fn put<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Result<Put, TableError>>;
}

/// The `DynamoDB` table.
#[derive(Clone, Debug)]
pub struct DynamoTable {
    client: Client,
    name: String,
}

impl DynamoTable {
    /// The table of this name.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self {
            client,
            name: name.into(),
        }
    }
}

impl Table for DynamoTable {
    fn put<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Result<Put, TableError>> {
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let call = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("key", text(&item.key))
            .item("event_id", text(&item.event_id))
            .item("payload", text(&item.payload))
            .item("digest", text(&item.digest))
            .item("contract_version", text(&item.contract_version))
            .item("source", text(&item.source))
            .condition_expression("attribute_not_exists(#key)")
            .expression_attribute_names("#key", "key")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        async move {
            match call.send().await {
                Ok(_) => Ok(Put::Stored),
                Err(error) => answer_of(&error, &self.name),
            }
        }
        .boxed()
    }
}

fn answer_of(error: &SdkError<PutItemError>, table: &str) -> Result<Put, TableError> {
    let SdkError::ServiceError(service) = error else {
        return Err(unreachable(error, table));
    };
    if let PutItemError::ConditionalCheckFailedException(failed) = service.err() {
        let attribute = |name: &str| Some(failed.item()?.get(name)?.as_s().ok()?.clone());
        return Ok(Put::Exists {
            digest: attribute("digest"),
            source: attribute("source"),
        });
    }
    let metadata = service.err().meta();
    let status = service.raw().status().as_u16();
    Err(classify(
        metadata.code().unwrap_or_default(),
        status,
        metadata.message().unwrap_or_default(),
        table,
    ))
}

fn unreachable(error: &SdkError<PutItemError>, table: &str) -> TableError {
    let what = match error {
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(connector) if connector.is_timeout() => "no answer in time".to_owned(),
            Some(connector) => {
                let cause = std::error::Error::source(connector)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                format!("{connector}: {cause}")
            }
            None => "the request could not be sent".to_owned(),
        },
        SdkError::ConstructionFailure(_) => {
            "the request could not be made, most likely for want of credentials".to_owned()
        }
        other => other.to_string(),
    };
    TableError::Environment {
        reason: "TableUnreachable",
        message: format!("table {table}: {what}; trying again, check endpoint, network and credentials"),
    }
}

/// Only what says that this very item cannot be stored is the item's fault. Everything else, known or not, is waited for.
fn classify(code: &str, status: u16, message: &str, table: &str) -> TableError {
    let is_size = message.contains("Item size") || message.contains("item size") || message.contains("size limit");
    if code == "ValidationException" && is_size {
        let message = format!("the table does not take an item of this size: {message}");
        return TableError::Item {
            class: "ItemTooLarge",
            message,
        };
    }
    let (reason, fix) = match code {
        "ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded" | "Throttling" => (
            "TableThrottled",
            "trying again more slowly; raise the table's capacity if this lasts",
        ),
        "ResourceNotFoundException" => ("TableMissing", "create the table, or correct spec.table.name"),
        "ValidationException" => (
            "TableRefuses",
            "the table must have the hash key `key` and the range key `event_id`, both strings",
        ),
        "AccessDeniedException"
        | "UnrecognizedClientException"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch" => (
            "CredentialsRefused",
            "allow dynamodb:PutItem on the table to the consumer's identity",
        ),
        _ if status >= 500 => ("TableUnavailable", "trying again"),
        _ => (
            "TableRefuses",
            "trying again; the answer is not one that this worker knows",
        ),
    };
    TableError::Environment {
        reason,
        message: format!("table {table}: {code} ({status}): {message}; {fix}"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "ValidationException",
        400,
        "Item size has exceeded the maximum allowed size",
        "ItemTooLarge"
    )]
    #[case(
        "ValidationException",
        400,
        "The provided key element does not match the schema",
        "TableRefuses"
    )]
    #[case("ThrottlingException", 400, "slow down", "TableThrottled")]
    #[case("ProvisionedThroughputExceededException", 400, "", "TableThrottled")]
    #[case("ResourceNotFoundException", 400, "", "TableMissing")]
    #[case("AccessDeniedException", 400, "", "CredentialsRefused")]
    #[case("UnrecognizedClientException", 400, "", "CredentialsRefused")]
    #[case("ExpiredTokenException", 403, "", "CredentialsRefused")]
    #[case("InternalServerError", 500, "", "TableUnavailable")]
    #[case("", 503, "", "TableUnavailable")]
    #[case("TransactionConflictException", 400, "", "TableRefuses")]
    #[case("SomethingNew", 400, "Item", "TableRefuses")]
    fn only_the_items_own_fault_is_a_record_error(
        #[case] code: &str,
        #[case] status: u16,
        #[case] message: &str,
        #[case] word: &str,
    ) {
        match classify(code, status, message, "orders") {
            TableError::Item { class, .. } => assert_eq!((class, word), (word, "ItemTooLarge")),
            TableError::Environment { reason, message } => {
                assert_eq!(reason, word);
                assert!(message.contains("orders"), "{message}");
            }
        }
    }
}
