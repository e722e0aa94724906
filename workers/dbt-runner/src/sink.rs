//! Uploads what dbt has built and commits it, table by table. Talks to object storage.

use std::time::Duration;

use medallion_lake::{Change, DataFile, LakeError, NewFile, Outcome, PartitionValues, Snapshot, partition_folder};
use tokio_util::sync::CancellationToken;

use crate::error::RunError;
use crate::position::{DOMAIN, Position, Rewritten, Versions};
use crate::protocol::Exported;
use crate::source::{Target, position};
use crate::touched::Touched;
use crate::types;

/// Tries of one commit before the attempt is given up; the next attempt then finds out how it ended.
const COMMIT_TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// The new content of a table, uploaded but not committed.
#[derive(Clone, Debug)]
pub struct Upload {
    files: Vec<NewFile>,
    touched: Touched,
    rewritten: Rewritten,
}

impl Upload {
    /// A commit that moves the position and nothing else.
    pub fn nothing() -> Self {
        Self {
            files: Vec::new(),
            touched: Touched::Partitions(std::collections::BTreeSet::new()),
            rewritten: Rewritten::Nothing,
        }
    }

    /// What its commit does to the rows that stand.
    pub fn rewritten(&self) -> Rewritten {
        self.rewritten
    }

    /// Rows in the files.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(NewFile::rows).sum()
    }
}

/// Checks what was exported and uploads it. Names are unique to this process.
pub async fn upload(
    target: &Target,
    exported: Exported,
    (touched, present): (&Touched, &[DataFile]),
    prefix: &str,
) -> Result<Upload, RunError> {
    let name = &target.model.name;
    let counted: u64 = exported.files.iter().map(|file| file.rows).sum();
    if counted != exported.rows {
        return Err(RunError::Process(format!(
            "wrote {counted} rows of {name} instead of {}",
            exported.rows
        )));
    }
    let mut files = Vec::new();
    for (number, file) in exported.files.iter().enumerate() {
        if !touched.covers(&file.partition) {
            return Err(RunError::Unfit(format!(
                "{name} has rows for {}, a partition that this run does not rewrite: a model may only give rows of \
                 the partitions of its inputs, or of its model of changed rows",
                partition_folder(&file.partition)
            )));
        }
        let path = object_name(&file.partition, prefix, number);
        let uploaded = target.table.register_file(&file.path, &path, &file.partition).await?;
        if uploaded.rows() != file.rows {
            return Err(RunError::Process(format!(
                "file {path} has {} rows instead of {}",
                uploaded.rows(),
                file.rows
            )));
        }
        files.push(uploaded);
    }
    Ok(Upload {
        files,
        touched: touched.clone(),
        rewritten: touched.rewrite(present),
    })
}

fn object_name(partition: &PartitionValues, prefix: &str, number: usize) -> String {
    let file = format!("{prefix}-{number:05}.parquet");
    if partition.is_empty() {
        file
    } else {
        format!("{}/{file}", partition_folder(partition))
    }
}

/// Commits a table's new content together with the position, and gives the table's version with it.
pub async fn commit(
    target: &Target,
    upload: &Upload,
    run: &Position,
    until: &Versions,
    shutdown: &CancellationToken,
) -> Result<Snapshot, RunError> {
    let name = &target.model.name;
    let schema = types::to_schema(&target.model)?;
    let columns: Vec<&str> = target.model.partition_by.iter().map(String::as_str).collect();
    let opened = target.table.open_or_create(&schema, &columns).await?;
    // Fencing: what stands in the log must still be what this run has read.
    if position(name, &opened)? != target.position {
        return settle(name, &opened, run, until);
    }
    let change = match &upload.touched {
        Touched::Whole => Change::replace_all(upload.files.clone()),
        Touched::Partitions(partitions) if partitions.is_empty() => Change::append(upload.files.clone()),
        Touched::Partitions(partitions) => Change::replace_partitions(partitions, upload.files.clone()),
    };
    let change = change
        .position(DOMAIN, run.to_value())
        .add_columns(opened.missing_columns(&schema));
    match try_commit(target, &opened, &change, shutdown).await? {
        Outcome::Committed(snapshot) | Outcome::AlreadyCommitted(snapshot) => Ok(snapshot),
        Outcome::Conflict(found) => settle(name, &found, run, until),
    }
}

/// The same change is tried again: a request whose answer was lost may yet arrive.
async fn try_commit(
    target: &Target,
    base: &Snapshot,
    change: &Change,
    shutdown: &CancellationToken,
) -> Result<Outcome, RunError> {
    let mut tries = 1;
    loop {
        match target.table.commit(base, change).await {
            Err(error) if error.is_transient() && tries < COMMIT_TRIES => warn_retry(target, &error),
            other => return Ok(other?),
        }
        tries += 1;
        tokio::select! {
            () = shutdown.cancelled() => return Err(RunError::Interrupted),
            () = tokio::time::sleep(BETWEEN_TRIES) => {}
        }
    }
}

fn warn_retry(target: &Target, error: &LakeError) {
    tracing::warn!(table = target.model.name, %error, "commit did not succeed; trying again");
}

/// Somebody else has committed: another attempt of this run has done the work, any other run fences this one.
fn settle(table: &str, found: &Snapshot, run: &Position, until: &Versions) -> Result<Snapshot, RunError> {
    match position(table, found)? {
        Some(other) if other.run_uid == run.run_uid && other.covers(until) => Ok(found.clone()),
        other => Err(RunError::Fenced {
            table: table.to_owned(),
            by: other.map_or_else(
                || "something that is no run".to_owned(),
                |other| format!("run {}", other.run_uid),
            ),
        }),
    }
}
