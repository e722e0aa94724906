//! Records of the stream as they are decoded, also those that others wrote. No network.

use aws_sdk_dynamodbstreams::error::ErrorMetadata;
use aws_sdk_dynamodbstreams::types::{Identity, StreamRecord as Sdk};
use aws_smithy_types::DateTime;

use super::*;

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn record(kind: OperationType, change: aws_sdk_dynamodbstreams::types::builders::StreamRecordBuilder) -> Record {
    let change = change
        .keys("key", text("order-1"))
        .keys("event_id", text("e-1"))
        .sequence_number("100")
        .approximate_creation_date_time(DateTime::from_secs(1_800_000_000));
    Record::builder().event_name(kind).dynamodb(change.build()).build()
}

#[test]
fn an_insert_of_ours_has_everything() {
    let change = Sdk::builder()
        .new_image("payload", text(r#"{"a": 1}"#))
        .new_image("digest", text("d"))
        .new_image("contract_version", text("v"))
        .new_image("source", text("topic/0/7"));
    let found = decode(record(OperationType::Insert, change)).expect("decoded");
    assert_eq!((found.key.as_str(), found.event_id.as_str()), ("order-1", "e-1"));
    assert_eq!(found.payload.as_deref(), Some(r#"{"a": 1}"#));
    assert_eq!(
        (found.digest.as_deref(), found.contract.as_deref()),
        (Some("d"), Some("v"))
    );
    assert_eq!(
        (found.source.as_deref(), found.sequence.as_str()),
        (Some("topic/0/7"), "100")
    );
    assert!(!found.expired);
}

#[test]
fn when_an_item_of_ours_may_be_deleted_is_nothing_for_bronze() {
    let item = || {
        Sdk::builder()
            .new_image("payload", text(r#"{"a": 1}"#))
            .new_image("digest", text("d"))
    };
    let expires = AttributeValue::N("1700172800".to_owned());
    let one = decode(record(OperationType::Insert, item().new_image("expires_at", expires))).expect("decoded");
    let other = decode(record(OperationType::Insert, item())).expect("decoded");
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
    assert!(!one.expired);
}

#[test]
fn an_item_of_somebody_else_is_kept_whole_and_to_the_digit() {
    let change = Sdk::builder()
        .new_image(
            "payload",
            AttributeValue::N("12345678901234567890.123456789".to_owned()),
        )
        .new_image("bytes", AttributeValue::B(aws_smithy_types::Blob::new(*b"\x00\x01")));
    let found = decode(record(OperationType::Modify, change)).expect("decoded");
    let expected = r#"{"bytes":{"B":"AAE="},"payload":{"N":"12345678901234567890.123456789"}}"#;
    assert_eq!(
        (found.kind, found.payload.as_deref()),
        (ChangeKind::Modify, Some(expected))
    );
}

#[test]
fn a_delete_has_keys_only_and_an_expiry_is_told_from_it() {
    let deleted = decode(record(OperationType::Remove, Sdk::builder())).expect("decoded");
    assert_eq!(
        (deleted.kind, deleted.payload, deleted.expired),
        (ChangeKind::Remove, None, false)
    );
    let mut record = record(OperationType::Remove, Sdk::builder());
    record.user_identity = Some(
        Identity::builder()
            .principal_id("dynamodb.amazonaws.com")
            .r#type("Service")
            .build(),
    );
    assert!(decode(record).expect("decoded").expired);
}

#[test]
fn a_place_that_the_stream_cannot_make_sense_of_is_looked_for_anew() {
    let invalid = || ErrorMetadata::builder().code("ValidationException").build();
    let iterator = || SdkError::service_error(GetShardIteratorError::generic(invalid()), ());
    assert_eq!(iterator_error(iterator(), true), SourceError::Trimmed);
    assert!(matches!(iterator_error(iterator(), false), SourceError::Unavailable(_)));
    let page = SdkError::service_error(GetRecordsError::generic(invalid()), ());
    assert_eq!(page_error(page), SourceError::Expired);
}

#[test]
fn a_record_without_its_item_waits_for_a_better_answer() {
    for kind in [OperationType::Insert, OperationType::Modify] {
        let answer = decode(record(kind, Sdk::builder()));
        assert!(
            matches!(&answer, Err(SourceError::Unavailable(reason)) if reason.contains("the item")),
            "an empty row would look like an event: {answer:?}"
        );
    }
    assert!(has_images(&StreamViewType::NewImage) && has_images(&StreamViewType::NewAndOldImages));
    assert!(!has_images(&StreamViewType::KeysOnly) && !has_images(&StreamViewType::OldImage));
}

#[test]
fn a_record_without_a_place_waits_for_a_better_answer() {
    let record = Record::builder()
        .event_name(OperationType::Insert)
        .dynamodb(Sdk::builder().build())
        .build();
    assert!(matches!(decode(record), Err(SourceError::Unavailable(reason)) if reason.contains("sequence")));
}
