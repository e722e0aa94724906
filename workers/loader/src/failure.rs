//! Reads the warehouse's error messages: whether the statement is wrong, or only the moment. No network.

/// What a failed statement means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The statement can never succeed as it is.
    Statement,
    /// Another transaction was in the way.
    Conflict,
    /// The warehouse or something it needs does not work now.
    Environment,
}

/// Aborts of serializable and snapshot isolation, in the words of Redshift and of `PostgreSQL`. Only the guards of a
/// publication divide, and they divide by zero when somebody else has been there.
const CONFLICTS: [&str; 6] = [
    "serializable isolation violation",
    "could not serialize access",
    "deadlock detected",
    "concurrent transaction",
    "divide by zero",
    "division by zero",
];

/// What no other attempt can make succeed, because the SQL or the data is wrong. Everything else is taken for trouble of
/// the moment: a mistaken retry costs seconds, a mistaken end costs somebody's attention.
const HOPELESS: [&str; 13] = [
    "syntax error",
    "is of type",
    "value too long",
    "out of range",
    "overflow",
    "invalid input syntax",
    "invalid digit",
    "cannot cast",
    "cannot be cast",
    "null value",
    "unmatched number of columns",
    "incompatible parquet schema",
    "violates",
];

/// Reads a message.
pub fn read(message: &str) -> Failure {
    let message = message.to_lowercase();
    if CONFLICTS.iter().any(|words| message.contains(words)) {
        Failure::Conflict
    } else if HOPELESS.iter().any(|words| message.contains(words)) || is_without_column(&message) {
        Failure::Statement
    } else {
        Failure::Environment
    }
}

fn is_without_column(message: &str) -> bool {
    message.contains("column \"") && message.contains("does not exist")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "ERROR: 1023 DETAIL: Serializable isolation violation on table - 123456",
        Failure::Conflict
    )]
    #[case("ERROR: could not serialize access due to concurrent update", Failure::Conflict)]
    #[case("ERROR: Divide by zero error", Failure::Conflict)]
    #[case(
        "ERROR: S3ServiceException:Access Denied,Status 403,Error AccessDenied",
        Failure::Environment
    )]
    #[case("ERROR: Query (42) cancelled on user's request", Failure::Environment)]
    #[case(
        "ERROR: column \"amount\" is of type numeric but expression is of type character varying",
        Failure::Statement
    )]
    #[case("ERROR: column \"gift\" of relation \"orders\" does not exist", Failure::Statement)]
    #[case("ERROR: permission denied for schema gold", Failure::Environment)]
    #[case("ERROR: relation \"gold.medallion_staging_1\" does not exist", Failure::Environment)]
    #[case(
        "ERROR: Spectrum Scan Error\n  code:      15001\n  query:     1023",
        Failure::Environment
    )]
    #[case("ERROR: something nobody has seen before", Failure::Environment)]
    fn messages_are_told_apart(#[case] message: &str, #[case] failure: Failure) {
        assert_eq!(read(message), failure);
    }
}
