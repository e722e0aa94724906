//! What COPY promises and refuses, over real Parquet files in S3; needs PostgreSQL and S3.

mod common;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, StringArray, TimestampMicrosecondArray,
};
use aws_sdk_redshiftdata::types::StatusString;
use common::{Stand, column, stand};
use serde_json::json;

/// A table of one whole number and a file for it.
async fn numbers(stand: &Stand, key: &str, numbers: &[i64]) -> serde_json::Value {
    stand
        .put_parquet(key, vec![("id", column(Int64Array::from(numbers.to_vec())))])
        .await
}

async fn table(stand: &Stand, definition: &str) {
    stand
        .finished(&format!("CREATE TABLE {} ({definition})", stand.table("t")))
        .await;
}

/// Two values and a null for every type that the warehouse knows.
fn one_of_each_type() -> Vec<(&'static str, ArrayRef)> {
    let decimal = |values: [Option<i128>; 3], precision, scale| {
        Decimal128Array::from(values.to_vec())
            .with_precision_and_scale(precision, scale)
            .expect("a precision that Arrow knows")
    };
    vec![
        (
            "word",
            column(StringArray::from(vec![Some("café \\N \"'\t\n"), Some(""), None])),
        ),
        ("small", column(Int16Array::from(vec![Some(-7), Some(i16::MAX), None]))),
        ("middle", column(Int32Array::from(vec![Some(-7), Some(i32::MIN), None]))),
        ("large", column(Int64Array::from(vec![Some(-7), Some(i64::MAX), None]))),
        ("single", column(Float32Array::from(vec![Some(0.1), Some(-1e30), None]))),
        ("ratio", column(Float64Array::from(vec![Some(0.1), Some(1e-5), None]))),
        ("yes", column(BooleanArray::from(vec![Some(true), Some(false), None]))),
        (
            "price",
            column(decimal([Some(-5), Some(123_456_789_012_345_678), None], 18, 4)),
        ),
        (
            "vast",
            column(decimal([Some(1), Some(i128::pow(10, 38) - 1), None], 38, 2)),
        ),
        ("day", column(Date32Array::from(vec![Some(15_317), Some(-1), None]))),
        (
            "local",
            column(TimestampMicrosecondArray::from(vec![
                Some(1_323_429_960_000_001),
                Some(-1),
                None,
            ])),
        ),
        (
            "moment",
            column(
                TimestampMicrosecondArray::from(vec![Some(1_323_429_960_000_001), Some(-1), None]).with_timezone("UTC"),
            ),
        ),
    ]
}

#[tokio::test]
async fn every_type_arrives_as_it_left_and_the_count_is_told() {
    let stand = stand().await;
    table(
        &stand,
        "word VARCHAR(65535), small SMALLINT, middle INT, large BIGINT, single REAL, ratio DOUBLE PRECISION, yes BOOLEAN, \
         price DECIMAL(18, 4), vast DECIMAL(38, 2), day DATE, local TIMESTAMP, moment TIMESTAMPTZ",
    )
    .await;
    let entry = stand.put_parquet("types/1.parquet", one_of_each_type()).await;
    stand.put_manifest("types.manifest", vec![entry]).await;

    let described = stand
        .batch_finished(&[&stand.copy("t", "types.manifest"), "SELECT pg_last_copy_count()"])
        .await;
    let count = stand
        .client
        .get_statement_result()
        .id(format!("{}:2", described.id()))
        .send()
        .await
        .unwrap();
    assert_eq!(*count.records[0][0].as_long_value().unwrap(), 3);

    let rows = stand
        .rows(&format!("SELECT * FROM {} ORDER BY small", stand.table("t")))
        .await;
    assert_eq!(
        rows[0],
        [
            "café \\N \"'\t\n",
            "-7",
            "-7",
            "-7",
            "0.1",
            "0.1",
            "true",
            "-0.0005",
            "0.01",
            "2011-12-09",
            "2011-12-09 11:26:00.000001",
            "2011-12-09 11:26:00.000001+00"
        ]
    );
    assert_eq!(
        rows[1],
        [
            "",
            "32767",
            "-2147483648",
            "9223372036854775807",
            "-1000000000000000000000000000000",
            "0.00001",
            "false",
            "12345678901234.5678",
            "999999999999999999999999999999999999.99",
            "1969-12-31",
            "1969-12-31 23:59:59.999999",
            "1969-12-31 23:59:59.999999+00"
        ]
    );
    assert!(rows[2].iter().all(|value| value == "NULL"));

    let history = stand
        .rows(&format!(
            "SELECT loaded_rows, source_file_count FROM sys_load_history WHERE table_name = '{}'",
            stand.table("t")
        ))
        .await;
    assert_eq!(history, [["3", "1"]]);
}

