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
const CONFLICTS: [&str; 7] = [
    "1023",
    "serializable isolation violation",
    "could not serialize access",
    "deadlock detected",
    "concurrent transaction",
    "divide by zero",
    "division by zero",
];

/// Troubles that pass without anybody changing the statement or the data.
const TROUBLES: [&str; 14] = [
    "s3serviceexception",
    "access denied",
    "slow down",
    "timed out",
    "timeout",
    "connection",
    "disk full",
    "out of memory",
    "read-only",
    "shutting down",
    "starting up",
    "cancelled",
    "canceled",
    "internal error",
];

/// Reads a message.
pub fn read(message: &str) -> Failure {
    let message = message.to_lowercase();
    if CONFLICTS.iter().any(|words| message.contains(words)) {
        Failure::Conflict
    } else if TROUBLES.iter().any(|words| message.contains(words)) {
        Failure::Environment
    } else {
        Failure::Statement
    }
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
    #[case("ERROR: permission denied for schema gold", Failure::Statement)]
    fn messages_are_told_apart(#[case] message: &str, #[case] failure: Failure) {
        assert_eq!(read(message), failure);
    }
}
