//! Why a table of the warehouse is not the Pipeline's to load, and the ways on. No network.

use std::fmt;

/// A table that is not loaded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// It holds rows that no load has brought.
    Unknown {
        /// `schema.table`.
        table: String,
        /// How many.
        rows: i64,
    },
    /// Another Pipeline loads it.
    Owned {
        /// `schema.table`.
        table: String,
        /// The other Pipeline.
        owner: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { table, rows } => write!(
                formatter,
                "table {table} holds {rows} rows that no load has brought: drop or rename it, or, if they may be replaced, \
                 annotate the Pipeline with medallion.dev/adopt: {table}"
            ),
            Self::Owned { table, owner } => write!(
                formatter,
                "table {table} belongs to Pipeline {owner}: load another schema or table, or, if that Pipeline shall give it \
                 up, annotate this one with medallion.dev/adopt: {owner}"
            ),
        }
    }
}
