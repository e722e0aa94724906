//! A shop with a lake in a temporary folder, and what tests ask of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::array_value_to_string;
use dbt_runner::driver::Python;
use dbt_runner::error::RunError;
use dbt_runner::metrics::RunMetrics;
use dbt_runner::settings::LayerPlace;
use dbt_runner::steps::Run;
use dbt_runner::timing::Timing;
use jiff::Timestamp;
use medallion_contract::{BronzeBatchBuilder, Change as Row, ChangeKind, Contract, PARTITION_COLUMN, Pointers};
use medallion_crds::Stage;
use medallion_crds::launch::report::RunReport;
use medallion_crds::launch::{
    ContractSettings, ContractVersionSettings, DbtRunnerSettings, LakeSettings, PipelineIdentity, RunSettings, Settings,
};
use medallion_crds::progress::Identity;
use medallion_crds::stage_run::{OutputTable, TableVersion};
use medallion_lake::{Change, Claim, LakeStore, Outcome, OwnedTable, PartitionValues};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use worker_kit::{Metrics, ProgressHandle};

use crate::warm::warm;

const BUYER: Option<&str> = Some("17850");

/// A purchase.
pub struct Event {
    pub id: String,
    pub order: String,
    pub buyer: Option<String>,
    pub quantity: i32,
    pub at: String,
}

pub struct Shop {
    folder: Arc<tempfile::TempDir>,
    store: LakeStore,
    contract: Arc<Contract>,
    project: PathBuf,
    pipeline: String,
    adopt: Vec<String>,
    /// Where Bronze lies in the lake.
    bronze: String,
}

/// A lake with [`three_days`], and what the runs said that made its Silver and Gold.
struct Started {
    folder: tempfile::TempDir,
    silver: RunReport,
    gold: RunReport,
}

pub fn event(id: &str, order: &str, at: &str, quantity: i32) -> Event {
    Event {
        id: id.to_owned(),
        order: order.to_owned(),
        buyer: BUYER.map(str::to_owned),
        quantity,
        at: at.to_owned(),
    }
}

pub fn three_days() -> Vec<Event> {
    vec![
        event("a", "1-1", "2010-12-01T10:00:00Z", 1),
        event("b", "2-1", "2010-12-02T10:00:00Z", 2),
        event("c", "3-1", "2010-12-03T10:00:00Z", 3),
    ]
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The shop's project.
pub fn project() -> PathBuf {
    root().join("dbt")
}

/// Python with dbt, as it is.
pub fn python() -> Result<Python> {
    let interpreter = if let Some(path) = std::env::var_os("MEDALLION_PYTHON") {
        PathBuf::from(path)
    } else {
        let stack =
            std::env::var_os("MEDALLION_STACK").context("neither MEDALLION_PYTHON nor MEDALLION_STACK is set")?;
        let stack: serde_json::Value = serde_json::from_slice(&std::fs::read(stack)?)?;
        PathBuf::from(stack["bin"]["python"].as_str().context("the stack has no bin.python")?)
    };
    Ok(Python {
        interpreter,
        package: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("python")),
    })
}

impl Shop {
    /// An empty lake, with a Bronze table.
    pub async fn open() -> Result<Self> {
        let shop = Self::at(tempfile::tempdir()?)?;
        shop.table("bronze/purchase_orders")?
            .open_or_create(&shop.contract.bronze_table_schema(), &[PARTITION_COLUMN])
            .await?;
        Ok(shop)
    }

    /// A lake with three days in it, worked off by the runs silver-1 and gold-1, and what they said: a copy of one that is
    /// made once.
    pub async fn started() -> Result<(Self, RunReport, RunReport)> {
        static STARTED: OnceCell<Started> = OnceCell::const_new();
        let started = STARTED.get_or_try_init(Self::start).await?;
        let folder = tempfile::tempdir()?;
        copy(started.folder.path(), folder.path())?;
        Ok((Self::at(folder)?, started.silver.clone(), started.gold.clone()))
    }

    async fn start() -> Result<Started> {
        let shop = Self::open().await?;
        shop.bronze(&three_days()).await?;
        let bronze = shop.bronze_version().await?;
        let silver = shop.run(Stage::Silver, "silver-1", 1, bronze).await?;
        let gold = shop.run(Stage::Gold, "gold-1", 1, inputs(&silver)).await?;
        let folder = tempfile::tempdir_in(&warm()?.folder)?;
        copy(shop.folder.path(), folder.path())?;
        Ok(Started { folder, silver, gold })
    }

    fn at(folder: tempfile::TempDir) -> Result<Self> {
        let pointers = Pointers {
            key: "/order_id",
            event_id: "/event_id",
            event_time: "/ordered_at",
            event_version: None,
        };
        let schema = root().join("dbt/contract/purchase-contract-v1.schema.json");
        let contract = Arc::new(Contract::from_file(&schema, &pointers)?);
        Ok(Self {
            folder: Arc::new(folder),
            store: LakeStore::local()?,
            contract,
            project: project(),
            pipeline: "purchases".to_owned(),
            adopt: Vec::new(),
            bronze: "bronze/purchase_orders".to_owned(),
        })
    }

