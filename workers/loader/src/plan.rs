//! What a run does to one table, decided before anything is done. No network.

use std::collections::BTreeMap;

use crate::column::{Column, Evolution};
use crate::error::LoadError;
use crate::identifier::Identifier;
use crate::layout::{Fill, GoldFile, Load};
use crate::ledger::{Entry, Mark};
use crate::names::Names;
use crate::touched::Touched;

/// Files that one COPY takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Copy {
    /// Address of the manifest.
    pub manifest: String,
    /// The columns in the files' order.
    pub columns: Vec<Column>,
    /// Where partition columns get their values.
    pub fills: BTreeMap<Identifier, Fill>,
    /// The files.
    pub files: Vec<GoldFile>,
}

/// How the staging table is filled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// There are no rows to load.
    Nothing,
    /// By one COPY: the staging table has the files' columns.
    Copied(Copy),
    /// By several, each into a landing table first: the staging table has the target's columns.
    Gathered(Vec<(Identifier, Copy)>),
}

/// What a run does to one table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TablePlan {
    /// The table.
    pub target: Identifier,
    /// The ledger's row of the table, which must still stand there when the load is published; `None`: it was never loaded.
    pub base: Option<Entry>,
    /// Whether the table must hold no rows when the load is published, because nobody has said that they may go.
    pub vacant: bool,
    /// The version of Gold that the table will hold.
    pub mark: Mark,
    /// The table's columns.
    pub columns: Vec<Column>,
    /// The columns that say which partition a row belongs to.
    pub partition_columns: Vec<Identifier>,
    /// What must happen to the table first.
    pub evolution: Evolution,
    /// Which rows are replaced.
    pub touched: Touched,
    /// The staging table.
    pub staging: Identifier,
    /// How it is filled.
    pub source: Source,
}

impl TablePlan {
    /// How the loads of a table, the n-th of the run, are copied; manifests lie under the given folder.
    pub fn source(
        names: &Names,
        folder: &str,
        target: &Identifier,
        staging: &Identifier,
        loads: Vec<Load>,
    ) -> Result<Source, LoadError> {
        let single = loads.len() == 1;
        let mut copies = Vec::with_capacity(loads.len());
        for (number, load) in loads.into_iter().enumerate() {
            let file = if single {
                target.as_str().to_owned()
            } else {
                format!("{}.{number}", target.as_str())
            };
            let copy = Copy {
                manifest: format!("{folder}/{}/{file}.manifest", names.folder()),
                columns: load.columns,
                fills: load.fills,
                files: load.files,
            };
            if single {
                return Ok(Source::Copied(copy));
            }
            copies.push((Names::landing(staging, number)?, copy));
        }
        Ok(if copies.is_empty() {
            Source::Nothing
        } else {
            Source::Gathered(copies)
        })
    }

    /// The COPYs that fill the staging table.
    pub fn copies(&self) -> Vec<&Copy> {
        match &self.source {
            Source::Nothing => Vec::new(),
            Source::Copied(copy) => vec![copy],
            Source::Gathered(copies) => copies.iter().map(|(_, copy)| copy).collect(),
        }
    }

    /// Rows that will be loaded, as the files count them.
    pub fn rows(&self) -> u64 {
        self.copies()
            .iter()
            .flat_map(|copy| &copy.files)
            .map(|file| file.footer.rows)
            .sum()
    }
}
