//! A small table, its rows, and how to read them back without the library under test. No network.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use medallion_lake::{Change, Claim, LakeStore, NewFile, OwnedTable, PartitionValues, Snapshot, Table};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

pub struct Home {
    pub folder: tempfile::TempDir,
    pub table: OwnedTable,
}

pub fn home() -> Home {
    home_in(&LakeStore::local().expect("store"))
}

pub fn home_in(store: &LakeStore) -> Home {
    let folder = tempfile::tempdir().expect("folder");
    let table = store
        .table(&format!("file://{}/orders", folder.path().display()))
        .expect("table")
        .claimed(&claim("here/shop/orders", &[]));
    Home { folder, table }
}

pub fn claim(own: &str, adopt: &[&str]) -> Claim {
    Claim::new(own, adopt.iter().map(ToString::to_string))
}

pub fn schema() -> Schema {
    Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("part_day", DataType::Utf8, true),
    ])
}

pub async fn created(home: &Home) -> Snapshot {
    home.table
        .open_or_create(&schema(), &["part_day"])
        .await
        .expect("created")
}

pub fn day(value: &str) -> PartitionValues {
    PartitionValues::from([("part_day".to_owned(), Some(value.to_owned()))])
}

pub fn no_day() -> PartitionValues {
    PartitionValues::from([("part_day".to_owned(), None)])
}

pub fn batch(ids: &[i64]) -> RecordBatch {
    let names: Vec<Option<String>> = ids
        .iter()
        .map(|id| (id % 7 != 0).then(|| format!("name {id}")))
        .collect();
    let schema = Schema::new(schema().fields().iter().take(2).cloned().collect::<Vec<_>>());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids.to_vec())),
        Arc::new(StringArray::from(names)),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).expect("batch")
}

pub async fn file(table: &Table, name: &str, partition: &PartitionValues, ids: &[i64]) -> NewFile {
    table
        .write_file(name, partition, vec![batch(ids)])
        .await
        .expect("written")
}

pub fn at(number: u64) -> Value {
    json!({"sequence": number.to_string()})
}

pub fn append(files: Vec<NewFile>, number: u64) -> Change {
    Change::append(files).position("test.shard.one", at(number))
}

/// Ids per partition value, read from the files that the snapshot names, with the Parquet reader alone.
pub async fn rows(snapshot: &Snapshot) -> BTreeMap<Option<String>, Vec<i64>> {
    let mut found: BTreeMap<Option<String>, Vec<i64>> = BTreeMap::new();
    for file in snapshot.files().await.expect("files") {
        let path = file.url.strip_prefix("file://").expect("local");
        let reader = std::fs::File::open(path).expect("file exists");
        let mut count = 0;
        for batch in ParquetRecordBatchReaderBuilder::try_new(reader)
            .expect("parquet")
            .build()
            .expect("reader")
        {
            let batch = batch.expect("batch");
            count += batch.num_rows() as u64;
            let ids = batch
                .column_by_name("id")
                .expect("id")
                .as_primitive::<Int64Type>()
                .clone();
            let ids = ids.iter().flatten();
            found.entry(file.partition["part_day"].clone()).or_default().extend(ids);
        }
        assert_eq!(file.rows, Some(count), "the log counts the rows of {}", file.name);
    }
    for ids in found.values_mut() {
        ids.sort_unstable();
    }
    found
}

pub async fn names(snapshot: &Snapshot) -> Vec<String> {
    let mut names: Vec<String> = snapshot
        .files()
        .await
        .expect("files")
        .into_iter()
        .map(|file| file.name)
        .collect();
    names.sort();
    names
}

/// The value of [`day`]'s partition column.
pub fn some(text: &str) -> Option<String> {
    day(text)["part_day"].clone()
}
