//! One run from beginning to end: read the lake, look at the catalog, decide for all tables, change what differs. Talks to object storage and Glue.

use aws_config::SdkConfig;
use medallion_crds::launch::report::RunReport;
use medallion_crds::launch::{CatalogerSettings, RunSettings, Settings};
use medallion_crds::pipeline::Management;
use medallion_crds::stage_run::{OutputTable, RunProgress};
use worker_kit::ProgressHandle;

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::lake::{Lake, Registrable};
use crate::table::{Claimant, Step};

/// One attempt of one run.
pub struct Register {
    run: RunSettings,
    management: Management,
    database: String,
    silver_database: Option<String>,
    claimant: Claimant,
    lake: Lake,
    catalog: Catalog,
    progress: ProgressHandle,
}

/// What was decided for a table.
struct Decided {
    database: String,
    table: String,
    step: Step,
}

impl Register {
    pub fn new(
        settings: &Settings<CatalogerSettings>,
        lake: &SdkConfig,
        catalog: &SdkConfig,
        progress: ProgressHandle,
    ) -> Result<Self, CatalogError> {
        let worker = &settings.worker;
        Ok(Self {
            run: worker.run.clone(),
            management: worker.management,
            database: worker.database.clone(),
            silver_database: worker.silver_database.clone(),
            claimant: Claimant {
                owner: settings.pipeline.owner().to_string(),
                adopt: settings.adopt.clone(),
            },
            lake: Lake::new(lake, &worker.lake)?,
            catalog: Catalog::new(catalog),
            progress,
        })
    }

    /// Registers what is not registered as it is to be.
    pub async fn run(&self) -> Result<RunReport, CatalogError> {
        self.progress(0, "read the tables");
        let owner = &self.claimant.owner;
        let gold = self.lake.gold(&self.run, owner).await?;
        let outputs: Vec<OutputTable> = gold
            .iter()
            .map(|table| OutputTable::new(table.name.clone(), i64::try_from(table.version).unwrap_or(i64::MAX)))
            .collect();
        let mut layers = vec![(self.database.as_str(), gold)];
        if let Some(database) = &self.silver_database {
            layers.push((database, self.lake.silver(owner).await?));
        }
        self.progress(1, "compare with the catalog");
        let mut decided = Vec::new();
        let mut refusals = Vec::new();
        for (database, tables) in layers {
            self.need(database).await?;
            for Registrable { name, description, .. } in tables {
                let found = self.catalog.table(database, &name).await?;
                match self.claimant.step(&format!("{database}.{name}"), found, description) {
                    Ok(step) => decided.push(Decided {
                        database: database.to_owned(),
                        table: name,
                        step,
                    }),
                    Err(refusal) => refusals.push(refusal),
                }
            }
        }
        // All that are refused are named at once, and nothing is written before.
        if !refusals.is_empty() {
            return Err(CatalogError::Refused(refusals));
        }
        self.progress(2, "register");
        let mut changed = 0;
        for Decided { database, table, step } in decided {
            if step != Step::Leave {
                tracing::info!(database, table, ?step, "the catalog follows");
                changed += 1;
            }
            self.catalog.apply(&database, &table, step).await?;
        }
        self.progress(3, "done");
        Ok(RunReport {
            run_uid: self.run.uid.clone(),
            attempt: self.run.attempt,
            already_committed: changed == 0,
            inputs: self.run.inputs.clone(),
            outputs,
            rows: 0,
        })
    }

    /// A database that is missing is created where the operator creates things, and otherwise named.
    async fn need(&self, database: &str) -> Result<(), CatalogError> {
        if self.catalog.has_database(database).await? {
            return Ok(());
        }
        match self.management {
            Management::Managed => self.catalog.create_database(database).await,
            Management::External => Err(CatalogError::DatabaseMissing(database.to_owned())),
        }
    }

    fn progress(&self, done: i32, current: &str) {
        let progress = RunProgress {
            done,
            total: 3,
            current: Some(current.to_owned()),
        };
        self.progress.update(|work| work.run = Some(progress));
    }
}
