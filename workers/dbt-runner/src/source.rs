//! Reads what the logs of the layer's inputs and of its own tables say. Talks to object storage.

use medallion_lake::{DataFile, LakeError, LakeStore, Snapshot, Table};
use url::Url;

use crate::error::RunError;
use crate::plan::{Standing, Work};
use crate::position::{DOMAIN, Position};
use crate::protocol::TableModel;
use crate::touched::differing;
use crate::types;
use crate::views::Input;

/// Which parts of an input the layer's models read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Needs {
    /// Files added in the range.
    pub added: bool,
    /// All files, and the partitions that differ at the range's ends.
    pub files: bool,
}

/// A published table of the layer, in the lake.
#[derive(Clone, Debug)]
pub struct Target {
    /// What its model declares.
    pub model: TableModel,
    /// The table.
    pub table: Table,
    /// Its newest version; absent when there is no table yet.
    pub snapshot: Option<Snapshot>,
    /// Its position; absent when no run has committed yet.
    pub position: Option<Position>,
}

impl Target {
    /// Opens a table of the layer.
    pub async fn open(store: &LakeStore, folder: &str, model: TableModel) -> Result<Self, RunError> {
        let table = store.table(&format!("{folder}/{}", model.name))?;
        let snapshot = table.snapshot().await?;
        let position = snapshot
            .as_ref()
            .map(|snapshot| position(&model.name, snapshot))
            .transpose()?
            .flatten();
        Ok(Self {
            model,
            table,
            snapshot,
            position,
        })
    }

    /// What plans are made from.
    pub fn standing(&self) -> Standing {
        Standing {
            name: self.model.name.clone(),
            position: self.position.clone(),
        }
    }

    /// The files that models see as the table's: those before this run, also if an earlier attempt of it has published
    /// the table already, so that every attempt computes the same.
    pub async fn files_before(&self, published_before: bool) -> Result<Vec<DataFile>, RunError> {
        let Some(snapshot) = &self.snapshot else {
            return Ok(Vec::new());
        };
        match snapshot.version().checked_sub(1).filter(|_| published_before) {
            Some(version) => Ok(self.table.snapshot_at(version).await?.files().await?),
            None => Ok(snapshot.files().await?),
        }
    }
}

/// The position in a version of a table.
pub fn position(table: &str, snapshot: &Snapshot) -> Result<Option<Position>, RunError> {
    snapshot
        .position(DOMAIN)
        .map(|value| Position::read(table, value))
        .transpose()
}

/// Reads an input's part in a run.
pub async fn read_input(name: &str, table: &Table, work: &Work, needs: Needs) -> Result<Input, RunError> {
    let until = work.until.get(name).copied().unwrap_or_default();
    let after = work.after.get(name).copied().flatten();
    let snapshot = table.snapshot_at(until).await?;
    let mut input = Input {
        columns: types::to_columns(name, snapshot.schema())?,
        partition_by: snapshot.partition_columns().to_vec(),
        ..Input::default()
    };
    if needs.files {
        input.files = snapshot.files().await?;
        let before = match after {
            None => Vec::new(),
            Some(version) => table.snapshot_at(version).await?.files().await?,
        };
        input.changed = differing(&before, &input.files);
    }
    if needs.added {
        input.added = match after {
            None => snapshot.files().await?,
            Some(version) => added(table, &snapshot, version, until).await?,
        };
    }
    Ok(input)
}

async fn added(table: &Table, snapshot: &Snapshot, after: u64, until: u64) -> Result<Vec<DataFile>, RunError> {
    if after >= until {
        return Ok(Vec::new());
    }
    match table.changes(after, until).await {
        Ok(changes) => {
            let gone: std::collections::BTreeSet<String> = changes.removed.into_iter().map(|(_, name)| name).collect();
            Ok(changes
                .added
                .into_iter()
                .map(|(_, file)| file)
                .filter(|file| !gone.contains(&file.name))
                .collect())
        }
        // Nothing says any more what was new: models see everything again, and what they have seen changes nothing.
        Err(LakeError::LogGone { .. }) => {
            tracing::warn!(
                table = table.address(),
                after,
                "log entries are gone; reading the whole table"
            );
            Ok(snapshot.files().await?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a layer's address is of the local file system, as in trials, and not of S3.
pub fn is_local(address: &str) -> Result<bool, RunError> {
    let url = Url::parse(address)
        .map_err(|error| RunError::Settings(format!("worker.lake: {address} is no address: {error}")))?;
    Ok(url.scheme() == "file")
}
