//! Reads the warehouse's error messages: whether the statement is wrong, or only the moment. No network.

/// What a failed statement means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The statement can never succeed as it is.
    Statement,
    /// Another transaction was in the way.
    Conflict,
    /// The user lacks a right.
    Permission,
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
const HOPELESS: [&str; 16] = [
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
    // Somebody has put a view in the place of the table.
    "cannot insert into",
    "cannot delete from",
    "cannot change materialized view",
];

/// What the warehouse says to a user that lacks a right. What S3 says to the role of COPY is worded otherwise.
const FORBIDDEN: [&str; 2] = ["permission denied", "must be owner of"];

/// Reads a message.
pub fn read(message: &str) -> Failure {
    let message = message.to_lowercase();
    if CONFLICTS.iter().any(|words| message.contains(words)) {
        Failure::Conflict
    } else if HOPELESS.iter().any(|words| message.contains(words)) || is_without_column(&message) {
        Failure::Statement
    } else if FORBIDDEN.iter().any(|words| message.contains(words)) {
        Failure::Permission
    } else {
        Failure::Environment
    }
}

/// A right that is missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lacking<'m> {
    /// To use the schema, or to make tables there.
    InSchema,
    /// To read and write a table.
    OnTable(&'m str),
    /// To change a table, which only its owner may.
    Ownership(&'m str),
}

/// What a message about a missing right is about.
pub fn lacking(message: &str) -> Lacking<'_> {
    let table = |words: [&str; 2]| {
        let rest = words.into_iter().find_map(|words| message.split_once(words))?.1;
        let name = rest.split_whitespace().next()?;
        Some(name.trim_matches(|letter| matches!(letter, '"' | '.' | ',' | ';')))
    };
    if let Some(table) = table(["owner of relation ", "owner of table "]) {
        Lacking::Ownership(table)
    } else if let Some(table) = table(["denied for relation ", "denied for table "]) {
        Lacking::OnTable(table)
    } else {
        Lacking::InSchema
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
    #[case("ERROR: cannot delete from view \"orders\"", Failure::Statement)]
    #[case("ERROR: cannot insert into a view", Failure::Statement)]
    #[case("ERROR: cannot change materialized view \"orders\"", Failure::Statement)]
    #[case("ERROR: permission denied for schema gold", Failure::Permission)]
    #[case("ERROR: permission denied for relation medallion_ledger", Failure::Permission)]
    #[case("ERROR: must be owner of relation orders", Failure::Permission)]
    #[case("ERROR: relation \"gold.medallion_staging_1\" does not exist", Failure::Environment)]
    #[case(
        "ERROR: Spectrum Scan Error\n  code:      15001\n  query:     1023",
        Failure::Environment
    )]
    #[case("ERROR: something nobody has seen before", Failure::Environment)]
    fn messages_are_told_apart(#[case] message: &str, #[case] failure: Failure) {
        assert_eq!(read(message), failure);
    }

    #[rstest]
    #[case("ERROR: permission denied for schema gold", Lacking::InSchema)]
    #[case(
        "ERROR: permission denied for relation medallion_ledger",
        Lacking::OnTable("medallion_ledger")
    )]
    #[case(
        "ERROR: must be owner of table \"orders\"\n  Position: 3",
        Lacking::Ownership("orders")
    )]
    fn what_is_not_permitted_is_told_apart(#[case] message: &str, #[case] expected: Lacking<'_>) {
        assert_eq!(lacking(message), expected);
    }
}
