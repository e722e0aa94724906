//! One load from beginning to end: settle, read, plan, stage, publish, sweep. Talks to object storage and the warehouse.

use std::time::Instant;

use aws_config::SdkConfig;
use jiff::Timestamp;
use medallion_crds::launch::report::RunReport;
use medallion_crds::stage_run::{RunProgress, TableVersion};
use worker_kit::ProgressHandle;

use crate::column::evolve;
use crate::error::LoadError;
use crate::gold::{Gold, Wanted};
use crate::identifier::Identifier;
use crate::layout::loads;
use crate::ledger::{self, Ledger, Verdict};
use crate::manifest;
use crate::metrics::LoadMetrics;
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
    metrics: LoadMetrics,
}

impl Loader {
    /// A loader for a job.
    pub fn new(
        job: Job,
        lake: &SdkConfig,
        warehouse: &SdkConfig,
        progress: ProgressHandle,
        metrics: LoadMetrics,
    ) -> Result<Self, LoadError> {
        let names = Names::new(&job.pipeline_uid, &job.run.uid, job.run.attempt);
        Ok(Self {
            sql: Sql::new(job.schema.clone(), &job.warehouse.copy_role_arn),
            gold: Gold::new(lake, &job.gold)?,
            warehouse: Warehouse::new(warehouse, &job.warehouse, names.clone()),
            names,
            job,
            progress,
            metrics,
        })
    }

    /// Loads what is not loaded yet.
    pub async fn load(&self) -> Result<RunReport, LoadError> {
        let (known, catalogue, ledger) = self.timed(0, "look at the warehouse", Box::pin(self.look())).await?;
        let plans = self
            .timed(1, "compare with gold", Box::pin(self.compare(&ledger, &catalogue)))
            .await?;
        if plans.is_empty() {
            tracing::info!("the warehouse is at or past the run's inputs already");
            return Ok(self.report(&ledger, true));
        }
        let outcome = self.work(&known, &plans).await;
        let ledger = self.conclude(&plans, outcome).await?;
        self.sweep(&known, &catalogue).await;
        self.progress(4, "done");
        Ok(self.report(&ledger, false))
    }

    async fn look(&self) -> Result<(Known, Catalogue, Ledger), LoadError> {
        let known = self.settle().await?;
        let catalogue = self.catalogue().await?;
        let ledger = self.ledger(&known, &catalogue).await?;
        Ok((known, catalogue, ledger))
    }

    /// What is to be done to the tables that are behind.
    async fn compare(&self, ledger: &Ledger, catalogue: &Catalogue) -> Result<Vec<TablePlan>, LoadError> {
        let mut plans = Vec::new();
        for target in &self.job.tables {
            let wanted = self.gold.open(&target.name, target.version).await?;
            if ledger.is_behind(&target.name, &wanted.mark()) {
                let plan = self.plan(plans.len(), target, &wanted, ledger, catalogue).await?;
                let files: usize = plan.copies().iter().map(|copy| copy.files.len()).sum();
                self.metrics.files.set(target.name.as_str(), files);
                self.metrics.rows.set(target.name.as_str(), plan.rows());
                plans.push(plan);
            }
        }
        Ok(plans)
    }

