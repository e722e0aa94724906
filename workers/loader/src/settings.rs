//! The settings as the loader works with them: checked once, then only used. No network.

use medallion_crds::Reason;
use medallion_crds::launch::{LoaderSettings, RunSettings, Settings, WarehouseSettings};
use medallion_crds::pipeline::WarehouseMode;
use worker_kit::WorkerError;

use crate::claim::Claimant;
use crate::error::LoadError;
use crate::identifier::Identifier;

/// What the names of the ledger and of staging tables begin with.
const RESERVED: &str = "medallion_";

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Job {
    /// UID of the pipeline.
    pub pipeline_uid: String,
    /// The run and attempt.
    pub run: RunSettings,
    /// The warehouse.
    pub warehouse: WarehouseSettings,
    /// Who loads.
    pub claimant: Claimant,
    /// Address of Gold.
    pub gold: String,
    /// The tables to load.
    pub tables: Vec<Target>,
}

/// A table to load.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// Its name, in Gold and in the warehouse.
    pub name: Identifier,
    /// How it is loaded.
    pub mode: WarehouseMode,
    /// The Gold version to load.
    pub version: i64,
}

impl Job {
    /// Checks the settings file.
    pub fn new(settings: &Settings<LoaderSettings>) -> Result<Self, WorkerError> {
        let worker = &settings.worker;
        let bad = |field: &str, reason: String| {
            WorkerError::settings(
                Reason::BadSettings,
                format!("settings file: field worker.{field}: {reason}"),
            )
        };
        let name = |field: &str, text: &str| Identifier::new(text).map_err(|error| bad(field, error.to_string()));
        let warehouse = &worker.warehouse;
        if warehouse.workgroup_name.is_some() == warehouse.cluster_identifier.is_some() {
            return Err(bad(
                "warehouse",
                "give either workgroupName or clusterIdentifier".to_owned(),
            ));
        }
        if !warehouse
            .copy_role_arn
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "+=,.@_/:-".contains(letter))
        {
            return Err(bad("warehouse.copyRoleArn", "it is not the ARN of a role".to_owned()));
        }
        if !worker.lake.gold.starts_with("s3://") {
            return Err(bad("lake.gold", "it must begin with s3://".to_owned()));
        }
        if worker.tables.is_empty() {
            return Err(bad("tables", "there must be at least one".to_owned()));
        }
        let mut tables: Vec<Target> = Vec::with_capacity(worker.tables.len());
        for table in &worker.tables {
            let target = name("tables", &table.name)?;
            if table.name.starts_with(RESERVED) {
                return Err(bad(
                    "tables",
                    format!("{}: names that begin with {RESERVED} are the loader's own", table.name),
                ));
            }
            if tables.iter().any(|other| other.name == target) {
                return Err(bad("tables", format!("{} stands there twice", table.name)));
            }
            let input = worker.run.inputs.iter().find(|input| input.name == table.name);
            let version = input.ok_or_else(|| not_in_gold(&table.name, &worker.run))?.version;
            tables.push(Target {
                name: target,
                mode: table.mode,
                version,
            });
        }
        Ok(Self {
            pipeline_uid: settings.pipeline.uid.clone(),
            run: worker.run.clone(),
            warehouse: warehouse.clone(),
            claimant: Claimant {
                owner: settings.pipeline.owner().to_string(),
                schema: name("warehouse.schema", &warehouse.schema)?,
                adopt: settings.adopt.clone(),
            },
            gold: worker.lake.gold.clone(),
            tables,
        })
    }
}

fn not_in_gold(table: &str, run: &RunSettings) -> LoadError {
    let known: Vec<&str> = run.inputs.iter().map(|input| input.name.as_str()).collect();
    LoadError::NotInGold {
        table: table.to_owned(),
        known: known.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};
    use worker_kit::ErrorClass;

    use super::*;

    fn settings() -> Value {
        json!({
            "pipeline": {"installation": "here", "namespace": "shop", "name": "purchase-orders", "uid": "p"},
            "stage": "warehouse",
            "region": "eu-west-1",
            "worker": {
                "run": {"name": "r", "uid": "u", "attempt": 1, "asOf": "2026-01-01T00:00:00Z",
                        "inputs": [{"name": "orders", "version": 3}]},
                "lake": {"bronzeTable": "s3://b/t", "silver": "s3://s", "gold": "s3://g"},
                "warehouse": {"workgroupName": "shop", "database": "analytics", "schema": "gold",
                              "copyRoleArn": "arn:aws:iam::123456789012:role/copy"},
                "tables": [{"name": "orders", "mode": "ReplacePartitions"}]
            }
        })
    }

    fn job(settings: &Value) -> Result<Job, WorkerError> {
        Job::new(&worker_kit::parse_settings(&settings.to_string())?)
    }

    #[test]
    fn a_table_is_loaded_at_the_version_of_its_input() {
        let job = job(&settings()).expect("good settings");
        assert_eq!(job.tables[0].version, 3);
    }

    #[rstest]
    #[case::quote_in_role("/worker/warehouse/copyRoleArn", json!("arn:aws:iam::1:role/x' drop"), "copyRoleArn")]
    #[case::schema("/worker/warehouse/schema", json!("gold; drop"), "warehouse.schema")]
    #[case::two_warehouses("/worker/warehouse/clusterIdentifier", json!("c"), "either")]
    #[case::gold("/worker/lake/gold", json!("/gold"), "lake.gold")]
    #[case::no_tables("/worker/tables", json!([]), "tables")]
    #[case::the_ledger("/worker/tables", json!([{"name": "medallion_ledger", "mode": "ReplaceTable"}]), "medallion_")]
    fn a_bad_field_is_named(#[case] pointer: &str, #[case] value: Value, #[case] words: &str) {
        let mut settings = settings();
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        settings.pointer_mut(parent).expect("an object")[field] = value;
        let error = job(&settings).expect_err("refused");
        assert_eq!(error.class, ErrorClass::Settings);
        assert!(error.message.contains(words), "{error}");
    }

    #[test]
    fn a_table_that_gold_does_not_have_is_a_record_error_that_says_what_there_is() {
        let mut settings = settings();
        settings["worker"]["tables"][0]["name"] = json!("ordres");
        let error = job(&settings).expect_err("refused");
        assert_eq!(
            (error.class, &error.reason),
            (ErrorClass::Record, &Reason::TableNotInGold)
        );
        assert!(
            error.message.contains("ordres") && error.message.contains("has orders"),
            "{error}"
        );
    }
}