#[tokio::test]
async fn the_files_of_a_manifest_are_loaded_together_or_not_at_all() {
    let stand = stand().await;
    table(&stand, "id BIGINT").await;
    let first = numbers(&stand, "n/1.parquet", &[1, 2]).await;
    let second = numbers(&stand, "n/2.parquet", &[3]).await;
    stand.put_manifest("both.manifest", vec![first.clone(), second]).await;
    stand.finished(&stand.copy("t", "both.manifest")).await;
    assert_eq!(stand.count("t").await, 3);

    let missing = json!({"url": stand.url("n/missing.parquet"), "mandatory": true, "meta": {"content_length": 7}});
    stand.put_manifest("missing.manifest", vec![first, missing]).await;
    let error = stand.failed(&stand.copy("t", "missing.manifest")).await;
    assert!(
        error.contains("Mandatory url is not present") && error.contains("n/missing.parquet"),
        "{error}"
    );
    assert_eq!(stand.count("t").await, 3);
}

#[tokio::test]
async fn a_missing_file_is_skipped_unless_it_is_mandatory_or_the_only_one() {
    let stand = stand().await;
    table(&stand, "id BIGINT").await;
    let there = numbers(&stand, "n/1.parquet", &[1]).await;
    let missing = json!({"url": stand.url("n/missing.parquet"), "meta": {"content_length": 7}});
    stand.put_manifest("some.manifest", vec![missing.clone(), there]).await;
    stand.finished(&stand.copy("t", "some.manifest")).await;
    assert_eq!(stand.count("t").await, 1);

    stand.put_manifest("none.manifest", vec![missing]).await;
    assert!(
        stand
            .failed(&stand.copy("t", "none.manifest"))
            .await
            .contains("No files found")
    );
    stand.put_manifest("empty.manifest", vec![]).await;
    assert!(
        stand
            .failed(&stand.copy("t", "empty.manifest"))
            .await
            .contains("No files found")
    );
    assert!(
        stand
            .failed(&stand.copy("t", "absent.manifest"))
            .await
            .contains("The specified S3 prefix 'absent.manifest' does not exist")
    );
}

#[tokio::test]
async fn a_file_of_another_size_than_its_manifest_says_is_refused() {
    let stand = stand().await;
    table(&stand, "id BIGINT").await;
    let mut entry = numbers(&stand, "n/1.parquet", &[1]).await;
    entry["meta"]["content_length"] = json!(7);
    stand.put_manifest("size.manifest", vec![entry.clone()]).await;
    let error = stand.failed(&stand.copy("t", "size.manifest")).await;
    assert!(
        error.contains("Spectrum Scan Error") && error.contains("content_length 7"),
        "{error}"
    );

    entry.as_object_mut().unwrap().remove("meta");
    stand.put_manifest("meta.manifest", vec![entry]).await;
    assert!(
        stand
            .failed(&stand.copy("t", "meta.manifest"))
            .await
            .contains("File entry does not have 'meta' key.")
    );
}

#[tokio::test]
async fn columns_go_by_position_and_number_and_are_not_converted() {
    let stand = stand().await;
    table(&stand, "a BIGINT, b VARCHAR(10)").await;
    let swapped_names = stand
        .put_parquet(
            "p/1.parquet",
            vec![
                ("b", column(Int64Array::from(vec![1]))),
                ("a", column(StringArray::from(vec!["x"]))),
            ],
        )
        .await;
    stand.put_manifest("position.manifest", vec![swapped_names]).await;
    stand.finished(&stand.copy("t", "position.manifest")).await;
    assert_eq!(
        stand.rows(&format!("SELECT a, b FROM {}", stand.table("t"))).await,
        [["1", "x"]]
    );

    let narrow = numbers(&stand, "p/2.parquet", &[1]).await;
    stand.put_manifest("narrow.manifest", vec![narrow]).await;
    let error = stand.failed(&stand.copy("t", "narrow.manifest")).await;
    assert!(error.contains("Unmatched number of columns between table and file. Table columns: 2, Data columns: 1, File name: https://s3."), "{error}");
    stand
        .finished(&format!("{} FILLRECORD", stand.copy("t", "narrow.manifest")))
        .await;

    let wrong_type = stand
        .put_parquet(
            "p/3.parquet",
            vec![
                ("a", column(Int32Array::from(vec![1]))),
                ("b", column(StringArray::from(vec!["x"]))),
            ],
        )
        .await;
    stand.put_manifest("type.manifest", vec![wrong_type]).await;
    let error = stand.failed(&stand.copy("t", "type.manifest")).await;
    assert!(
        error.contains("has an incompatible Parquet schema for column")
            && error.contains("Column type: BIGINT, Parquet schema:\noptional int32 a"),
        "{error}"
    );

    let too_long = stand
        .put_parquet(
            "p/4.parquet",
            vec![
                ("a", column(Int64Array::from(vec![1]))),
                ("b", column(StringArray::from(vec!["éééééé"]))),
            ],
        )
        .await;
    stand.put_manifest("long.manifest", vec![too_long]).await;
    let error = stand.failed(&stand.copy("t", "long.manifest")).await;
    assert!(
        error.contains("longer than the length defined in the table. Table: 10, Data: 12"),
        "{error}"
    );

    let error = stand
        .failed(&format!("{} MAXERROR 10", stand.copy("t", "position.manifest")))
        .await;
    assert_eq!(
        error,
        "ERROR: MAXERROR argument is not supported for PARQUET based COPY"
    );
    assert_eq!(stand.count("t").await, 2);
}

