//! What a table's log says about the run that wrote it last: the position of Silver and Gold tables. No network.

use std::collections::BTreeMap;

use medallion_crds::stage_run::TableVersion;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::RunError;

/// Domain of the position in a table's log.
pub const DOMAIN: &str = "medallion.run";

/// Versions by table name.
pub type Versions = BTreeMap<String, u64>;

/// The last run that committed to a table, and what the table has consumed with it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// UID of the run.
    pub run_uid: String,
    /// Its attempt.
    pub attempt: i32,
    /// What the table has consumed, one entry per source table, inclusive.
    pub inputs: Vec<TableVersion>,
}

impl Position {
    /// The position that a run writes.
    pub fn new(run_uid: &str, attempt: i32, inputs: &Versions) -> Self {
        Self {
            run_uid: run_uid.to_owned(),
            attempt,
            inputs: to_list(inputs),
        }
    }

    /// The position in a log.
    pub fn read(table: &str, value: &Value) -> Result<Self, RunError> {
        Self::deserialize(value).map_err(|_| RunError::Position {
            table: table.to_owned(),
            found: value.to_string(),
        })
    }

    /// As it goes into the log.
    pub fn to_value(&self) -> Value {
        serde_json::json!({"runUid": self.run_uid, "attempt": self.attempt, "inputs": self.inputs})
    }

    /// The consumed version of a source table.
    pub fn consumed(&self, input: &str) -> Option<u64> {
        self.inputs
            .iter()
            .find(|consumed| consumed.name == input)
            .and_then(|consumed| consumed.version.try_into().ok())
    }

    /// Whether all of the inputs have been consumed.
    pub fn covers(&self, inputs: &Versions) -> bool {
        inputs
            .iter()
            .all(|(name, version)| self.consumed(name).is_some_and(|consumed| consumed >= *version))
    }
}

/// Versions as the API lists them.
pub fn to_list(versions: &Versions) -> Vec<TableVersion> {
    versions
        .iter()
        .map(|(name, version)| TableVersion {
            name: name.clone(),
            version: i64::try_from(*version).unwrap_or(i64::MAX),
        })
        .collect()
}

/// Versions from the API's list.
pub fn from_list(list: &[TableVersion]) -> Result<Versions, RunError> {
    list.iter()
        .map(|entry| {
            let version = u64::try_from(entry.version).map_err(|_| {
                RunError::Settings(format!(
                    "worker.run.inputs: {} has version {}",
                    entry.name, entry.version
                ))
            })?;
            Ok((entry.name.clone(), version))
        })
        .collect()
}
