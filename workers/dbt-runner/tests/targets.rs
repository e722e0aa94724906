//! Whose the tables of a layer are is known of all of them before one is taken over. No network.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use dbt_runner::error::RunError;
use dbt_runner::protocol::{Replace, TableModel};
use dbt_runner::source::open_targets;
use medallion_crds::Reason;
use medallion_lake::{Change, Claim, LakeStore, PartitionValues, Table};
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

    /// Opens the tables for a run that may displace the old owner.
    async fn open(&self, names: &[&str]) -> Result<Vec<String>, RunError> {
        let tables = names.iter().map(|name| (self.table(name), model(name))).collect();
        let claim = Claim::new(US, [OLD.to_owned()]);
        let targets = open_targets(tables, &claim, "run-1").await?;
        Ok(targets.into_iter().map(|target| target.model.name).collect())
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
