//! The sink on a Bronze table in a local folder: what stands in the rows, what a second exporter learns. No network.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch};
use exporter::{BronzeSink, Committed, Pending, Position, Sequence, Sink, SinkError, StreamPosition, StreamRecord};
use jiff::Timestamp;
use medallion_contract::{ChangeKind, Contract, Pointers};
use medallion_crds::Reason;
use medallion_crds::pipeline::RunsOn;
use medallion_lake::{Claim, LakeStore, OwnedTable, Table};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use worker_kit::{ErrorClass, WorkerError};

const SCHEMA: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["id", "order", "at"],
    "properties": {
        "id": {"type": "string"},
        "order": {"type": "string"},
        "amount": {"type": "number", "x-decimal": {"precision": 18, "scale": 2}},
        "at": {"type": "string", "format": "date-time"}
    }
}"#;

fn contract() -> Contract {
    compiled(SCHEMA)
}

fn compiled(schema: &str) -> Contract {
    let pointers = Pointers {
        key: "/order",
        event_id: "/id",
        event_time: "/at",
        event_version: None,
    };
    Contract::compile(schema, &pointers).expect("contract")
}

fn table(folder: &tempfile::TempDir) -> OwnedTable {
    let store = LakeStore::local().expect("store");
    store
        .table(&format!("file://{}/orders", folder.path().display()))
        .expect("table")
        .claimed(&Claim::new("here/shop/orders", []))
}

fn record(number: u64, kind: ChangeKind, payload: Option<&str>, at: &str) -> StreamRecord {
    StreamRecord {
        sequence: Sequence::new(format!("{number:021}")),
        kind,
        key: format!("order-{number}"),
        event_id: format!("e-{number}"),
        payload: payload.map(str::to_owned),
        contract: Some("v1".to_owned()),
        digest: None,
        source: Some(format!("topic/0/{number}")),
        changed_at: at.parse().expect("time"),
        expired: false,
    }
}

const PAYLOAD: &str = r#"{"id": "e", "order": "o", "at": "2026-03-01T00:00:00Z"}"#;

/// An event that has come.
fn insert(number: u64) -> StreamRecord {
    record(number, ChangeKind::Insert, Some(PAYLOAD), "2026-03-01T00:00:00Z")
}

/// A sink that has read the table's log, as at a start.
async fn loaded(table: &OwnedTable) -> BronzeSink {
    let mut sink = BronzeSink::new(table.clone(), contract());
    sink.load().await.expect("the table");
    sink
}

fn pending(shard: &str, number: u64) -> Pending {
    let position = Position {
        sequence: Some(Sequence::new(format!("{number:021}"))),
        closed: false,
    };
    let as_of: Timestamp = "2026-03-01T00:00:00Z".parse().expect("time");
    Pending {
        shards: BTreeMap::from([(shard.to_owned(), position)]),
        read_until: BTreeMap::new(),
        forget: BTreeSet::new(),
        stream: StreamPosition {
            arn: "arn:1".to_owned(),
            as_of: Some(as_of),
            since: None,
            holder: RunsOn::Cluster,
        },
    }
}

