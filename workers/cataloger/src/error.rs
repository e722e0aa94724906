//! What can go wrong when tables are registered, and what must follow. No network.

use std::fmt;

use medallion_crds::Reason;
use medallion_lake::LakeError;
use thiserror::Error;
use worker_kit::WorkerError;

/// A table that is not registered, because it is not the Pipeline's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// It names no owner.
    Unknown {
        /// `database.table`.
        table: String,
    },
    /// Another Pipeline registers it.
    Owned {
        /// `database.table`.
        table: String,
        /// The other Pipeline.
        owner: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { table } => write!(
                formatter,
                "table {table} of the catalog is not ours: delete or rename it, or, if it may be replaced, annotate the \
                 Pipeline with medallion.dev/adopt: {table}"
            ),
            Self::Owned { table, owner } => write!(
                formatter,
                "table {table} of the catalog belongs to Pipeline {owner}: name another database in spec.catalog.glue, or, if \
                 that Pipeline shall give it up, annotate this one with medallion.dev/adopt: {owner}"
            ),
        }
    }
}

/// Why tables were not registered.
#[derive(Debug, Error)]
pub enum CatalogError {
    /// The settings name no place.
    #[error("settings file: field worker.lake.{layer}: it must begin with s3://")]
    Address {
        /// Which layer.
        layer: &'static str,
    },
    /// The lake could not be read.
    #[error("table {table}: {source}")]
    Lake {
        /// Its address.
        table: String,
        /// The lake's own words.
        source: LakeError,
    },
    /// A type without a word in the catalog.
    #[error("table {table}, column {column}: the catalog has no type for {data_type}; cast it in the model")]
    Type {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its type.
        data_type: String,
    },
    /// Two columns with one name.
    #[error(
        "table {table}: two columns are called {column} in the catalog, which knows no capital letters; rename one in the model"
    )]
    Clash {
        /// The table.
        table: String,
        /// The name.
        column: String,
    },
    /// Tables that are not the Pipeline's to register.
    #[error("{}", sentences(.0))]
    Refused(
        /// Each table and why.
        Vec<Refusal>,
    ),
    /// A database that is not there.
    #[error(
        "the catalog has no database {0}: aws glue create-database --database-input Name={0}, or let the operator create it \
         (spec.management: Managed), or correct spec.catalog.glue"
    )]
    DatabaseMissing(
        /// Its name.
        String,
    ),
    /// The worker's identity may not do it.
    #[error(
        "glue: {action} of {on}: {words}; allow the cataloger's role glue:{action}, and in Lake Formation its like"
    )]
    Denied {
        /// AWS's name for it.
        action: &'static str,
        /// The database or table.
        on: String,
        /// The catalog's own words.
        words: String,
    },
    /// Somebody changed the table meanwhile.
    #[error("table {table} of the catalog was changed by somebody meanwhile: {words}; it is tried again")]
    Changed {
        /// `database.table`.
        table: String,
        /// The catalog's own words.
        words: String,
    },
    /// The catalog does not answer as it should.
    #[error("glue: {action} of {on}: {words}")]
    Catalog {
        /// AWS's name for it.
        action: &'static str,
        /// The database or table.
        on: String,
        /// Its own words.
        words: String,
    },
}

fn sentences(refusals: &[Refusal]) -> String {
    let sentences: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    sentences.join("; ")
}

impl From<CatalogError> for WorkerError {
    fn from(error: CatalogError) -> Self {
        let message = error.to_string();
        match error {
            CatalogError::Address { .. } => Self::settings(Reason::BadSettings, message),
            CatalogError::Lake { source, .. } if source.is_transient() => {
                Self::environment(Reason::LakeUnavailable, message)
            }
            CatalogError::Lake { .. } => Self::record(Reason::LakeFailed, message),
            CatalogError::Type { .. } => Self::record(Reason::ColumnNotSupported, message),
            CatalogError::Clash { .. } => Self::record(Reason::ColumnNamesClash, message),
            CatalogError::Refused(_) => Self::record(Reason::OwnedByAnother, message),
            // Somebody else mends it, at any time.
            CatalogError::DatabaseMissing(_) => Self::environment(Reason::CatalogDatabaseMissing, message),
            CatalogError::Denied { .. } => Self::environment(Reason::CatalogAccessDenied, message),
            CatalogError::Changed { .. } | CatalogError::Catalog { .. } => {
                Self::environment(Reason::CatalogUnavailable, message)
            }
        }
    }
}
