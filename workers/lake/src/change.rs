//! What one commit changes, and the rules it must keep by itself. No network.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::Field;
use serde_json::Value;

use crate::error::LakeError;
use crate::file::NewFile;
use crate::partition::{PartitionValues, normalised};
use crate::snapshot::Snapshot;

/// Which of the present files a commit removes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Remove {
    /// None: an append.
    #[default]
    Nothing,
    /// All files of these partitions.
    Partitions(BTreeSet<PartitionValues>),
    /// All files of the table.
    Everything,
}

/// What one commit changes. At least one position must change with it: it is how the commit is recognised afterwards.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Files to add.
    pub add: Vec<NewFile>,
    /// Files to remove.
    pub remove: Remove,
    /// Positions to set, by domain.
    pub positions: BTreeMap<String, Value>,
    /// Positions that are no longer needed.
    pub forget: BTreeSet<String>,
    /// Columns to add, nullable, before the files are added.
    pub add_columns: Vec<Field>,
}

impl Change {
    /// Adds files to what is there.
    pub fn append(files: Vec<NewFile>) -> Self {
        Self {
            add: files,
            ..Self::default()
        }
    }

    /// Replaces the content of the given partitions, and of no other, by the files.
    pub fn replace_partitions(touched: &BTreeSet<PartitionValues>, files: Vec<NewFile>) -> Self {
        let touched = touched.iter().map(normalised).collect();
        Self {
            add: files,
            remove: Remove::Partitions(touched),
            ..Self::default()
        }
    }

    /// Replaces the content of the table by the files.
    pub fn replace_all(files: Vec<NewFile>) -> Self {
        Self {
            add: files,
            remove: Remove::Everything,
            ..Self::default()
        }
    }

    /// Sets a position in the same commit.
    #[must_use]
    pub fn position(mut self, domain: impl Into<String>, value: Value) -> Self {
        self.positions.insert(domain.into(), value);
        self
    }

    /// Drops a position in the same commit.
    #[must_use]
    pub fn forget(mut self, domain: impl Into<String>) -> Self {
        self.forget.insert(domain.into());
        self
    }

    /// Adds nullable columns in the same commit.
    #[must_use]
    pub fn add_columns(mut self, columns: Vec<Field>) -> Self {
        self.add_columns = columns;
        self
    }

    /// Rows in the added files.
    pub fn rows(&self) -> u64 {
        self.add.iter().map(NewFile::rows).sum()
    }

    pub(crate) fn check(&self, base: &Snapshot) -> Result<(), LakeError> {
        let bad = |reason: String| Err(LakeError::BadChange(reason));
        if let Some(domain) = self.positions.keys().find(|domain| self.forget.contains(*domain)) {
            return bad(format!("position {domain} is both set and dropped"));
        }
        if let Some(domain) = self
            .positions
            .keys()
            .chain(&self.forget)
            .find(|domain| domain.is_empty() || domain.starts_with("delta."))
        {
            return bad(format!("position name {domain:?} is reserved"));
        }
        if self.is_in(base) {
            return bad("no position changes with it, so it could not be recognised after a lost answer".to_owned());
        }
        let mut names = BTreeSet::new();
        for file in &self.add {
            if !names.insert(file.name()) {
                return bad(format!("file {} is added twice", file.name()));
            }
            let columns: Vec<&str> = file.partition().keys().map(String::as_str).collect();
            let mut expected: Vec<&str> = base.partition_columns().iter().map(String::as_str).collect();
            expected.sort_unstable();
            if columns != expected {
                return bad(format!(
                    "file {} has partition values for {columns:?}, the table has {expected:?}",
                    file.name()
                ));
            }
            if let Remove::Partitions(touched) = &self.remove
                && !touched.contains(file.partition())
            {
                return bad(format!(
                    "file {} lies in partition {:?}, which is not replaced",
                    file.name(),
                    file.partition()
                ));
            }
        }
        if let Remove::Partitions(touched) = &self.remove {
            for values in touched {
                if !values
                    .keys()
                    .eq(base.partition_columns().iter().collect::<BTreeSet<_>>())
                {
                    return bad(format!(
                        "replaced partition {values:?} does not name the table's partition columns"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether the snapshot has all positions as this change wants them.
    pub(crate) fn is_in(&self, snapshot: &Snapshot) -> bool {
        self.positions
            .iter()
            .all(|(domain, value)| snapshot.position(domain) == Some(value))
            && self.forget.iter().all(|domain| snapshot.position(domain).is_none())
    }

    /// Whether the positions that this change moves are the same in both snapshots.
    pub(crate) fn starts_alike(&self, one: &Snapshot, other: &Snapshot) -> bool {
        self.positions
            .keys()
            .chain(&self.forget)
            .all(|domain| one.position(domain) == other.position(domain))
    }

    pub(crate) fn changes_rows(&self) -> bool {
        !self.add.is_empty() || self.remove != Remove::Nothing
    }
}
