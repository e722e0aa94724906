//! Reads what the logs of the layer's inputs and of its own tables say. Talks to object storage.

use std::collections::BTreeMap;

use medallion_lake::{Claim, DataFile, LakeError, LakeStore, OwnedTable, Snapshot, Table};
use url::Url;

use crate::error::RunError;
use crate::plan::{TableState, Work};
use crate::position::{DOMAIN, Position, TableIds, Versions, identity};
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
    pub table: OwnedTable,
    /// Its newest version; absent when there is no table yet.
    pub snapshot: Option<Snapshot>,
    /// Its position; absent when no run has committed yet.
    pub position: Option<Position>,
    /// The version that models see as the table's: the one before this run, also if an earlier attempt of it has
    /// published the table already, so that every attempt computes the same. Absent when there was no table.
    before: Option<Snapshot>,
    /// The position in it.
    before_position: Option<Position>,
}

/// Opens the tables of a layer for a run, in their order.
///
/// All are looked at before one of them is taken over: where a run may not write to one, none changes hands. Those that
/// are another pipeline's are refused together.
pub async fn open_targets(
    tables: Vec<(Table, TableModel)>,
    claim: &Claim,
    run_uid: &str,
) -> Result<Vec<Target>, RunError> {
    let (mut found, mut refusals) = (Vec::with_capacity(tables.len()), Vec::new());
    for (table, model) in tables {
        let snapshot = table.snapshot().await?;
        refusals.extend(snapshot.as_ref().and_then(|snapshot| claim.check(snapshot).err()));
        found.push((table, model, snapshot));
    }
    if !refusals.is_empty() {
        return Err(RunError::OwnedByOthers(refusals));
    }
    for (_, model, snapshot) in &found {
        own_position(&model.name, snapshot.as_ref(), claim).await?;
    }
    let mut targets = Vec::with_capacity(found.len());
    for (table, model, snapshot) in found {
        targets.push(Target::open((table.claimed(claim), claim), snapshot, model, run_uid).await?);
    }
    Ok(targets)
}

impl Target {
    /// Opens a table that may be written to, as it was found.
    async fn open(
        (table, claim): (OwnedTable, &Claim),
        found: Option<Snapshot>,
        model: TableModel,
        run_uid: &str,
    ) -> Result<Self, RunError> {
        let snapshot = match found {
            Some(found) => Some(table.take(found).await?),
            None => None,
        };
        // Until it was taken over, its owner before may have gone on.
        let position = own_position(&model.name, snapshot.as_ref(), claim).await?;
        let (mut before, mut before_position) = (snapshot.clone(), position.clone());
        while before_position
            .as_ref()
            .is_some_and(|position| position.run_uid == run_uid)
        {
            let earlier = before.and_then(|snapshot| snapshot.version().checked_sub(1));
            before = match earlier {
                Some(version) => Some(table.snapshot_at(version).await?),
                None => None,
            };
            before_position = position_of(&model.name, before.as_ref())?;
        }
        Ok(Self {
            model,
            table,
            snapshot,
            position,
            before,
            before_position,
        })
    }

    /// What plans are made from, by the ids that the inputs have now.
    pub fn state(&self, ids: &TableIds) -> TableState {
        let of_these = |position: Option<&Position>| position.cloned().map(|position| position.of(ids));
        TableState {
            name: self.model.name.clone(),
            position: of_these(self.position.as_ref()),
            before: of_these(self.before_position.as_ref()),
        }
    }

    /// Whether a run had committed before this one.
    pub const fn stood(&self) -> bool {
        self.before_position.is_some()
    }

    /// The run that began the rows anew in place, as it stands after this one. `goes_on`: this run goes on from what stood.
    pub fn begun_by(&self, run_uid: &str, goes_on: bool) -> Option<String> {
        let before = self.before_position.as_ref()?;
        if goes_on {
            before.begun_by.clone()
        } else {
            Some(run_uid.to_owned())
        }
    }

    /// The files that models see as the table's.
    pub async fn files_before(&self) -> Result<Vec<DataFile>, RunError> {
        match &self.before {
            Some(snapshot) => Ok(snapshot.files().await?),
            None => Ok(Vec::new()),
        }
    }
}

fn position_of(table: &str, snapshot: Option<&Snapshot>) -> Result<Option<Position>, RunError> {
    let found = snapshot.map(|snapshot| position(table, snapshot)).transpose()?;
    Ok(found.flatten())
}

/// The position in a table that only runs have written: rows without one are refused, unless the claim names the table itself,
/// for then they are to be replaced.
async fn own_position(table: &str, snapshot: Option<&Snapshot>, claim: &Claim) -> Result<Option<Position>, RunError> {
    let position = position_of(table, snapshot)?;
    if let Some(snapshot) = snapshot
        && position.is_none()
        && !claim.names(snapshot.address())
        && !snapshot.files().await?.is_empty()
    {
        return Err(RunError::Foreign {
            table: table.to_owned(),
        });
    }
    Ok(position)
}

/// The position in a version of a table.
pub fn position(table: &str, snapshot: &Snapshot) -> Result<Option<Position>, RunError> {
    snapshot
        .position(DOMAIN)
        .map(|value| Position::read(table, value))
        .transpose()
}

/// Inputs by name, each opened at the version that the run is asked for.
pub type Inputs = BTreeMap<String, (Table, Snapshot)>;

/// What tells the inputs from others that stood in their places.
pub fn ids(inputs: &Inputs) -> Result<TableIds, RunError> {
    let ids = inputs.iter().map(|(name, (_, snapshot))| {
        let position = position(name, snapshot)?;
        Ok::<_, RunError>((name.clone(), identity(snapshot.table_id(), position.as_ref())))
    });
    ids.collect()
}

/// Opens the inputs of a run.
pub async fn open_inputs(
    store: &LakeStore,
    inputs: &Versions,
    address: impl Fn(&str) -> Result<String, RunError>,
) -> Result<Inputs, RunError> {
    let mut opened = Inputs::new();
    for (name, version) in inputs {
        let table = store.table(&address(name)?)?;
        let snapshot = table.snapshot_at(*version).await?;
        opened.insert(name.clone(), (table, snapshot));
    }
    Ok(opened)
}

/// Reads an input's part in a run, which is opened at the version asked for.
pub async fn read_input(
    name: &str,
    (table, asked): &(Table, Snapshot),
    work: &Work,
    needs: Needs,
) -> Result<Input, RunError> {
    let until = work.until.get(name).copied().unwrap_or_default();
    let snapshot = if asked.version() == until {
        asked.clone()
    } else {
        table.snapshot_at(until).await?
    };
    let mut input = Input {
        columns: types::to_columns(name, snapshot.schema())?,
        partition_by: snapshot.partition_columns().to_vec(),
        ..Input::default()
    };
    if needs.files {
        input.files = snapshot.files().await?;
        // Not only where the last of the tables stands: what came and went in between stands in those that are further.
        for base in work.bases.get(name).into_iter().flatten() {
            let before = match base {
                None => Vec::new(),
                Some(version) => table.snapshot_at(*version).await?.files().await?,
            };
            input.changed.extend(differing(&before, &input.files));
        }
    }
    if needs.added {
        input.added = match work.after(name) {
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
