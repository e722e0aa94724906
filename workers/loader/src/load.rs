//! One load from beginning to end: settle, read, plan, stage, publish, sweep. Talks to object storage and the warehouse.

use aws_config::SdkConfig;
use jiff::Timestamp;
use medallion_crds::launch::report::RunReport;
use medallion_crds::stage_run::{RunProgress, TableVersion};
use worker_kit::ProgressHandle;

use crate::column::evolve;
use crate::error::LoadError;
use crate::gold::Gold;
use crate::identifier::Identifier;
use crate::layout::loads;
use crate::ledger::{self, Ledger, Verdict};
use crate::manifest;
use crate::names::Names;
use crate::plan::{TablePlan, batches};
use crate::records::{self, Catalogue};
use crate::settings::{Job, Target};
use crate::sql::Sql;
use crate::touched::touched;
use crate::warehouse::{Known, Warehouse, step};

/// The point at which a test can kill the loader.
const BETWEEN_COPY_AND_LEDGER: &str = "between-copy-and-ledger";

/// One attempt of one run.
pub struct Loader {
    job: Job,
    names: Names,
    sql: Sql,
    gold: Gold,
    warehouse: Warehouse,
    progress: ProgressHandle,
}

impl Loader {
    /// A loader for a job.
    pub fn new(job: Job, lake: &SdkConfig, warehouse: &SdkConfig, progress: ProgressHandle) -> Result<Self, LoadError> {
        let names = Names::new(&job.pipeline_uid, &job.run.uid, job.run.attempt);
        Ok(Self {
            sql: Sql::new(job.schema.clone(), &job.warehouse.copy_role_arn),
            gold: Gold::new(lake, &job.gold)?,
            warehouse: Warehouse::new(warehouse, &job.warehouse, names.clone()),
            names,
            job,
            progress,
        })
    }

    /// Loads what is not loaded yet.
    pub async fn load(&self) -> Result<RunReport, LoadError> {
        self.progress(0, "look at the warehouse");
        let known = self.settle().await?;
        let catalogue = self.catalogue().await?;
        let ledger = self.ledger(&known, &catalogue).await?;
        let behind: Vec<&Target> = self
            .job
            .tables
            .iter()
            .filter(|target| is_behind(target, &ledger))
            .collect();
        if behind.is_empty() {
            tracing::info!("the warehouse is at or past the run's inputs already");
            return Ok(self.report(&ledger, true));
        }

        self.progress(1, "compare with gold");
        let mut plans = Vec::with_capacity(behind.len());
        for (number, target) in behind.into_iter().enumerate() {
            plans.push(self.plan(number, target, &ledger, &catalogue).await?);
        }
        let prepared = self.sql.prepare(&plans).into_iter().map(|statement| vec![statement]);
        self.warehouse.batches(&known, step::PREPARE, batches(prepared)).await?;

        self.progress(2, "copy");
        self.stage(&known, &plans).await?;
        worker_kit::hold_point(BETWEEN_COPY_AND_LEDGER).await;

        self.progress(3, "publish");
        let ledger = self.publish(&known, &plans).await?;
        self.sweep(&known, &catalogue).await;
        self.progress(4, "done");
        Ok(self.report(&ledger, false))
    }

    /// Finds what earlier processes of this run have left running, and waits until none of it runs: only then the ledger
    /// and the tables can be read as they are. What an earlier attempt has not published is of no use to anybody.
    async fn settle(&self) -> Result<Known, LoadError> {
        let mut known = self.warehouse.list(&self.names.run_prefix()).await?;
        for (name, listed) in known.iter_mut().filter(|(_, listed)| !listed.ended) {
            tracing::info!(statement = name, "found running");
            if !self.names.is_own(name) && !name.ends_with(step::PUBLISH) {
                self.warehouse.cancel(&listed.id, name).await;
            }
            if let Err(error) = self.warehouse.wait(&listed.id, name, &[]).await {
                tracing::info!(statement = name, %error, "ended without success");
            }
            listed.ended = true;
        }
        Ok(known)
    }

    async fn catalogue(&self) -> Result<Catalogue, LoadError> {
        records::catalogue(
            &self
                .warehouse
                .query("read the columns", &self.sql.read_columns())
                .await?,
        )
    }

    async fn ledger(&self, known: &Known, catalogue: &Catalogue) -> Result<Ledger, LoadError> {
        if !catalogue.contains_key(ledger::TABLE) {
            self.warehouse
                .batch(known, step::LEDGER, &[self.sql.create_ledger()])
                .await?;
        }
        self.read_ledger().await
    }

    async fn read_ledger(&self) -> Result<Ledger, LoadError> {
        let tables: Vec<&Identifier> = self.job.tables.iter().map(|target| &target.name).collect();
        records::ledger(
            &self
                .warehouse
                .query("read the ledger", &self.sql.read_ledger(&tables))
                .await?,
        )
    }

