//! Words PostgreSQL's errors as the Data API reports Redshift's; touches no network.

use std::fmt::Write as _;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, ErrorPosition, SqlState};

/// The text of a statement's `Error` field.
pub fn describe(error: &Error, process_id: i64) -> String {
    match error.as_db_error() {
        Some(failure) if *failure.code() == SqlState::T_R_SERIALIZATION_FAILURE => serialization_violation(process_id),
        Some(failure) => database_error(failure),
        None => format!("ERROR: the connection to the warehouse broke: {}", with_causes(error)),
    }
}

/// Redshift names the table and the transactions; PostgreSQL does not tell, so they are zero.
fn serialization_violation(process_id: i64) -> String {
    format!(
        "ERROR: 1023\n  Detail: Serializable isolation violation on table - 0, transactions forming the cycle are: 0, 0 (pid:{process_id})"
    )
}

fn database_error(failure: &DbError) -> String {
    let mut text = format!("{}: {}", failure.severity(), worded(failure.message()));
    for (label, part) in [
        ("Detail", failure.detail()),
        ("Hint", failure.hint()),
        ("Where", failure.where_()),
    ] {
        if let Some(part) = part {
            let _ = write!(text, "\n  {label}: {part}");
        }
    }
    if let Some(ErrorPosition::Original(position)) = failure.position() {
        let _ = write!(text, "\n  Position: {position}");
    }
    text
}

/// Redshift's names for what PostgreSQL has renamed since.
fn worded(message: &str) -> String {
    message
        .replace("permission denied for table ", "permission denied for relation ")
        .replace("must be owner of table ", "must be owner of relation ")
}

pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}
