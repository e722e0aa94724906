//! Decides which partitions of which table a run rewrites. No network.

use std::collections::{BTreeMap, BTreeSet};

use medallion_lake::{DataFile, PartitionValues};

use crate::error::RunError;
use crate::position::Rewritten;
use crate::protocol::{Replace, TableModel};

/// Partitions.
pub type Partitions = BTreeSet<PartitionValues>;

/// What a run rewrites of one table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Touched {
    /// These partitions.
    Partitions(Partitions),
    /// Everything.
    Whole,
}

impl Touched {
    /// What it means to the rows that stand.
    pub fn rewrite(&self, present: &[DataFile]) -> Rewritten {
        if matches!(self, Self::Partitions(partitions) if partitions.is_empty()) {
            Rewritten::Nothing
        } else if present.iter().all(|file| self.covers(&file.partition)) {
            Rewritten::All
        } else {
            Rewritten::Some
        }
    }

    /// Whether a file's rows are rewritten.
    pub fn covers(&self, partition: &PartitionValues) -> bool {
        match self {
            Self::Partitions(partitions) => partitions.contains(partition),
            Self::Whole => true,
        }
    }
}

/// The partitions in which two versions of a table differ: those of files that only one of them has.
pub fn differing(before: &[DataFile], now: &[DataFile]) -> Partitions {
    let names = |files: &[DataFile]| files.iter().map(|file| file.name.clone()).collect::<BTreeSet<_>>();
    let (old, new) = (names(before), names(now));
    let gone = before.iter().filter(|file| !new.contains(&file.name));
    let come = now.iter().filter(|file| !old.contains(&file.name));
    gone.chain(come).map(|file| file.partition.clone()).collect()
}

/// What a run rewrites of a table whose partitions follow those of the inputs.
///
/// An input without partitions is replaced whole whenever it changes, and then nothing says which partitions of a target
/// that concerns: all that there are.
pub fn following(
    model: &TableModel,
    changed: &BTreeMap<String, Partitions>,
    present: &[&[DataFile]],
) -> Result<Touched, RunError> {
    if model.replace == Replace::Table {
        return Ok(Touched::Whole);
    }
    let wanted: BTreeSet<&String> = model.partition_by.iter().collect();
    let mut touched = Partitions::new();
    for (input, partitions) in changed {
        for partition in partitions {
            if partition.is_empty() {
                let files = present.iter().flat_map(|files| files.iter());
                let all = files
                    .map(|file| &file.partition)
                    .filter(|values| values.keys().eq(wanted.iter().copied()));
                touched.extend(all.cloned());
            } else if partition.keys().eq(wanted.iter().copied()) {
                touched.insert(partition.clone());
            } else {
                return Err(RunError::Unfit(format!(
                    "{} is partitioned by {}, its input {input} by {}: let it have the same partition columns, name a \
                     model of its changed rows in meta.medallion.changes, or replace the table whole",
                    model.name,
                    listed(&model.partition_by),
                    listed(partition.keys()),
                )));
            }
        }
    }
    Ok(Touched::Partitions(touched))
}

/// Columns in words.
fn listed<'c>(columns: impl IntoIterator<Item = &'c String>) -> String {
    let all: Vec<_> = columns.into_iter().map(String::as_str).collect();
    if all.is_empty() {
        "nothing".to_owned()
    } else {
        all.join(", ")
    }
}
