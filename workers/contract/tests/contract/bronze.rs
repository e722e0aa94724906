//! Stories of changes that become Bronze rows. No network.

use crate::examples::{PURCHASE, SHIPMENT, purchase, shipment};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use medallion_contract::{BronzeBatchBuilder, Change, ChangeKind};

fn change(changed_at: &str) -> Change<'static> {
    Change {
        kind: ChangeKind::Insert,
        key: "536365-1",
        event_id: "e1",
        contract: Some("c1"),
        digest: Some("d1"),
        changed_at: changed_at.parse().expect("a time"),
        shard: "shard-1",
        sequence: "000001",
        source: Some("purchases/0/42"),
    }
}

fn text<'b>(batch: &'b RecordBatch, column: &str, row: usize) -> Option<&'b str> {
    let array = batch.column_by_name(column).expect("a column").as_string::<i32>();
    array.is_valid(row).then(|| array.value(row))
}

#[test]
fn the_columns_stand_in_their_order() {
    let schema = purchase().bronze_table_schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(
        names,
        [
            "_change",
            "_key",
            "_event_id",
            "_event_time",
            "_version",
            "_contract",
            "_digest",
            "_changed_at",
            "_shard",
            "_sequence",
            "_source",
            "event_id",
            "order_id",
            "line_number",
            "buyer_id",
            "product_id",
            "description",
            "quantity",
            "unit_price",
            "total_amount",
            "country",
            "ordered_at",
            "_extra",
            "part_date",
        ]
    );
    assert_eq!(purchase().bronze_schema().fields().len(), names.len() - 1);
}

#[test]
fn values_arrive_exactly() {
    let mut builder = BronzeBatchBuilder::new(shipment());
    builder.append(&change("2024-05-06T07:00:00Z"), Some(SHIPMENT));
    let partitions = builder.finish().expect("a batch");
    let batch = &partitions[0].batch;
    let column = |name: &str| batch.column_by_name(name).expect("a column");
    assert_eq!(
        column("_event_time")
            .as_primitive::<TimestampMicrosecondType>()
            .value(0),
        1_714_972_089_123_456
    );
    assert_eq!(column("_version").as_primitive::<Int64Type>().value(0), 3);
    assert_eq!(
        column("weight").as_primitive::<Decimal128Type>().value_as_string(0),
        "12.500"
    );
    assert_eq!(column("due").as_primitive::<Date32Type>().value(0), 19_782);
    assert!(!column("fragile").as_boolean().value(0));
    assert!((column("height").as_primitive::<Float64Type>().value(0) - 0.1).abs() < f64::EPSILON);
    assert_eq!(text(batch, "order", 0), Some(r#"{"number":1e3,"lines":[1, 2]}"#));
    assert_eq!(text(batch, "note", 0), Some(r#""a\"b""#));
    assert_eq!(text(batch, "_extra", 0), None);
    assert_eq!(batch.schema(), shipment().bronze_schema());
}

#[test]
fn unknown_fields_are_kept() {
    let mut builder = BronzeBatchBuilder::new(purchase());
    let event = PURCHASE.replace(
        "{\"event_id\"",
        r#"{"coupon":{"code": "X\n", "off":0.10},"agent":"é","event_id""#,
    );
    builder.append(&change("2010-12-01T09:00:00Z"), Some(&event));
    let batch = builder.finish().expect("a batch").remove(0).batch;
    assert_eq!(
        text(&batch, "_extra", 0),
        Some(r#"{"agent":"é","coupon":{"code": "X\n", "off":0.10}}"#)
    );
    assert_eq!(text(&batch, "order_id", 0), Some("536365-1"));
}

#[test]
fn what_somebody_else_wrote_is_a_row_too() {
    let mut builder = BronzeBatchBuilder::new(purchase());
    let foreign = PURCHASE.replace("15.30", "15.305");
    for payload in [Some(foreign.as_str()), Some("no JSON at all"), None] {
        builder.append(
            &Change {
                kind: ChangeKind::Modify,
                ..change("2010-12-01T09:00:00Z")
            },
            payload,
        );
    }
    assert_eq!(builder.rows(), 3);
    let batch = builder.finish().expect("a batch").remove(0).batch;
    assert_eq!(batch.num_rows(), 3);
    for row in 0..3 {
        assert_eq!(text(&batch, "_change", row), Some("MODIFY"));
        assert_eq!(text(&batch, "_key", row), Some("536365-1"));
        assert_eq!(text(&batch, "order_id", row), None, "typed columns are null");
        assert!(batch.column_by_name("_event_time").expect("a column").is_null(row));
    }
    assert_eq!(text(&batch, "_extra", 0), Some(foreign.as_str()));
    assert_eq!(text(&batch, "_extra", 1), Some("no JSON at all"));
    assert_eq!(text(&batch, "_extra", 2), None);
}

#[test]
fn changes_around_midnight_go_to_their_days() {
    let mut builder = BronzeBatchBuilder::new(purchase());
    builder.append(&change("2010-12-01T23:59:59.999Z"), Some(PURCHASE));
    builder.append(&change("2010-12-02T00:00:00Z"), Some(PURCHASE));
    builder.append(&change("2010-12-01T12:00:00Z"), Some(PURCHASE));
    assert!(builder.bytes() > 3 * PURCHASE.len());
    let rows: Vec<(String, usize)> = builder
        .finish()
        .expect("batches")
        .into_iter()
        .map(|part| (part.part_date, part.batch.num_rows()))
        .collect();
    assert_eq!(rows, [("2010-12-01".to_owned(), 2), ("2010-12-02".to_owned(), 1)]);
    assert_eq!((builder.rows(), builder.bytes()), (0, 0));
    assert!(builder.finish().expect("nothing").is_empty());
}