    async fn plan(
        &self,
        number: usize,
        target: &Target,
        ledger: &Ledger,
        catalogue: &Catalogue,
    ) -> Result<TablePlan, LoadError> {
        let base = ledger.entry(&target.name).map(|entry| entry.version);
        let gold = self.gold.table(&target.name, target.version, base).await?;
        let found = catalogue.get(target.name.as_str()).map_or(&[][..], Vec::as_slice);
        let touched = touched(target.mode, gold.loaded.as_deref(), &gold.wanted);
        let files = self.gold.look_at(&target.name, touched.files(&gold.wanted)).await?;
        let staging = self.names.staging(number)?;
        let loads = loads(files, &gold.partition_columns);
        Ok(TablePlan {
            evolution: evolve(&target.name, &gold.columns, found)?,
            source: TablePlan::source(&self.names, self.gold.root(), &target.name, &staging, loads)?,
            target: target.name.clone(),
            base,
            version: target.version,
            columns: gold.columns,
            partition_columns: gold.partition_columns,
            touched,
            staging,
        })
    }

    async fn stage(&self, known: &Known, plans: &[TablePlan]) -> Result<(), LoadError> {
        for copy in plans.iter().flat_map(TablePlan::copies) {
            let text = manifest::text(&copy.files).map_err(|error| LoadError::Store {
                what: format!("write {}", copy.manifest),
                reason: error.to_string(),
            })?;
            self.gold.put(&copy.manifest, text).await?;
        }
        let units = plans.iter().flat_map(|plan| self.sql.stage(plan));
        self.warehouse.batches(known, step::STAGE, batches(units)).await?;
        let Some(query) = self.sql.count_staged(plans) else {
            return Ok(());
        };
        let counts = records::counts(&self.warehouse.query("count the staged rows", &query).await?)?;
        for plan in plans {
            let found = counts.get(plan.staging.as_str()).copied().unwrap_or_default();
            if u64::try_from(found) != Ok(plan.rows()) {
                return Err(LoadError::StagingDiffers {
                    table: plan.target.as_str().to_owned(),
                    staging: plan.staging.as_str().to_owned(),
                    found,
                    expected: plan.rows(),
                });
            }
        }
        Ok(())
    }

    /// Publishes, and reads in the ledger what became of it: the answer of the transaction alone is no evidence.
    async fn publish(&self, known: &Known, plans: &[TablePlan]) -> Result<Ledger, LoadError> {
        let statements = self
            .sql
            .publish(plans, &self.job.run.uid, self.job.run.attempt, Timestamp::now());
        let outcome = self.warehouse.batch(known, step::PUBLISH, &statements).await;
        let ledger = self.read_ledger().await?;
        let verdict = ledger.verdict(
            &self.job.run.uid,
            plans.iter().map(|plan| (&plan.target, plan.base, plan.version)),
        );
        match (verdict, outcome) {
            (Verdict::Published, _) => {
                tracing::info!(
                    rows = ledger.rows_of(&self.job.run.uid),
                    tables = plans.len(),
                    "published"
                );
                Ok(ledger)
            }
            (Verdict::Overtaken(entry), _) => Err(LoadError::Overtaken {
                table: entry.table,
                run_uid: entry.run_uid,
                version: entry.version,
            }),
            (Verdict::NotPublished, Err(error)) => Err(error),
            (Verdict::NotPublished, Ok(())) => Err(LoadError::Warehouse {
                what: "publish".to_owned(),
                reason: "the transaction is said to have finished, but the ledger does not show it".to_owned(),
            }),
        }
    }

    /// Drops the staging tables of this attempt and of dead ones. The load stands, so a failure here is only told.
    async fn sweep(&self, known: &Known, catalogue: &Catalogue) {
        let staging = (0..self.job.tables.len()).filter_map(|number| self.names.staging(number).ok());
        let staging: Vec<Identifier> = staging.collect();
        let there = catalogue
            .keys()
            .map(String::as_str)
            .chain(staging.iter().map(Identifier::as_str));
        let mut stale = self.names.stale(there);
        stale.sort();
        stale.dedup();
        let units = stale.iter().map(|table| vec![self.sql.drop_table(table)]);
        if let Err(error) = self.warehouse.batches(known, step::SWEEP, batches(units)).await {
            tracing::warn!(%error, "staging tables stay until the next load");
        }
    }

    fn report(&self, ledger: &Ledger, already_committed: bool) -> RunReport {
        let outputs = self.job.tables.iter().filter_map(|target| {
            let entry = ledger.entry(&target.name)?;
            Some(TableVersion {
                name: entry.table.clone(),
                version: entry.version,
            })
        });
        RunReport {
            run_uid: self.job.run.uid.clone(),
            attempt: self.job.run.attempt,
            already_committed,
            inputs: self.job.run.inputs.clone(),
            outputs: outputs.collect(),
            rows: ledger.rows_of(&self.job.run.uid),
        }
    }

    fn progress(&self, done: i32, current: &str) {
        let progress = RunProgress {
            done,
            total: 4,
            current: Some(current.to_owned()),
        };
        self.progress.update(|work| work.run = Some(progress));
    }
}

fn is_behind(target: &Target, ledger: &Ledger) -> bool {
    ledger
        .entry(&target.name)
        .is_none_or(|entry| entry.version < target.version)
}