    /// The same shop with another file in its project.
    pub fn with_project_file(&self, path: &str, content: &str) -> Result<Self> {
        let folder = tempfile::tempdir_in(self.folder.path())?.keep();
        copy(&project(), &folder)?;
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        std::fs::write(path, content)?;
        Ok(self.with(folder, &self.pipeline))
    }

    /// One more file in the project of such a shop.
    pub fn with_file_too(self, path: &str, content: &str) -> Result<Self> {
        let path = self.project.join(path);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        std::fs::write(path, content)?;
        Ok(self)
    }

    /// The same lake for another pipeline.
    pub fn of_pipeline(&self, name: &str) -> Self {
        self.with(self.project.clone(), name)
    }

    /// The same lake for another pipeline, which has a Bronze of its own and takes over what this one has made from its own.
    pub async fn displaced_by(&self, name: &str) -> Result<Self> {
        let other = Self {
            adopt: vec![self.owner()],
            bronze: format!("bronze/{name}"),
            ..self.of_pipeline(name)
        };
        other
            .table(&other.bronze)?
            .open_or_create(&other.contract.bronze_table_schema(), &[PARTITION_COLUMN])
            .await?;
        Ok(other)
    }

    fn owner(&self) -> String {
        format!("test/shop/{}", self.pipeline)
    }

    fn with(&self, project: PathBuf, pipeline: &str) -> Self {
        Self {
            folder: Arc::clone(&self.folder),
            store: self.store.clone(),
            contract: Arc::clone(&self.contract),
            project,
            pipeline: pipeline.to_owned(),
            adopt: self.adopt.clone(),
            bronze: self.bronze.clone(),
        }
    }

    fn address(&self, path: &str) -> String {
        format!("file://{}/{path}", self.folder.path().display())
    }

    /// A table, for its owner.
    fn table(&self, path: &str) -> Result<OwnedTable> {
        let table = self.store.table(&self.address(path))?;
        Ok(table.claimed(&Claim::new(self.owner(), [])))
    }

    /// Commits events as the exporter does.
    pub async fn bronze(&self, events: &[Event]) -> Result<()> {
        let rows: Vec<_> = events
            .iter()
            .map(|event| {
                let payload = json!({
                    "event_id": event.id, "order_id": event.order, "line_number": 1, "buyer_id": event.buyer,
                    "product_id": "85123A", "description": "WHITE HANGING HEART T-LIGHT HOLDER",
                    "quantity": event.quantity, "unit_price": 2.5, "total_amount": 2.5 * f64::from(event.quantity),
                    "country": "United Kingdom", "ordered_at": event.at,
                });
                (
                    ChangeKind::Insert,
                    event.order.as_str(),
                    event.id.as_str(),
                    Some(payload.to_string()),
                )
            })
            .collect();
        self.append(&rows).await
    }

    /// Commits the deletion of an item.
    pub async fn bronze_removal(&self, order: &str, event: &str) -> Result<()> {
        self.append(&[(ChangeKind::Remove, order, event, None)]).await
    }

    async fn append(&self, rows: &[(ChangeKind, &str, &str, Option<String>)]) -> Result<()> {
        let table = self.table(&self.bronze)?;
        let base = table.existing().await?;
        let mut builder = BronzeBatchBuilder::new(Arc::clone(&self.contract));
        for (number, (kind, key, event_id, payload)) in rows.iter().enumerate() {
            let sequence = format!("{}{number:03}", base.version() + 1);
            let row = Row {
                kind: *kind,
                key,
                event_id,
                contract: Some(self.contract.digest()),
                digest: None,
                changed_at: Timestamp::UNIX_EPOCH,
                shard: "shard-1",
                sequence: &sequence,
                source: None,
            };
            builder.append(&row, payload.as_deref());
        }
        let mut files = Vec::new();
        for partition in builder.finish()? {
            let values = PartitionValues::from([(PARTITION_COLUMN.to_owned(), Some(partition.part_date))]);
            let name = format!("bronze-{}.parquet", base.version() + 1);
            files.push(table.write_file(&name, &values, vec![partition.batch]).await?);
        }
        let position = json!({"sequence": base.version() + 1});
        let outcome = table
            .commit(
                &base,
                &Change::append(files).position("medallion.shard.shard-1", position),
            )
            .await?;
        anyhow::ensure!(matches!(outcome, Outcome::Committed(_)));
        Ok(())
    }

    /// What a run of Silver is given.
    pub async fn bronze_version(&self) -> Result<Vec<TableVersion>> {
        let snapshot = self.store.table(&self.address(&self.bronze))?.existing().await?;
        Ok(vec![TableVersion {
            name: "bronze".to_owned(),
            version: i64::try_from(snapshot.version())?,
        }])
    }

