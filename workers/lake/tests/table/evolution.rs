//! Columns that come later, and files that do not fit. No network.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use medallion_lake::{LakeError, LakeStore, Outcome};

use crate::support::{append, created, day, file, home, rows, schema, some};

fn wider() -> Schema {
    let mut fields = schema().fields().to_vec();
    fields.insert(2, Arc::new(Field::new("gift", DataType::Boolean, true)));
    Schema::new(fields)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_comes_with_the_first_commit_that_brings_it() {
    let home = home();
    let base = created(&home).await;
    let old = file(&home.table, "old.parquet", &day("d"), &[1]).await;
    let Outcome::Committed(base) = home.table.commit(&base, &append(vec![old], 1)).await.expect("commit") else {
        panic!("the only writer wins");
    };
    let opened = home
        .table
        .open_or_create(&wider(), &["part_day"])
        .await
        .expect("a wider schema fits");
    let missing = opened.missing_columns(&wider());
    assert_eq!(
        missing.iter().map(|field| field.name().as_str()).collect::<Vec<_>>(),
        ["gift"]
    );

    let new = file(&home.table, "new.parquet", &day("d"), &[2]).await;
    let change = append(vec![new], 2).add_columns(missing.clone());
    let Outcome::Committed(after) = home.table.commit(&base, &change).await.expect("commit") else {
        panic!("the only writer wins");
    };
    assert!(after.missing_columns(&wider()).is_empty());
    assert_eq!(rows(&after).await[&some("d")], [1, 2]);
    let old = home.table.snapshot_at(1).await.expect("version 1");
    assert_eq!(old.missing_columns(&wider()).len(), 1, "the past keeps its schema");

    // Columns may come alone, and asking for a column that is there already changes nothing.
    let again = append(vec![], 3).add_columns(missing);
    assert!(matches!(
        home.table.commit(&after, &again).await,
        Ok(Outcome::Committed(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_follows_a_column_that_another_commit_added() {
    let home = home();
    let base = created(&home).await;
    let column = medallion_lake::Change::default()
        .add_columns(vec![Field::new("gift", DataType::Boolean, true)])
        .position("another.domain", serde_json::json!(1));
    home.table.commit(&base, &column).await.expect("commit");
    let new = file(&home.table, "new.parquet", &day("d"), &[2]).await;
    let outcome = home.table.commit(&base, &append(vec![new], 1)).await.expect("commit");
    assert!(matches!(outcome, Outcome::Committed(after) if after.version() == 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_would_break_readers_never_enters_the_log() {
    let home = home();
    let base = created(&home).await;
    let wrong = |name: &str, column: ArrayRef| {
        let field = Field::new(name, column.data_type().clone(), true);
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).expect("batch")
    };
    let cases = [
        ("type.parquet", wrong("id", Arc::new(Float64Array::from(vec![1.0])))),
        ("unknown.parquet", wrong("unknown", Arc::new(Int64Array::from(vec![1])))),
    ];
    for (name, batch) in cases {
        let new = home
            .table
            .write_file(name, &day("d"), vec![batch])
            .await
            .expect("written");
        let refused = home.table.commit(&base, &append(vec![new], 1)).await;
        assert!(
            matches!(refused, Err(LakeError::FileDiffers { .. })),
            "{name}: {refused:?}"
        );
    }
    // The partition column is left out of the file when the batch holds it.
    let full = RecordBatch::try_new(
        Arc::new(schema()),
        vec![
            Arc::new(Int64Array::from(vec![1])),
            Arc::new(StringArray::from(vec!["a"])),
            Arc::new(StringArray::from(vec!["d"])),
        ],
    );
    let new = home
        .table
        .write_file("full.parquet", &day("d"), vec![full.expect("batch")])
        .await
        .expect("written");
    assert!(matches!(
        home.table.commit(&base, &append(vec![new], 1)).await,
        Ok(Outcome::Committed(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there_never_enters_the_log() {
    let home = home();
    let base = created(&home).await;
    let new = file(&home.table, "gone.parquet", &day("d"), &[1]).await;
    std::fs::remove_file(home.folder.path().join("orders/gone.parquet")).expect("removed");
    let refused = home.table.commit(&base, &append(vec![new], 1)).await;
    assert!(matches!(refused, Err(LakeError::MissingFile { .. })), "{refused:?}");
    assert_eq!(home.table.existing().await.expect("read").version(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_layout_is_not_written_to() {
    let home = home();
    created(&home).await;
    let repartitioned = home.table.open_or_create(&schema(), &[]).await;
    assert!(
        matches!(repartitioned, Err(LakeError::TableDiffers { .. })),
        "{repartitioned:?}"
    );
    let retyped = Schema::new(vec![Field::new("id", DataType::Utf8, true)]);
    let retyped = home.table.open_or_create(&retyped, &["part_day"]).await;
    assert!(
        matches!(&retyped, Err(LakeError::TableDiffers { reason, .. }) if reason.contains("id")),
        "{retyped:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_engine_is_taken_with_its_footers_counts() {
    let home = home();
    let base = created(&home).await;
    let local = home.folder.path().join("made-elsewhere.parquet");
    let mut writer = parquet::arrow::ArrowWriter::try_new(
        std::fs::File::create(&local).expect("file"),
        crate::support::batch(&[1]).schema(),
        None,
    )
    .expect("writer");
    writer.write(&crate::support::batch(&[7, 14, 15])).expect("rows");
    writer.close().expect("closed");

    let new = home
        .table
        .register_file(&local, "part_day=d/elsewhere.parquet", &day("d"))
        .await
        .expect("registered");
    assert_eq!(new.rows(), 3);
    let Outcome::Committed(after) = home.table.commit(&base, &append(vec![new], 1)).await.expect("commit") else {
        panic!("the only writer wins");
    };
    assert_eq!(rows(&after).await[&some("d")], [7, 14, 15]);
    let entry = home.folder.path().join("orders/_delta_log/00000000000000000001.json");
    let entry = std::fs::read_to_string(entry).expect("log entry");
    assert!(entry.contains(r#"\"nullCount\":{\"id\":0,\"name\":2}"#), "{entry}");
}

#[tokio::test]
async fn a_runtime_that_the_log_library_would_panic_in_is_refused() {
    assert!(matches!(LakeStore::local(), Err(LakeError::Internal(reason)) if reason.contains("multi-thread")));
}