#[tokio::test]
async fn a_column_list_names_the_order_of_the_file() {
    let stand = stand().await;
    table(&stand, "a BIGINT, b VARCHAR(10), c INT DEFAULT 5").await;
    let entry = stand
        .put_parquet(
            "l/1.parquet",
            vec![
                ("x", column(StringArray::from(vec!["x"]))),
                ("y", column(Int64Array::from(vec![1]))),
            ],
        )
        .await;
    stand.put_manifest("list.manifest", vec![entry]).await;
    let copy = stand.copy("t", "list.manifest").replace(" FROM ", " (b, A) FROM ");
    stand.finished(&copy).await;
    assert_eq!(
        stand.rows(&format!("SELECT a, b, c FROM {}", stand.table("t"))).await,
        [["1", "x", "5"]]
    );
}

#[tokio::test]
async fn a_copy_shares_the_fate_of_its_batch() {
    let stand = stand().await;
    table(&stand, "id BIGINT NOT NULL").await;
    let entry = numbers(&stand, "n/1.parquet", &[1, 2]).await;
    stand.put_manifest("n.manifest", vec![entry]).await;
    let staging = format!("CREATE TABLE {} (LIKE {})", stand.table("staging"), stand.table("t"));
    let copy = stand.copy("staging", "n.manifest");
    let publish = format!(
        "INSERT INTO {} SELECT * FROM {}",
        stand.table("t"),
        stand.table("staging")
    );
    let described = stand
        .ended(
            &stand
                .submit_batch(&[&staging, &copy, &publish, "SELECT nonsense"])
                .await,
        )
        .await;
    assert_eq!(described.status, Some(StatusString::Failed));
    assert_eq!(stand.count("t").await, 0);
    assert!(
        stand
            .failed(&format!("SELECT * FROM {}", stand.table("staging")))
            .await
            .contains("does not exist")
    );

    stand.batch_finished(&[&staging, &copy, &publish]).await;
    assert_eq!(stand.count("t").await, 2);

    let nulls = stand
        .put_parquet(
            "n/2.parquet",
            vec![("id", column(Int64Array::from(vec![Some(1), None])))],
        )
        .await;
    stand.put_manifest("nulls.manifest", vec![nulls]).await;
    assert!(
        stand
            .failed(&stand.copy("t", "nulls.manifest"))
            .await
            .contains("null value in column \"id\"")
    );
    assert_eq!(stand.count("t").await, 2);
}

#[tokio::test]
async fn many_rows_arrive_all() {
    let stand = stand().await;
    table(&stand, "id BIGINT").await;
    let all: Vec<i64> = (0..100_000).collect();
    let entry = numbers(&stand, "n/1.parquet", &all).await;
    stand.put_manifest("n.manifest", vec![entry]).await;
    stand.finished(&stand.copy("t", "n.manifest")).await;
    assert_eq!(
        stand
            .rows(&format!(
                "SELECT count(*), sum(id)::bigint, count(DISTINCT id) FROM {}",
                stand.table("t")
            ))
            .await,
        [["100000", "4999950000", "100000"]]
    );
}

#[tokio::test]
async fn what_is_no_parquet_is_told_by_name() {
    let stand = stand().await;
    table(&stand, "id BIGINT").await;
    stand.put("n/1.parquet", "not at all").await;
    stand
        .put_manifest(
            "n.manifest",
            vec![json!({"url": stand.url("n/1.parquet"), "mandatory": true, "meta": {"content_length": 10}})],
        )
        .await;
    let error = stand.failed(&stand.copy("t", "n.manifest")).await;
    assert!(
        error.contains("cannot be read as Parquet") && error.contains("n/1.parquet"),
        "{error}"
    );
    assert!(
        stand
            .failed(&stand.copy("absent", "n.manifest"))
            .await
            .contains("does not exist")
    );
}