    /// The statements of the load. Their end alone says nothing: see [`Self::conclude`].
    async fn work(&self, known: &Known, plans: &[TablePlan]) -> Result<(), LoadError> {
        let prepared = self.sql.prepare(plans).into_iter().map(|statement| vec![statement]);
        let prepared = self.warehouse.batches(known, step::PREPARE, batches(prepared));
        // Boxed, because what the requests hold is large.
        self.timed(2, "prepare", Box::pin(prepared)).await?;
        self.timed(2, "copy", Box::pin(self.stage(known, plans))).await?;
        worker_kit::hold_point(BETWEEN_COPY_AND_LEDGER).await;
        let statements = self
            .sql
            .publish(plans, &self.job.run.uid, self.job.run.attempt, Timestamp::now());
        let publish = self.warehouse.batch(known, step::PUBLISH, &statements);
        self.timed(3, "publish", Box::pin(publish)).await
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
            match self.warehouse.wait(&listed.id, name, &[]).await {
                Ok(()) => {}
                // Nobody says that it has ended.
                Err(error @ LoadError::Warehouse { .. }) => return Err(error),
                Err(error) => tracing::info!(statement = name, %error, "ended without success"),
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
        let statement = match catalogue.get(ledger::TABLE) {
            None => Some(self.sql.create_ledger()),
            Some(columns) if columns.iter().all(|column| column.name != ledger::TABLE_ID) => {
                Some(self.sql.widen_ledger())
            }
            Some(_) => None,
        };
        let statements = statement.map(|statement| vec![vec![statement]]).unwrap_or_default();
        self.warehouse.batches(known, step::LEDGER, statements).await?;
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
        wanted: &Wanted,
        ledger: &Ledger,
        catalogue: &Catalogue,
    ) -> Result<TablePlan, LoadError> {
        let base = ledger.entry(&target.name).map(|entry| entry.mark.clone());
        let gold = self.gold.table(&target.name, wanted, base.as_ref()).await?;
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
            mark: wanted.mark(),
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

    /// Reads in the ledger what became of the load: how its statements ended is no evidence. Another process of this run
    /// may have published while this one's staging tables were swept away, and a lost answer may have been a good one.
    async fn conclude(&self, plans: &[TablePlan], outcome: Result<(), LoadError>) -> Result<Ledger, LoadError> {
        match self.read_ledger().await {
            Ok(ledger) => judge(ledger, &self.job.run.uid, plans, outcome),
            // What happened first says more.
            Err(error) => Err(outcome.err().unwrap_or(error)),
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
            Some(TableVersion::new(entry.table.clone(), entry.mark.version))
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

    /// Does a step, and notes how long it took.
    async fn timed<T>(&self, done: i32, step: &str, work: impl Future<Output = T>) -> T {
        self.progress(done, step);
        let begun = Instant::now();
        let outcome = work.await;
        self.metrics.seconds.add(step, begun.elapsed().as_secs_f64());
        outcome
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

/// What the ledger makes of the end of a load's statements.
fn judge(
    ledger: Ledger,
    run_uid: &str,
    plans: &[TablePlan],
    outcome: Result<(), LoadError>,
) -> Result<Ledger, LoadError> {
    let tables = plans.iter().map(|plan| (&plan.target, plan.base.as_ref(), &plan.mark));
    match (ledger.verdict(run_uid, tables), outcome) {
        (Verdict::Published, outcome) => {
            if let Err(error) = outcome {
                tracing::info!(%error, "published all the same");
            }
            tracing::info!(rows = ledger.rows_of(run_uid), tables = plans.len(), "published");
            Ok(ledger)
        }
        (Verdict::Overtaken(entry), _) => Err(LoadError::Overtaken {
            table: entry.table,
            run_uid: entry.run_uid,
            version: entry.mark.version,
        }),
        (Verdict::NotPublished, Err(error)) => Err(error),
        (Verdict::NotPublished, Ok(())) => Err(LoadError::Warehouse {
            what: "publish".to_owned(),
            reason: "the transaction is said to have finished, but the ledger does not show it".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use worker_kit::{ErrorClass, WorkerError};

    use super::*;
    use crate::column::Evolution;
    use crate::identifier::BadIdentifier;
    use crate::ledger::Entry;
    use crate::ledger::tests::mark;
    use crate::plan::Source;
    use crate::touched::Touched;

    fn plan() -> Result<TablePlan, BadIdentifier> {
        Ok(TablePlan {
            target: Identifier::new("orders")?,
            base: Some(mark(3)),
            mark: mark(7),
            columns: Vec::new(),
            partition_columns: Vec::new(),
            evolution: Evolution::Nothing,
            touched: Touched::Everything,
            staging: Identifier::new("staging")?,
            source: Source::Nothing,
        })
    }

    fn swept_away() -> Result<(), LoadError> {
        Err(LoadError::Unavailable {
            name: "medallion/run/1/read".to_owned(),
            title: "count the staged rows".to_owned(),
            message: "relation does not exist".to_owned(),
        })
    }

    #[rstest]
    #[case::another_process_of_the_run_has_published("me", 7, None)]
    #[case::another_run_was_faster("other", 8, Some(ErrorClass::Fenced))]
    #[case::nothing_was_published("before", 3, Some(ErrorClass::Environment))]
    fn the_ledger_decides_whatever_became_of_the_statements(
        #[case] run_uid: &str,
        #[case] version: i64,
        #[case] expected: Option<ErrorClass>,
    ) {
        let ledger = Ledger::new(vec![Entry {
            table: "orders".to_owned(),
            mark: mark(version),
            run_uid: run_uid.to_owned(),
            attempt: 1,
            rows: 5,
        }]);
        let plans = [plan().expect("names")];
        let judged = judge(ledger, "me", &plans, swept_away());
        assert_eq!(judged.err().map(|error| WorkerError::from(error).class), expected);
    }
}