/// Partition and rows of each file, by the log and the Parquet reader.
async fn read(table: &Table) -> Vec<(Option<String>, String, RecordBatch)> {
    let mut all = Vec::new();
    for file in table.existing().await.expect("table").files().await.expect("files") {
        let reader = std::fs::File::open(file.url.trim_start_matches("file://")).expect("file");
        for batch in ParquetRecordBatchReaderBuilder::try_new(reader)
            .expect("parquet")
            .build()
            .expect("reader")
        {
            all.push((
                file.partition["part_date"].clone(),
                file.name.clone(),
                batch.expect("batch"),
            ));
        }
    }
    all.sort_by(|one, other| one.1.cmp(&other.1));
    all
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let column = batch
        .column_by_name(column)
        .unwrap_or_else(|| panic!("column {column}"))
        .as_string::<i32>();
    column.iter().map(|text| text.map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_becomes_a_row_of_its_day_whatever_it_holds() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table(&folder);
    let mut sink = BronzeSink::new(table.clone(), contract());
    assert_eq!(sink.load().await.expect("a new table"), Committed::default());

    let good = r#"{"id": "e-1", "order": "order-1", "amount": 12.30, "at": "2026-02-28T23:00:00Z", "later": true}"#;
    let broken = r#"{"id": 7}"#;
    sink.append(
        "shardId-1",
        &record(1, ChangeKind::Insert, Some(good), "2026-02-28T23:59:59Z"),
    );
    sink.append(
        "shardId-1",
        &record(2, ChangeKind::Modify, Some(broken), "2026-03-01T00:00:00Z"),
    );
    sink.append(
        "shardId-1",
        &record(3, ChangeKind::Remove, None, "2026-03-01T00:00:01Z"),
    );
    assert!(sink.bytes() > 0);
    let flushed = sink.commit(&pending("shardId-1", 3)).await.expect("committed");
    assert_eq!((flushed.version, flushed.rows, sink.bytes()), (1, 3, 0));

    let files = read(&table).await;
    assert_eq!(files.len(), 2, "a file per date");
    let (date, name, rows) = &files[0];
    assert_eq!(date.as_deref(), Some("2026-02-28"));
    assert!(
        name.starts_with("part_date=2026-02-28/shardId-1-000000000000000000001-000000000000000000003-"),
        "{name}"
    );
    assert_eq!(texts(rows, "_change"), [Some("INSERT".to_owned())]);
    assert_eq!(texts(rows, "_source"), [Some("topic/0/1".to_owned())]);
    assert_eq!(texts(rows, "_extra"), [Some(r#"{"later":true}"#.to_owned())]);
    let amount = rows.column_by_name("amount").expect("amount");
    assert_eq!(amount.as_primitive::<arrow::datatypes::Decimal128Type>().value(0), 1230);

    let (date, _, rows) = &files[1];
    assert_eq!(date.as_deref(), Some("2026-03-01"));
    assert_eq!(
        texts(rows, "_change"),
        [Some("MODIFY".to_owned()), Some("REMOVE".to_owned())]
    );
    assert_eq!(
        texts(rows, "_key"),
        [Some("order-2".to_owned()), Some("order-3".to_owned())]
    );
    assert_eq!(
        texts(rows, "_extra"),
        [Some(broken.to_owned()), None],
        "what does not fit is kept as it is"
    );
    assert!(
        rows.column_by_name("id").expect("id").is_null(0),
        "and its typed columns are null"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_without_rows_are_committed_and_read_back() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table(&folder);
    let mut sink = loaded(&table).await;
    let positions = pending("shardId-1", 9);
    let flushed = sink.commit(&positions).await.expect("committed");
    assert_eq!((flushed.version, flushed.rows), (1, 0));
    let committed = BronzeSink::new(table, contract()).load().await.expect("positions");
    assert_eq!(
        (committed.stream, committed.shards),
        (Some(positions.stream), positions.shards)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_exporter_is_told_apart_and_adds_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table(&folder);
    let mut zombie = loaded(&table).await;
    let mut successor = loaded(&table).await;
    for number in 1..=3 {
        successor.append("shardId-1", &insert(number));
    }
    successor.commit(&pending("shardId-1", 3)).await.expect("committed");
    // The zombie has read less of the same shard, and its files are there already when it finds out.
    zombie.append("shardId-1", &insert(1));
    let Err(SinkError::End(error)) = zombie.commit(&pending("shardId-1", 1)).await else {
        panic!("the row would be there twice");
    };
    assert_eq!(error.class, ErrorClass::Fenced);
    let rows: usize = read(&table).await.iter().map(|(_, _, batch)| batch.num_rows()).sum();
    assert_eq!(rows, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_exporters_equal_positions_are_not_taken_for_ones_own() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table(&folder);
    let mut zombie = loaded(&table).await;
    let mut successor = loaded(&table).await;
    let insert = insert(1);
    for sink in [&mut zombie, &mut successor] {
        sink.append("shardId-1", &insert);
    }
    // Both have read the same of one shard; the successor has read another one too.
    successor.append("shardId-2", &insert);
    let mut further = pending("shardId-1", 1);
    further.shards.extend(pending("shardId-2", 1).shards);
    successor.commit(&further).await.expect("committed");
    let Err(SinkError::End(error)) = zombie.commit(&pending("shardId-1", 1)).await else {
        panic!("it would go on and commit the rows of the other shard once more");
    };
    assert_eq!(error.class, ErrorClass::Fenced);
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_of_an_earlier_release_without_a_writer_are_gone_on_from() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table(&folder);
    let base = table
        .open_or_create(&contract().bronze_table_schema(), &["part_date"])
        .await
        .expect("created");
    let unsigned = medallion_lake::Change::append(vec![])
        .position(
            "medallion.stream",
            serde_json::json!({"arn": "arn:1", "asOf": "2026-03-01T00:00:00Z"}),
        )
        .position(
            "medallion.shard.shardId-1",
            serde_json::json!({"streamArn": "arn:1", "sequence": "1", "closed": false}),
        );
    table.commit(&base, &unsigned).await.expect("committed");
    let mut sink = BronzeSink::new(table, contract());
    let committed = sink.load().await.expect("readable");
    assert_eq!(committed.shards["shardId-1"].sequence, Some(Sequence::new("1")));
    let flushed = sink.commit(&pending("shardId-1", 2)).await.expect("committed");
    assert_eq!(flushed.version, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_pipelines_table_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().expect("folder");
    let mut first = BronzeSink::new(table(&folder), contract());
    first.load().await.expect("a new table");
    let others = table(&folder).claimed(&Claim::new("here/shop/copy", []));
    let Err(SinkError::End(error)) = BronzeSink::new(others, contract()).load().await else {
        panic!("two exporters would append to one table");
    };
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::Record, &Reason::OwnedByAnother)
    );
    assert!(
        error.message.contains("medallion.dev/adopt: here/shop/orders"),
        "{}",
        error.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_deleted_under_the_exporter_ends_it() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table(&folder);
    let mut sink = loaded(&table).await;
    sink.commit(&pending("shardId-1", 1)).await.expect("committed");
    std::fs::remove_dir_all(folder.path().join("orders")).expect("deleted");
    let Err(SinkError::End(error)) = sink.commit(&pending("shardId-1", 2)).await else {
        panic!("a log without its beginning is no table");
    };
    // A successor would begin an empty table without a word.
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::LossRisk, &Reason::BronzeTableReplaced)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_rows_has_no_version_to_offer() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table(&folder);
    let mut sink = loaded(&table).await;
    sink.commit(&pending("shardId-1", 1)).await.expect("committed");
    assert_eq!(loaded(&table).await.version(), None, "positions alone");
    sink.append("shardId-1", &insert(2));
    sink.commit(&pending("shardId-1", 2)).await.expect("committed");
    assert_eq!(loaded(&table).await.version(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_shards_are_committed_together_each_in_its_own_file() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table(&folder);
    let mut sink = loaded(&table).await;
    let mut all = pending("shardId-0", 1);
    for shard in 0..50 {
        let shard = format!("shardId-{shard}");
        sink.append(&shard, &insert(1));
        all.shards.extend(pending(&shard, 1).shards);
    }
    assert!(sink.bytes() > 50 * PAYLOAD.len());
    let flushed = sink.commit(&all).await.expect("committed");
    assert_eq!((flushed.rows, sink.bytes()), (50, 0));
    assert_eq!(read(&table).await.len(), 50);
}

/// Why an exporter with another schema does not begin.
async fn refused(table: &OwnedTable, schema: &str) -> WorkerError {
    let Err(SinkError::End(error)) = BronzeSink::new(table.clone(), compiled(schema)).load().await else {
        panic!("readers would break, or events on their way be lost");
    };
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_asks_for_more_than_the_one_of_the_last_commit_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table(&folder);
    let mut sink = loaded(&table).await;
    for number in 1..=2 {
        sink.commit(&pending("shardId-1", number)).await.expect("committed");
    }
    let log = folder.path().join("orders/_delta_log");
    let noted = |version: u64| {
        let entry = std::fs::read_to_string(log.join(format!("{version:020}.json"))).expect("an entry");
        entry.contains("medallion.contract")
    };
    assert_eq!([noted(1), noted(2)], [true, false], "once");
    let required = SCHEMA.replace(r#""order", "at"]"#, r#""order", "at", "amount"]"#);
    let error = refused(&table, &required).await;
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::Settings, &Reason::ContractNotAdditive)
    );
    assert!(error.message.contains("property amount is required now"), "{error}");
    assert_eq!(table.existing().await.expect("table").version(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_adds_is_in_the_log_before_its_first_row() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table(&folder);
    loaded(&table)
        .await
        .commit(&pending("shardId-1", 1))
        .await
        .expect("committed");
    let with_note = |kind: &str| SCHEMA.replace(r#""at": {"#, &format!(r#""note": {{"type": "{kind}"}}, "at": {{"#));
    for _ in 0..2 {
        let mut sink = BronzeSink::new(table.clone(), compiled(&with_note("string")));
        let committed = sink.load().await.expect("it adds");
        assert!(committed.shards.contains_key("shardId-1"));
        assert_eq!(table.existing().await.expect("table").version(), 2, "noted once");
    }
    let error = refused(&table, &with_note("integer")).await;
    assert!(
        error.message.contains("property note was text and is now an integer"),
        "{error}"
    );

    let mut sink = BronzeSink::new(table.clone(), compiled(&with_note("string")));
    sink.load().await.expect("as before");
    sink.append("shardId-1", &insert(2));
    let flushed = sink.commit(&pending("shardId-1", 2)).await.expect("committed");
    assert_eq!((flushed.version, flushed.rows), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_contract_is_not_written_to() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table(&folder);
    loaded(&table).await;
    let other = SCHEMA.replace(
        r#""type": "number", "x-decimal": {"precision": 18, "scale": 2}"#,
        r#""type": "integer""#,
    );
    let error = refused(&table, &other).await;
    assert_eq!(error.class, ErrorClass::Settings);
    for words in [
        "property amount was a decimal(18,2) and is now an integer",
        "may only add properties",
    ] {
        assert!(error.message.contains(words), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_at_the_log_sees_what_others_commit_and_makes_no_table() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table(&folder);
    let mut looking = BronzeSink::new(table.clone(), contract());
    let Err(SinkError::Retry(error)) = looking.look().await else {
        panic!("there is no table");
    };
    assert_eq!(error.reason, Reason::StreamHeldElsewhere);
    assert!(table.snapshot().await.expect("a look").is_none(), "and it makes none");

    let mut writing = loaded(&table).await;
    let seen = looking.look().await.expect("a table");
    assert_eq!((seen.committed.stream, seen.news), (None, None));
    writing.append("a", &insert(1));
    writing.append("a", &insert(2));
    let mut handed_over = pending("a", 2);
    handed_over.stream.holder = RunsOn::Lambda;
    let flushed = writing.commit(&handed_over).await.expect("committed");
    let seen = looking.look().await.expect("news");
    assert_eq!(seen.news, Some(flushed));
    assert_eq!(seen.committed.stream, Some(handed_over.stream));
    assert_eq!(seen.committed.shards, handed_over.shards);
    assert_eq!(looking.look().await.expect("no news").news, None);
}

/// A function looks and never loads; the pod that has handed the stream over loads and commits nothing by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_adds_is_noted_by_who_commits_and_not_by_who_observes() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table(&folder);
    let first = loaded(&table).await.commit(&pending("a", 1)).await;
    first.expect("committed");
    let newer = SCHEMA.replace(r#""at": {"#, r#""note": {"type": "string"}, "at": {"#);

    let mut observing = BronzeSink::new(table.clone(), compiled(&newer)).observing();
    observing.load().await.expect("it adds");
    assert_eq!(
        table.existing().await.expect("table").version(),
        1,
        "nothing is committed"
    );

    let mut function = BronzeSink::new(table.clone(), compiled(&newer));
    function.look().await.expect("it adds");
    function.append("a", &insert(2));
    let flushed = function.commit(&pending("a", 2)).await.expect("committed");
    let entry = folder
        .path()
        .join(format!("orders/_delta_log/{:020}.json", flushed.version));
    let entry = std::fs::read_to_string(entry).expect("an entry");
    assert!(entry.contains("medallion.contract"), "{entry}");
    let error = refused(&table, SCHEMA).await;
    assert_eq!(error.reason, Reason::ContractNotAdditive);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_met_anothers_commit_are_committed_on_top_of_it_or_dropped() {
    let folder = tempfile::tempdir().expect("folder");
    let table = table(&folder);
    let mut one = loaded(&table).await;
    let mut other = loaded(&table).await;
    one.append("a", &insert(1));
    one.commit(&pending("a", 1)).await.expect("committed");
    other.append("b", &insert(2));
    let Err(SinkError::End(error)) = other.commit(&pending("b", 2)).await else {
        panic!("the stream's position has moved");
    };
    assert_eq!(error.class, ErrorClass::Fenced);
    other.look().await.expect("the other's commit");
    other.commit(&pending("b", 2)).await.expect("on top of it");
    let rows = |found: &[(Option<String>, String, RecordBatch)]| {
        found.iter().map(|(_, _, rows)| rows.num_rows()).sum::<usize>()
    };
    assert_eq!(rows(&read(&table).await), 2, "uploaded once, committed once");

    one.append("a", &insert(3));
    one.commit(&pending("a", 3)).await.expect_err("moved again");
    one.discard();
    one.look().await.expect("a look");
    one.append("a", &insert(4));
    one.commit(&pending("a", 4)).await.expect("committed");
    assert_eq!(rows(&read(&table).await), 3, "what was dropped is nowhere in the table");
}
