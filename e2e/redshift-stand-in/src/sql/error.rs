//! Why a statement is refused before PostgreSQL sees it; touches no network.

use thiserror::Error;

/// Why a statement is refused before PostgreSQL sees it; the text is what Redshift's clients read.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum SqlError {
    #[error("ERROR: unterminated quoted string at or near \"{near}\"")]
    Unterminated { near: String },
    #[error("ERROR: syntax error at or near \"{near}\"{}", .hint.map(|hint| format!("\n  Hint: {hint}")).unwrap_or_default())]
    Syntax { near: String, hint: Option<&'static str> },
    #[error("ERROR: {option} argument is not supported for PARQUET based COPY")]
    CopyOption { option: String },
    #[error("ERROR: type \"{name}\" does not exist")]
    NoSuchType { name: String },
    #[error("ERROR: {problem}")]
    Column { problem: String },
    #[error("ERROR: {what} is not imitated by the stand-in")]
    NotImitated { what: String },
    #[error(
        "ERROR: TRUNCATE commits the transaction at once in Redshift: the stand-in refuses it inside a batch, use DELETE"
    )]
    TruncateInBatch,
    #[error(
        "ERROR: {statement} cannot be sent through the Data API: a statement or a batch is already a transaction of its own"
    )]
    TransactionControl { statement: String },
}

impl SqlError {
    pub fn syntax(near: &str) -> Self {
        Self::Syntax {
            near: near.to_owned(),
            hint: None,
        }
    }

    pub fn syntax_with(near: &str, hint: &'static str) -> Self {
        Self::Syntax {
            near: near.to_owned(),
            hint: Some(hint),
        }
    }
}
