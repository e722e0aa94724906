//! One load from beginning to end: settle, read, plan, stage, publish, sweep. Talks to object storage and the warehouse.

use std::collections::BTreeMap;
use std::time::Instant;

use aws_config::SdkConfig;
use jiff::Timestamp;
use medallion_crds::launch::report::RunReport;
use medallion_crds::stage_run::{OutputTable, RunProgress};
use worker_kit::ProgressHandle;

use crate::claim::{Claim, lost};
use crate::column::{FoundColumn, evolve};
use crate::error::LoadError;
use crate::failure::lacking;
use crate::gold::{Gold, Wanted};
use crate::identifier::Identifier;
use crate::judge::judge;
use crate::layout::loads;
use crate::ledger::{self, Ledger, Signature};
use crate::manifest;
use crate::metrics::LoadMetrics;
use crate::names::Names;
use crate::plan::TablePlan;
use crate::records::{self, Catalogue};
use crate::settings::{Job, Target};
use crate::sql::Sql;
use crate::statement::batches;
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
            sql: Sql::new(job.claimant.schema.clone(), &job.warehouse.copy_role_arn),
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
        match self.attempt().await {
            Err(forbidden @ LoadError::Forbidden { .. }) => Err(self.name_the_grant(forbidden).await),
            outcome => outcome,
        }
    }

    async fn attempt(&self) -> Result<RunReport, LoadError> {
        let seen = self.timed(0, "look at the warehouse", Box::pin(self.look())).await?;
        let plans = self
            .timed(1, "compare with gold", Box::pin(self.compare(&seen)))
            .await?;
        if plans.is_empty() {
            tracing::info!("the warehouse is at or past the run's inputs already");
            return Ok(self.report(&seen.ledger, true));
        }
        let outcome = self.work(&seen, &plans).await;
        let ledger = self.conclude(&plans, outcome).await?;
        self.sweep(&seen).await;
        self.progress(4, "done");
        Ok(self.report(&ledger, false))
    }

    async fn look(&self) -> Result<Seen, LoadError> {
        let known = self.settle().await?;
        let catalogue = self.catalogue().await?;
        let ledger = match ledger_columns(&catalogue) {
            Some(columns) => self.read_ledger(&columns).await?,
            None => Ledger::default(),
        };
        let rows = self.count_rows(&catalogue).await?;
        let claims = self.claims(&ledger, &rows)?;
        Ok(Seen {
            known,
            catalogue,
            ledger,
            claims,
        })
    }

    /// Whose the tables are. All that are refused are named at once.
    fn claims(&self, ledger: &Ledger, rows: &BTreeMap<String, i64>) -> Result<Vec<Claim>, LoadError> {
        let mut refusals = Vec::new();
        let mut claims = Vec::new();
        for Target { name, .. } in &self.job.tables {
            match self
                .job
                .claimant
                .claim(name, ledger.entry(name), rows.get(name.as_str()).copied())
            {
                Ok(claim) => claims.push(claim),
                Err(refusal) => refusals.push(refusal),
            }
        }
        if refusals.is_empty() {
            Ok(claims)
        } else {
            Err(LoadError::Refused { refusals })
        }
    }

    /// What is to be done to the tables that do not hold what they shall hold.
    async fn compare(&self, seen: &Seen) -> Result<Vec<TablePlan>, LoadError> {
        let mut plans = Vec::new();
        for (target, claim) in self.job.tables.iter().zip(&seen.claims) {
            let wanted = self.gold.open(&target.name, target.version).await?;
            if claim.takeover.is_some() || is_behind(claim, &wanted, seen.columns(&target.name)) {
                let plan = self.plan(plans.len(), target, &wanted, claim, seen).await?;
                let files: usize = plan.copies().iter().map(|copy| copy.files.len()).sum();
                self.metrics.files.set(target.name.as_str(), files);
                self.metrics.rows.set(target.name.as_str(), plan.rows());
                tracing::info!(
                    table = target.name.as_str(),
                    from = claim.holds.as_ref().map(|mark| mark.version),
                    to = plan.mark.version,
                    replaces = plan.touched.described(),
                    files,
                    rows = plan.rows(),
                    "to load"
                );
                plans.push(plan);
            }
        }
        Ok(plans)
    }

    /// The statements of the load. Their end alone says nothing: see [`Self::conclude`].
    async fn work(&self, seen: &Seen, plans: &[TablePlan]) -> Result<(), LoadError> {
        let known = &seen.known;
        let ledger = self.sql.prepare_ledger(ledger_columns(&seen.catalogue).as_deref());
        self.warehouse.batches(known, step::LEDGER, batches([ledger])).await?;
        let prepared = self.sql.prepare(plans).into_iter().map(|statement| vec![statement]);
        let prepared = self.warehouse.batches(known, step::PREPARE, batches(prepared));
        // Boxed, because what the requests hold is large.
        self.timed(2, "prepare", Box::pin(prepared)).await?;
        self.timed(2, "copy", Box::pin(self.stage(known, plans))).await?;
        worker_kit::hold_point(BETWEEN_COPY_AND_LEDGER).await;
        let signature = Signature {
            owner: self.job.claimant.owner.clone(),
            run_uid: self.job.run.uid.clone(),
            attempt: self.job.run.attempt,
            at: Timestamp::now(),
        };
        let statements = self.sql.publish(plans, &signature);
        let publish = self.warehouse.batch(known, step::PUBLISH, &statements);
        self.timed(3, "publish", Box::pin(publish)).await
    }

    /// Finds what earlier processes of this run have left running, and waits until none of it runs: only then the ledger
    /// and the tables can be read as they are. What an earlier attempt has not published is of no use to anybody.
    async fn settle(&self) -> Result<Known, LoadError> {
        let mut known = self.warehouse.list(&self.names.run_prefix()).await?;
        for (name, listed) in known.iter_mut().filter(|(_, listed)| !listed.ended) {
            tracing::info!(statement = name, "waiting for a statement of an earlier process");
            if !self.names.is_own(name) && !name.ends_with(step::PUBLISH) {
                self.warehouse.cancel(&listed.id, name).await;
            }
            match self.warehouse.wait(&listed.id, name, &[]).await {
                Ok(()) => {}
                // Nobody says that it has ended.
                Err(error @ LoadError::Warehouse { .. }) => return Err(error),
                Err(error) => tracing::info!(statement = name, %error, "the earlier statement ended without success"),
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

    async fn read_ledger(&self, columns: &[&str]) -> Result<Ledger, LoadError> {
        let sql = self.sql.read_ledger(&self.names_of_tables(), columns);
        records::ledger(&self.warehouse.query("read the ledger", &sql).await?)
    }

    /// Rows by table, of those that are there.
    async fn count_rows(&self, catalogue: &Catalogue) -> Result<BTreeMap<String, i64>, LoadError> {
        let mut tables = self.names_of_tables();
        tables.retain(|table| catalogue.contains_key(table.as_str()));
        match self.sql.count_rows(&tables) {
            Some(sql) => records::counts(&self.warehouse.query("count the rows of the tables", &sql).await?),
            None => Ok(BTreeMap::new()),
        }
    }

    fn names_of_tables(&self) -> Vec<&Identifier> {
        self.job.tables.iter().map(|target| &target.name).collect()
    }

    async fn plan(
        &self,
        number: usize,
        target: &Target,
        wanted: &Wanted,
        claim: &Claim,
        seen: &Seen,
    ) -> Result<TablePlan, LoadError> {
        let table = target.name.as_str();
        let found = seen.columns(&target.name);
        let gold = self.gold.table(&target.name, wanted, claim.holds.as_ref()).await?;
        let lost = gold.loaded.as_ref().map(|loaded| lost(loaded.columns(), found));
        let lost = lost.filter(|lost| !lost.is_empty());
        if let Some(why) = &claim.takeover {
            tracing::warn!(table, why, "table taken over");
        }
        if let Some(why) = &claim.void {
            tracing::warn!(table, why, "the whole table is loaded");
        }
        if let Some(columns) = &lost {
            tracing::warn!(
                table,
                columns = columns.iter().copied().collect::<Vec<_>>().join(", "),
                "columns are gone, the whole table is loaded"
            );
        }
        let loaded = gold.loaded.as_ref().filter(|_| lost.is_none());
        let touched = touched(target.mode, loaded.map(|loaded| loaded.files.as_slice()), &gold.wanted);
        let files = self.gold.look_at(&target.name, touched.files(&gold.wanted)).await?;
        let staging = self.names.staging(number)?;
        let loads = loads(files, &gold.partition_columns);
        Ok(TablePlan {
            evolution: evolve(&target.name, &gold.columns, found)?,
            source: TablePlan::source(&self.names, self.gold.root(), &target.name, &staging, loads)?,
            target: target.name.clone(),
            base: claim.entry.clone(),
            vacant: claim.vacant,
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
        let columns = ledger::ADDED.map(|(name, _)| name);
        match self.read_ledger(&columns).await {
            Ok(ledger) => judge(ledger, &self.job.claimant, &self.job.run.uid, plans, outcome),
            // What happened first says more.
            Err(error) => Err(outcome.err().unwrap_or(error)),
        }
    }

    /// Drops the staging tables of this attempt and of dead ones. The load stands, so a failure here is only logged.
    async fn sweep(&self, seen: &Seen) {
        let staging = (0..self.job.tables.len()).filter_map(|number| self.names.staging(number).ok());
        let staging: Vec<Identifier> = staging.collect();
        let there = seen
            .catalogue
            .keys()
            .map(String::as_str)
            .chain(staging.iter().map(Identifier::as_str));
        let mut stale = self.names.stale(there);
        stale.sort();
        stale.dedup();
        let units = stale.iter().map(|table| vec![self.sql.drop_table(table)]);
        if let Err(error) = self.warehouse.batches(&seen.known, step::SWEEP, batches(units)).await {
            tracing::warn!(%error, "staging tables stay until the next load");
        }
    }

    /// Says what an administrator must grant, and to whom.
    async fn name_the_grant(&self, forbidden: LoadError) -> LoadError {
        let LoadError::Forbidden { message, .. } = &forbidden else {
            return forbidden;
        };
        let user = self.warehouse.query("ask for the user", Sql::read_user()).await;
        match user.as_deref().ok().and_then(records::text) {
            Some(user) => LoadError::GrantNeeded {
                grant: self.sql.grant(lacking(message), user),
                forbidden: Box::new(forbidden),
            },
            None => forbidden,
        }
    }

    fn report(&self, ledger: &Ledger, already_committed: bool) -> RunReport {
        let outputs = self.job.tables.iter().filter_map(|target| {
            let entry = ledger.entry(&target.name)?;
            Some(OutputTable::new(entry.table.clone(), entry.mark.version))
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
        let seconds = begun.elapsed().as_secs_f64();
        self.metrics.seconds.add(step, seconds);
        tracing::info!(step, seconds, "step ended");
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

/// What the warehouse looks like before a load.
struct Seen {
    /// The run's statements.
    known: Known,
    /// All tables of the schema.
    catalogue: Catalogue,
    /// The ledger.
    ledger: Ledger,
    /// What the load may do with each of its tables, in their order.
    claims: Vec<Claim>,
}

impl Seen {
    fn columns(&self, table: &Identifier) -> &[FoundColumn] {
        self.catalogue.get(table.as_str()).map_or(&[][..], Vec::as_slice)
    }
}

/// The ledger's columns; `None`: there is no ledger.
fn ledger_columns(catalogue: &Catalogue) -> Option<Vec<&str>> {
    let columns = catalogue.get(ledger::TABLE)?;
    Some(columns.iter().map(|column| column.name.as_str()).collect())
}

/// Whether a table does not hold what it shall hold. One that is further than the run's input is left to whoever has
/// brought it there.
fn is_behind(claim: &Claim, wanted: &Wanted, found: &[FoundColumn]) -> bool {
    let Some(held) = &claim.holds else {
        return true;
    };
    let mark = wanted.mark();
    held.is_behind(&mark) || (*held == mark && !lost(wanted.columns(), found).is_empty())
}
