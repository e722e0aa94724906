//! Why a run did not succeed, and what must follow. No network.

use medallion_crds::Reason;
use medallion_lake::LakeError;
use thiserror::Error;
use worker_kit::WorkerError;

/// Why a run did not succeed.
#[derive(Debug, Error)]
pub enum RunError {
    /// The settings contradict each other.
    #[error("settings: {0}")]
    Settings(String),
    /// The dbt project, or the data by its tests, cannot be published as it is.
    #[error("{}{message}{}", node.as_ref().map(|node| format!("{node}: ")).unwrap_or_default(), others(*.count))]
    Project {
        /// The first node that failed, where it was one.
        node: Option<String>,
        /// What dbt or the database said.
        message: String,
        /// How many nodes failed.
        count: u32,
    },
    /// The project asks for something that the runner cannot do.
    #[error("project: {0}")]
    Unfit(String),
    /// Python, `DuckDB` or something they need did not work.
    #[error("{}{message}", node.as_ref().map(|node| format!("{node}: ")).unwrap_or_default())]
    Outside {
        /// The node that was under way.
        node: Option<String>,
        /// What went wrong.
        message: String,
    },
    /// The dbt process ended in the middle.
    #[error("the dbt process {0}")]
    Process(String),
    /// The lake.
    #[error("{0}")]
    Lake(#[from] LakeError),
    /// Tables of the layer belong to others, and are not to be taken over.
    #[error("{}", joined(.0))]
    OwnedByOthers(Vec<LakeError>),
    /// Another run has committed to a table since this one began.
    #[error("table {table} has been committed to by {by} since this run began; this run ends without touching it")]
    Fenced {
        /// The table.
        table: String,
        /// UID of the other run.
        by: String,
    },
    /// A table's position is not what runs write.
    #[error("table {table}: position {found} is not one that a run has written; was the table made by something else?")]
    Position {
        /// The table.
        table: String,
        /// The text found.
        found: String,
    },
    /// A table has rows that no run has written.
    #[error(
        "table {table} has rows but no position of a run: something else has made it; move it away, and the next run makes it anew, \
         or let the annotation medallion.dev/adopt name the table's URL, and the next run replaces its rows"
    )]
    Foreign {
        /// The table.
        table: String,
    },
    /// The pod was asked to stop.
    #[error("asked to stop before everything was published; the next attempt goes on from there")]
    Interrupted,
}

impl RunError {
    /// What did not work outside, with what object storage said meanwhile to the reader, where it said something.
    #[must_use]
    pub fn caused_by(self, cause: Option<String>) -> Self {
        match (self, cause) {
            (Self::Outside { node, message }, Some(cause)) => Self::Outside {
                node,
                message: format!("{message}; the lake was not read: {cause}"),
            },
            (error, _) => error,
        }
    }
}

fn others(count: u32) -> String {
    if count > 1 {
        format!(" (and {} more)", count - 1)
    } else {
        String::new()
    }
}

fn joined(refusals: &[LakeError]) -> String {
    let words: Vec<String> = refusals.iter().map(LakeError::to_string).collect();
    words.join("; ")
}

impl From<RunError> for WorkerError {
    fn from(error: RunError) -> Self {
        let message = error.to_string();
        match error {
            RunError::Settings(_) => Self::settings(Reason::BadSettings, message),
            RunError::Project { .. } => Self::record(Reason::DbtFailed, message),
            RunError::Unfit(_) => Self::record(Reason::DbtProjectUnfit, message),
            RunError::Outside { .. } | RunError::Process(_) => Self::environment(Reason::DbtNotRunning, message),
            RunError::Interrupted => Self::environment(Reason::Interrupted, message),
            RunError::Fenced { .. } => Self::fenced(Reason::OvertakenByAnotherRun, message),
            RunError::Position { .. } | RunError::Foreign { .. } => Self::loss_risk(Reason::UnknownPosition, message),
            RunError::OwnedByOthers(_) => Self::record(Reason::OwnedByAnother, message),
            RunError::Lake(lake) => match lake {
                LakeError::TableDiffers { .. } | LakeError::FileDiffers { .. } => {
                    Self::record(Reason::TableDiffers, message)
                }
                LakeError::OwnedByAnother { .. } => Self::record(Reason::OwnedByAnother, message),
                // The next attempt opens the table again, and uploads anew what is not there.
                LakeError::MissingFile { .. } | LakeError::TableReplaced { .. } | LakeError::NoTable(_) => {
                    Self::environment(Reason::LakeUnavailable, message)
                }
                lake if lake.is_transient() => Self::environment(Reason::LakeUnavailable, message),
                _ => Self::record(Reason::LakeFailed, message),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        "it".to_owned()
    }

    #[test]
    fn every_error_has_a_word_that_the_runbooks_know() {
        let lake = |error| RunError::Lake(error);
        let owned = LakeError::OwnedByAnother {
            table: text(),
            owner: None,
            own: text(),
        };
        let (table, reason) = (text(), text());
        let errors = [
            RunError::Settings(text()),
            RunError::Project {
                node: None,
                message: text(),
                count: 1,
            },
            RunError::Unfit(text()),
            RunError::Process(text()),
            RunError::Interrupted,
            RunError::Fenced {
                table: text(),
                by: text(),
            },
            RunError::Foreign { table: text() },
            RunError::OwnedByOthers(Vec::new()),
            lake(owned),
            lake(LakeError::TableDiffers { table, reason }),
            lake(LakeError::NoTable(text())),
            lake(LakeError::BadChange(text())),
        ];
        for error in errors {
            let reason = WorkerError::from(error).reason;
            assert!(Reason::ALL.contains(&reason), "{reason}");
        }
    }
}
