//! What can go wrong in a load, and what must follow. No network.

use medallion_crds::Reason;
use medallion_lake::LakeError;
use thiserror::Error;
use worker_kit::WorkerError;

use crate::identifier::BadIdentifier;
use crate::refusal::Refusal;

/// Why a load did not succeed.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The lake could not be read.
    #[error("gold table {table}: {source}")]
    Lake {
        /// The table.
        table: String,
        /// The lake's own words.
        source: LakeError,
    },
    /// A name cannot stand in SQL.
    #[error(transparent)]
    Name(#[from] BadIdentifier),
    /// A table of the pipeline is not among the run's inputs.
    #[error(
        "table {table} of stages.warehouse.tables is not in gold, which has {known}: correct the name or add the model"
    )]
    NotInGold {
        /// The table.
        table: String,
        /// What gold has.
        known: String,
    },
    /// A Gold column has no place in the warehouse.
    #[error("gold table {table}, column {column}: {reason}")]
    BadColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Tables that are not the Pipeline's to load.
    #[error("{}", sentences(.refusals))]
    Refused {
        /// Each table and why.
        refusals: Vec<Refusal>,
    },
    /// The table in the warehouse differs in more than missing columns.
    #[error(
        "table {table} cannot be loaded: {differences}; only new columns are added: rename the column in the model, or change, rename or drop the table in the warehouse"
    )]
    TableDiffers {
        /// The table.
        table: String,
        /// Each difference.
        differences: String,
    },
    /// A file that the log names is gone or is another one.
    #[error("file {url} of gold table {table}: {reason}; the log names it, so rows are missing: restore the object")]
    FileLost {
        /// The table.
        table: String,
        /// The file.
        url: String,
        /// What was found instead.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("object store: {what}: {reason}")]
    Store {
        /// What was being done.
        what: String,
        /// The store's own words.
        reason: String,
    },
    /// The warehouse could not be asked.
    #[error("data api: {what}: {reason}")]
    Warehouse {
        /// What was being done.
        what: String,
        /// Its own words.
        reason: String,
    },
    /// The warehouse ran a statement and refused it.
    #[error("statement {name}: cannot {title}: {message}")]
    Statement {
        /// The statement's name in the warehouse.
        name: String,
        /// What it does.
        title: String,
        /// The warehouse's own words.
        message: String,
    },
    /// The warehouse could not run a statement now.
    #[error("statement {name}: cannot {title} now: {message}")]
    Unavailable {
        /// The statement's name in the warehouse.
        name: String,
        /// What it does.
        title: String,
        /// The warehouse's own words.
        message: String,
    },
    /// The loader's database user may not do it.
    #[error("statement {name}: cannot {title}: {message}")]
    Forbidden {
        /// The statement's name in the warehouse.
        name: String,
        /// What it does.
        title: String,
        /// The warehouse's own words.
        message: String,
    },
    /// The same, with what must be granted to whom.
    #[error("{forbidden}; let an administrator of the database run {grant}")]
    GrantNeeded {
        /// What is forbidden.
        forbidden: Box<LoadError>,
        /// The SQL that permits it.
        grant: String,
    },
    /// Another transaction was in the way.
    #[error("statement {name}: another transaction was in the way: {message}")]
    Conflict {
        /// The statement's name in the warehouse.
        name: String,
        /// The warehouse's own words.
        message: String,
    },
    /// A statement is longer than the warehouse takes.
    #[error(
        "statement {name}: to {title} takes {bytes} bytes, more than {limit}: load the table with mode ReplaceTable"
    )]
    TooLong {
        /// The statement's name.
        name: String,
        /// What it does.
        title: String,
        /// Its length.
        bytes: usize,
        /// The longest there may be.
        limit: usize,
    },
    /// The staged rows are not those of the manifests.
    #[error("staging table {staging} for table {table} has {found} rows instead of {expected}: nothing was published")]
    StagingDiffers {
        /// The table.
        table: String,
        /// Its staging table.
        staging: String,
        /// Rows counted by the warehouse.
        found: i64,
        /// Rows counted by the files.
        expected: u64,
    },
    /// Another run has loaded a table meanwhile.
    #[error("run {run_uid} has loaded table {table} at version {version} meanwhile: nothing was published")]
    Overtaken {
        /// The table.
        table: String,
        /// The other run.
        run_uid: String,
        /// The version it loaded.
        version: i64,
    },
}

