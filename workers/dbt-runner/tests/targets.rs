//! Whose the tables of a layer are is known of all of them before one is taken over. No network.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use dbt_runner::error::RunError;
use dbt_runner::position::{TableIds, Versions};
use dbt_runner::protocol::{Replace, TableModel};
use dbt_runner::source::{Target, open_targets};
use medallion_crds::Reason;
use medallion_lake::{Change, Claim, LakeStore, PartitionValues, Table};
use serde_json::json;
use worker_kit::{ErrorClass, WorkerError};

const US: &str = "here/shop/orders";
const OLD: &str = "here/shop/old";

struct Layer {
    folder: tempfile::TempDir,
    store: LakeStore,
}

impl Layer {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            store: LakeStore::local().expect("a store"),
        }
    }

    fn table(&self, name: &str) -> Table {
        let address = format!("file://{}/{name}", self.folder.path().display());
        self.store.table(&address).expect("a table")
    }

    /// Makes an empty table of this owner.
    async fn make(&self, name: &str, owner: &str) {
        let table = self.table(name).claimed(&Claim::new(owner, []));
        table.open_or_create(&schema(), &[]).await.expect("created");
    }

    /// Gives a table a row, but no position of a run.
    async fn add_row(&self, name: &str, owner: &str) {
        let table = self.table(name).claimed(&Claim::new(owner, []));
        let batch = RecordBatch::try_new(Arc::new(schema()), vec![Arc::new(Int64Array::from(vec![1]))]);
        let batches = vec![batch.expect("a batch")];
        let file = table.write_file("a.parquet", &PartitionValues::new(), batches).await;
        let file = file.expect("written");
        let base = table.existing().await.expect("the table");
        let change = Change::append(vec![file]).position("their.position", serde_json::json!(1));
        table.commit(&base, &change).await.expect("committed");
    }

    /// Makes a table with a row as something else does, which names no owner.
    fn make_unowned(&self, name: &str) {
        let fields = json!({"type": "struct", "fields": [
            {"name": "id", "type": "long", "nullable": true, "metadata": {}},
        ]});
        let entry = [
            json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": [],
                "writerFeatures": ["domainMetadata"]}}),
            json!({"metaData": {"id": "0c1a", "name": name, "format": {"provider": "parquet", "options": {}},
                "schemaString": fields.to_string(), "partitionColumns": [], "configuration": {},
                "createdTime": 1_700_000_000_000_u64}}),
            json!({"add": {"path": "theirs.parquet", "partitionValues": {}, "size": 1,
                "modificationTime": 1_700_000_000_000_u64, "dataChange": true, "stats": "{\"numRecords\":1}"}}),
        ];
        let log = self.folder.path().join(name).join("_delta_log");
        std::fs::create_dir_all(&log).expect("a folder");
        let lines: Vec<String> = entry.iter().map(ToString::to_string).collect();
        std::fs::write(log.join("00000000000000000000.json"), lines.join("\n")).expect("written");
    }

    /// Opens the tables for a run that may displace the old owner.
    async fn open(&self, names: &[&str]) -> Result<Vec<String>, RunError> {
        let targets = self.targets(names, OLD).await?;
        Ok(targets.into_iter().map(|target| target.model.name).collect())
    }

    async fn targets(&self, names: &[&str], adopt: &str) -> Result<Vec<Target>, RunError> {
        let tables = names.iter().map(|name| (self.table(name), model(name))).collect();
        open_targets(tables, &Claim::new(US, [adopt.to_owned()]), "run-1").await
    }

    async fn owner(&self, name: &str) -> Option<String> {
        let snapshot = self.table(name).existing().await.expect("the table");
        snapshot.owner().map(str::to_owned)
    }
}

fn schema() -> Schema {
    Schema::new(vec![Field::new("id", DataType::Int64, true)])
}

fn model(name: &str) -> TableModel {
    TableModel {
        name: name.to_owned(),
        replace: Replace::Table,
        key: vec!["id".to_owned()],
        partition_by: Vec::new(),
        changes: None,
        columns: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_table_is_taken_over_where_others_of_the_layer_are_refused() {
    let layer = Layer::new();
    layer.make("days", OLD).await;
    layer.make("lines", "here/shop/payments").await;
    layer.make("sums", "here/shop/copy").await;
    let error = layer
        .open(&["days", "lines", "new", "sums"])
        .await
        .expect_err("two are others'");
    let words = error.to_string();
    for owner in ["belongs to here/shop/payments", "belongs to here/shop/copy"] {
        assert!(words.contains(owner), "{words}");
    }
    assert!(!words.contains("days"), "{words}");
    let error = WorkerError::from(error);
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::Record, &Reason::OwnedByAnother)
    );
    assert_eq!(layer.owner("days").await.as_deref(), Some(OLD));

    assert_eq!(layer.open(&["days", "new"]).await.expect("ours now"), ["days", "new"]);
    assert_eq!(layer.owner("days").await.as_deref(), Some(US));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_table_is_taken_over_where_another_has_rows_that_no_run_has_written() {
    let layer = Layer::new();
    layer.make("days", OLD).await;
    layer.make("lines", US).await;
    layer.add_row("lines", US).await;
    let error = layer.open(&["days", "lines"]).await.expect_err("no run's");
    assert!(
        matches!(&error, RunError::Foreign { table } if table == "lines"),
        "{error}"
    );
    assert_eq!(layer.owner("days").await.as_deref(), Some(OLD));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_nobody_is_taken_by_its_address_and_nothing_of_its_rows_is_gone_on_from() {
    let layer = Layer::new();
    layer.make_unowned("lines");
    let error = layer.open(&["lines"]).await.expect_err("nobody has named it");
    assert!(matches!(&error, RunError::OwnedByOthers(_)), "{error}");

    let address = layer.table("lines").address().to_owned();
    // An attempt that ends before it has committed leaves the table taken, and the next one finds it so.
    for attempt in ["the first", "the second"] {
        let targets = layer.targets(&["lines"], &address).await.expect(attempt);
        let [target] = targets.as_slice() else {
            panic!("one table");
        };
        assert_eq!(layer.owner("lines").await.as_deref(), Some(US), "{attempt}");
        let state = target.state(&TableIds::from([("bronze".to_owned(), "b".to_owned())]));
        assert!(!state.goes_on(&Versions::from([("bronze".to_owned(), 3)])), "{attempt}");
        assert_eq!(
            target.begun_by("run-1", false),
            None,
            "nobody has gone on from its rows"
        );
    }
    let error = layer.open(&["lines"]).await.expect_err("its rows are no run's yet");
    assert!(error.to_string().contains("medallion.dev/adopt"), "{error}");
}
