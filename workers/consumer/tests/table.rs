//! The table's adapter against a server that answers as `DynamoDB` does. Loopback only.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use consumer::{DynamoTable, Item, Put, Table, TableError};
use serde_json::{Value, json};
use wiremock::matchers::{body_partial_json, header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

const PUT: &str = "DynamoDB_20120810.PutItem";

fn item() -> Item {
    Item {
        key: "7".to_owned(),
        event_id: "e1".to_owned(),
        payload: "{\"id\": \"e1\"}".to_owned(),
        digest: "d".to_owned(),
        contract_version: "v".to_owned(),
        source: "events/0/1".to_owned(),
        expires_at: None,
    }
}

async fn answered(response: ResponseTemplate) -> (Result<Put, TableError>, MockServer) {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(response).mount(&server).await;
    let put = table(&server.uri()).put(&item()).await;
    (put, server)
}

fn table(endpoint: &str) -> DynamoTable {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .operation_timeout(Duration::from_millis(500))
                .build(),
        )
        .build();
    DynamoTable::new(Client::from_conf(config), "orders")
}

fn ok(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body.to_string(), "application/x-amz-json-1.0")
}

fn error(status: u16, code: &str, mut body: Value) -> ResponseTemplate {
    body["__type"] = Value::from(format!("com.amazonaws.dynamodb.v20120810#{code}"));
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/x-amz-json-1.0")
}

fn word(result: &Result<Put, TableError>) -> String {
    match result {
        Err(TableError::Environment { reason, .. }) => reason.to_string(),
        Err(TableError::Item { class, .. }) => format!("item: {class}"),
        Ok(Put::Stored) => "stored".to_owned(),
        Ok(Put::Exists { digest, .. }) => format!("exists: {}", digest.as_deref().unwrap_or("?")),
    }
}

#[tokio::test]
async fn the_put_is_conditional_and_every_attribute_is_a_function_of_the_record() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(header("x-amz-target", PUT))
        .and(body_partial_json(json!({
            "TableName": "orders",
            "ConditionExpression": "attribute_not_exists(#key)",
            "ExpressionAttributeNames": {"#key": "key"},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            "Item": {"key": {"S": "7"}, "event_id": {"S": "e1"}, "payload": {"S": "{\"id\": \"e1\"}"},
                     "digest": {"S": "d"}, "contract_version": {"S": "v"}, "source": {"S": "events/0/1"}},
        })))
        .respond_with(ok(&json!({})))
        .expect(1)
        .mount(&server)
        .await;
    assert_eq!(table(&server.uri()).put(&item()).await, Ok(Put::Stored));
    let body: Value = server.received_requests().await.expect("requests")[0]
        .body_json()
        .expect("JSON");
    assert_eq!(body["Item"].as_object().expect("an item").len(), 6);
}

#[tokio::test]
async fn what_may_be_deleted_one_day_says_when_in_seconds() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(body_partial_json(json!({"Item": {"expires_at": {"N": "1700172800"}}})))
        .respond_with(ok(&json!({})))
        .expect(1)
        .mount(&server)
        .await;
    let item = Item {
        expires_at: Some(1_700_172_800),
        ..item()
    };
    assert_eq!(table(&server.uri()).put(&item).await, Ok(Put::Stored));
}

#[tokio::test]
async fn a_refused_put_brings_what_is_stored() {
    let old = json!({"message": "failed", "Item": {"digest": {"S": "x"}, "source": {"S": "events/0/0"}}});
    let (put, _) = answered(error(400, "ConditionalCheckFailedException", old)).await;
    assert_eq!(
        put,
        Ok(Put::Exists {
            digest: Some("x".to_owned()),
            source: Some("events/0/0".to_owned())
        })
    );
    let (put, _) = answered(error(
        400,
        "ConditionalCheckFailedException",
        json!({"message": "failed"}),
    ))
    .await;
    assert_eq!(
        put,
        Ok(Put::Exists {
            digest: None,
            source: None
        })
    );
}

#[tokio::test]
async fn errors_of_the_environment_are_told_from_those_of_the_item() {
    let too_large = json!({"message": "Item size has exceeded the maximum allowed size"});
    for (response, expected) in [
        (error(400, "ValidationException", too_large), "item: ItemTooLarge"),
        (
            error(400, "ResourceNotFoundException", json!({"message": "no table"})),
            "TableMissing",
        ),
        (
            error(400, "ThrottlingException", json!({"message": "slow down"})),
            "TableThrottled",
        ),
        (
            error(400, "UnrecognizedClientException", json!({"message": "who?"})),
            "CredentialsRefused",
        ),
        (
            error(500, "InternalServerError", json!({"message": "oops"})),
            "TableUnavailable",
        ),
        (ResponseTemplate::new(503).set_body_string("<html>"), "TableUnavailable"),
        (
            ResponseTemplate::new(200).set_delay(Duration::from_secs(5)),
            "TableUnreachable",
        ),
    ] {
        let (put, _server) = answered(response).await;
        assert_eq!(word(&put), expected);
    }
    assert_eq!(
        word(&table("http://127.0.0.1:1").put(&item()).await),
        "TableUnreachable"
    );
}
