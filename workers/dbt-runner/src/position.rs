//! What a table's log says about the run that wrote it last: the position of Silver and Gold tables. No network.

use std::collections::BTreeMap;

use medallion_crds::stage_run::{OutputTable, TableVersion};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::RunError;

/// Domain of the position in a table's log.
pub const DOMAIN: &str = "medallion.run";

/// Versions by table name.
pub type Versions = BTreeMap<String, u64>;

/// Ids by table name, as [`identity`] gives them: what is told apart has other rows, and may count its versions from 0 again.
pub type TableIds = BTreeMap<String, String>;

/// The last run that committed to a table, and what the table has consumed with it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// UID of the run.
    pub run_uid: String,
    /// Its attempt.
    pub attempt: i32,
    /// What the table has consumed, one entry per source table, inclusive.
    pub inputs: Vec<Consumed>,
    /// UID of the run that last began the rows anew in place, because those that stood were made from other tables. Absent
    /// where they go back to the table's own beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_by: Option<String>,
    /// By which projects the rows were computed.
    #[serde(flatten)]
    pub projects: Projects,
}

/// What tells the rows of a table from others that stand, or stood, at the same address: the table's id, and the run that began
/// its rows anew, if one has.
pub fn identity(table_id: &str, position: Option<&Position>) -> String {
    match position.and_then(|position| position.begun_by.as_deref()) {
        Some(run) => format!("{table_id}/{run}"),
        None => table_id.to_owned(),
    }
}

/// By which versions of the dbt project the rows of a table were computed, as digests.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Projects {
    /// The newest rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The oldest other project of which rows still stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<String>,
}

/// What a commit does to the rows of a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rewritten {
    /// None is touched: the position moves alone.
    Nothing,
    /// Some are replaced, others stay.
    Some,
    /// What stands afterwards is all from this commit.
    All,
}

impl Projects {
    /// After a commit by a project, of which only the rows of other projects that stay can tell something else.
    #[must_use]
    pub fn after(before: Option<&Self>, project: &str, rewritten: Rewritten) -> Self {
        let now = Some(project.to_owned());
        match (before, rewritten) {
            (Some(before), Rewritten::Nothing) => before.clone(),
            (None, _) | (_, Rewritten::All) => Self {
                project: now,
                oldest: None,
            },
            (Some(before), Rewritten::Some) => {
                let known = [&before.oldest, &before.project];
                let oldest = known.into_iter().flatten().find(|digest| *digest != project);
                Self {
                    project: now,
                    oldest: oldest.cloned(),
                }
            }
        }
    }
}

/// What a table has consumed of a source table.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Consumed {
    /// Name of the source table.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// Its id; positions written before there were ids have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_id: Option<String>,
}

impl Position {
    /// The position that a run writes.
    pub fn new(run_uid: &str, attempt: i32, inputs: &Versions, ids: &TableIds, projects: Projects) -> Self {
        let consumed = inputs.iter().map(|(name, version)| Consumed {
            name: name.clone(),
            version: *version,
            table_id: ids.get(name).cloned(),
        });
        Self {
            run_uid: run_uid.to_owned(),
            attempt,
            inputs: consumed.collect(),
            begun_by: None,
            projects,
        }
    }

    /// The same position in a table whose rows this run began anew in place, or `None`: the table's own beginning.
    #[must_use]
    pub fn begun_by(mut self, run_uid: Option<String>) -> Self {
        self.begun_by = run_uid;
        self
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
        serde_json::json!(self)
    }

    /// The position as it counts for source tables of these ids. If one that was consumed is not among them, be it made anew or
    /// another pipeline's, nothing counts as consumed: nobody knows which rows go back to it.
    #[must_use]
    pub fn of(mut self, ids: &TableIds) -> Self {
        let is_here = |consumed: &Consumed| {
            let now = ids.get(&consumed.name);
            // One without an id says nothing about the table of today.
            now.is_some() && consumed.table_id.as_ref() == now
        };
        if !self.inputs.iter().all(is_here) {
            self.inputs.clear();
        }
        self
    }

    /// The consumed version of a source table.
    pub fn consumed(&self, input: &str) -> Option<u64> {
        let entry = self.inputs.iter().find(|consumed| consumed.name == input)?;
        Some(entry.version)
    }

    /// Whether all of the inputs have been consumed.
    pub fn covers(&self, inputs: &Versions) -> bool {
        inputs
            .iter()
            .all(|(name, version)| self.consumed(name).is_some_and(|consumed| consumed >= *version))
    }
}

/// A published table as the API lists it.
pub fn to_entry(name: &str, version: u64, position: Option<&Position>) -> OutputTable {
    let projects = position.map(|position| position.projects.clone()).unwrap_or_default();
    OutputTable {
        project: projects.project,
        oldest_project: projects.oldest,
        ..OutputTable::new(name.to_owned(), to_api(version))
    }
}

/// Versions as the API lists them.
pub fn to_list(versions: &Versions) -> Vec<TableVersion> {
    versions
        .iter()
        .map(|(name, version)| TableVersion {
            name: name.clone(),
            version: to_api(*version),
        })
        .collect()
}

fn to_api(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
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