impl LoadError {
    /// A failed read of the lake.
    pub fn lake(table: &str) -> impl FnOnce(LakeError) -> Self {
        let table = table.to_owned();
        move |source| Self::Lake { table, source }
    }
}

fn sentences(refusals: &[Refusal]) -> String {
    let sentences: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    sentences.join("; ")
}

impl From<LoadError> for WorkerError {
    fn from(error: LoadError) -> Self {
        let message = error.to_string();
        match error {
            LoadError::Lake { source, .. } if source.is_transient() => {
                Self::environment(Reason::LakeUnavailable, message)
            }
            LoadError::Lake { .. } => Self::record(Reason::GoldUnreadable, message),
            LoadError::Name(_) | LoadError::BadColumn { .. } => Self::record(Reason::ColumnNotSupported, message),
            LoadError::NotInGold { .. } => Self::record(Reason::TableNotInGold, message),
            LoadError::Refused { refusals } => {
                let owned = refusals.iter().any(|refusal| matches!(refusal, Refusal::Owned { .. }));
                Self::record(
                    if owned {
                        Reason::OwnedByAnother
                    } else {
                        Reason::TableNotEmpty
                    },
                    message,
                )
            }
            // Somebody else mends it, at any time.
            LoadError::Forbidden { .. } | LoadError::GrantNeeded { .. } => {
                Self::environment(Reason::PermissionDenied, message)
            }
            LoadError::TableDiffers { .. } => Self::record(Reason::TableDiffers, message),
            LoadError::FileLost { .. } => Self::loss_risk(Reason::GoldFileLost, message),
            LoadError::Store { .. } => Self::environment(Reason::LakeUnavailable, message),
            LoadError::Warehouse { .. } | LoadError::Unavailable { .. } => {
                Self::environment(Reason::WarehouseUnavailable, message)
            }
            LoadError::Statement { .. } => Self::record(Reason::StatementFailed, message),
            LoadError::TooLong { .. } => Self::record(Reason::StatementTooLong, message),
            LoadError::Conflict { .. } => Self::environment(Reason::SerializationConflict, message),
            LoadError::StagingDiffers { .. } => Self::environment(Reason::StagedRowsDiffer, message),
            LoadError::Overtaken { .. } => Self::fenced(Reason::OvertakenByAnotherRun, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifier::Identifier;

    #[test]
    fn every_word_has_a_meaning() {
        let text = String::new;
        let errors = [
            LoadError::Name(Identifier::new("").expect_err("no name")),
            LoadError::NotInGold {
                table: text(),
                known: text(),
            },
            LoadError::TableDiffers {
                table: text(),
                differences: text(),
            },
            LoadError::Refused {
                refusals: vec![Refusal::Unknown { table: text(), rows: 1 }],
            },
            LoadError::Refused {
                refusals: vec![Refusal::Owned {
                    table: text(),
                    owner: text(),
                }],
            },
            LoadError::FileLost {
                table: text(),
                url: text(),
                reason: text(),
            },
            LoadError::Store {
                what: text(),
                reason: text(),
            },
            LoadError::Warehouse {
                what: text(),
                reason: text(),
            },
            LoadError::Statement {
                name: text(),
                title: text(),
                message: text(),
            },
            LoadError::Forbidden {
                name: text(),
                title: text(),
                message: text(),
            },
            LoadError::TooLong {
                name: text(),
                title: text(),
                bytes: 1,
                limit: 0,
            },
            LoadError::Conflict {
                name: text(),
                message: text(),
            },
            LoadError::StagingDiffers {
                table: text(),
                staging: text(),
                found: 0,
                expected: 1,
            },
            LoadError::Overtaken {
                table: text(),
                run_uid: text(),
                version: 0,
            },
        ];
        for error in errors {
            let reason = WorkerError::from(error).reason;
            assert!(!matches!(reason, Reason::Other(_)), "{reason}");
        }
    }
}