    /// One attempt of a run.
    pub async fn run(
        &self,
        stage: Stage,
        uid: &str,
        attempt: i32,
        inputs: Vec<TableVersion>,
    ) -> Result<RunReport, RunError> {
        let scratch = tempfile::tempdir_in(self.folder.path()).expect("scratch folder");
        let settings = self.settings(stage, uid, attempt, inputs);
        let python = self.interpreter().expect("python with dbt");
        let run = Run {
            settings: &settings,
            place: &LayerPlace::new(&settings)?,
            store: &self.store,
            python: &python,
            scratch: scratch.path(),
            progress: &ProgressHandle::new(Identity::default(), Timestamp::now),
            metrics: &RunMetrics::new(&Metrics::default()),
            timing: &Timing::default(),
            shutdown: &CancellationToken::new(),
        };
        run.execute().await
    }

    /// The warm one knows the shop's own project alone: dbt cannot parse in a fork of a process in which it has parsed.
    fn interpreter(&self) -> Result<Python> {
        if self.project == project() {
            Ok(warm()?.python.clone())
        } else {
            python()
        }
    }

    fn settings(
        &self,
        stage: Stage,
        uid: &str,
        attempt: i32,
        inputs: Vec<TableVersion>,
    ) -> Settings<DbtRunnerSettings> {
        Settings {
            adopt: self.adopt.clone(),
            pipeline: PipelineIdentity {
                installation: "test".to_owned(),
                namespace: "shop".into(),
                name: self.pipeline.clone(),
                uid: "p".into(),
            },
            stage: Some(stage),
            region: "eu-west-1".to_owned(),
            worker: DbtRunnerSettings {
                run: RunSettings {
                    name: uid.to_owned(),
                    uid: uid.to_owned(),
                    attempt,
                    as_of: "2010-12-10T00:00:00Z".parse().expect("a time"),
                    inputs,
                },
                contract: ContractSettings {
                    versions: vec![ContractVersionSettings {
                        name: "v1".to_owned(),
                        schema_path: String::new(),
                        digest: String::new(),
                    }],
                    key: "/order_id".to_owned(),
                    event_id: "/event_id".to_owned(),
                    event_time: "/ordered_at".to_owned(),
                    event_version: None,
                },
                lake: LakeSettings {
                    bronze_table: self.address(&self.bronze),
                    silver: self.address("silver"),
                    gold: self.address("gold"),
                },
                project_path: self.project.display().to_string(),
                memory_bytes: 512 * 1024 * 1024,
                threads: 2,
            },
        }
    }

    /// Names of a table's files by the value of the partition column; empty when there is no table.
    pub async fn files(&self, table: &str) -> Result<BTreeMap<String, Vec<String>>> {
        let mut by_day: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if let Some(snapshot) = self.store.table(&self.address(table))?.snapshot().await? {
            for file in snapshot.files().await? {
                let day = file.partition.values().next().cloned().flatten().unwrap_or_default();
                by_day.entry(day).or_default().push(file.name);
            }
        }
        Ok(by_day)
    }

    /// Some columns of all rows of a table, read from its files, in order.
    pub async fn rows(&self, table: &str, columns: &[&str]) -> Result<Vec<String>> {
        let mut rows = Vec::new();
        for file in self
            .store
            .table(&self.address(table))?
            .existing()
            .await?
            .files()
            .await?
        {
            let path = file.url.strip_prefix("file://").context("a local file")?;
            for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()? {
                let batch = batch?;
                for row in 0..batch.num_rows() {
                    let texts = columns.iter().map(|column| match file.partition.get(*column) {
                        Some(value) => Ok(value.clone().unwrap_or_default()),
                        None => Ok(array_value_to_string(
                            batch.column_by_name(column).context("the column")?,
                            row,
                        )?),
                    });
                    rows.push(texts.collect::<Result<Vec<_>>>()?.join(" "));
                }
            }
        }
        rows.sort();
        Ok(rows)
    }

    /// A table of quite another kind.
    pub async fn foreign_table(&self, table: &str) -> Result<()> {
        let schema = Schema::new(vec![Field::new("buyer_id", DataType::Int64, true)]);
        self.table(table)?.open_or_create(&schema, &[]).await?;
        Ok(())
    }

    /// Takes a table away.
    pub fn remove(&self, table: &str) -> Result<()> {
        Ok(std::fs::remove_dir_all(self.folder.path().join(table))?)
    }

    /// Puts a table where no run finds it.
    pub fn set_aside(&self, table: &str) -> Result<()> {
        let folder = self.folder.path();
        Ok(std::fs::rename(
            folder.join(table),
            folder.join(format!("{table}.aside")),
        )?)
    }

    /// Puts a table back to where it was.
    pub fn put_back(&self, table: &str) -> Result<()> {
        let folder = self.folder.path();
        Ok(std::fs::rename(
            folder.join(format!("{table}.aside")),
            folder.join(table),
        )?)
    }

    /// Makes a table one that no run has written.
    pub async fn forget_positions(&self, table: &str) -> Result<()> {
        let table = self.table(table)?;
        let change = Change::append(Vec::new())
            .forget("medallion.run")
            .position("somebody.else", json!({}));
        let outcome = table.commit(&table.existing().await?, &change).await?;
        anyhow::ensure!(matches!(outcome, Outcome::Committed(_)));
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// What the next stage takes in after this run.
pub fn inputs(run: &RunReport) -> Vec<TableVersion> {
    run.outputs.iter().map(OutputTable::as_input).collect()
}
