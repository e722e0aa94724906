//! Decides what is to be done for one statement: a COPY of our own, or SQL for PostgreSQL; touches no network.

use super::copy::{self, CopyCommand};
use super::create_table::{alter_table, create_table};
use super::create_user::create_user;
use super::error::SqlError;
use super::lexer::tokens;
use super::refusals::refuse_what_redshift_lacks;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    Copy(CopyCommand),
    Sql(String),
    /// Cannot run in a transaction, in PostgreSQL and in Redshift alike.
    WithoutTransaction(String),
}

/// Whether a statement stands alone or shares its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Alone,
    InTransaction,
}

/// The first word in capitals: what faults name a statement by.
pub fn verb(sql: &str) -> String {
    tokens(sql)
        .ok()
        .and_then(|tokens| tokens.first().map(|token| token.text.to_uppercase()))
        .unwrap_or_default()
}

pub fn plan(sql: &str, place: Place) -> Result<Plan, SqlError> {
    let tokens = tokens(sql)?;
    let Some(first) = tokens.first() else {
        return Err(SqlError::syntax("end of input"));
    };
    let second = tokens.get(1);
    let second_is = |words: &[&str]| second.is_some_and(|token| token.is_any(words));

    if first.is_any(&["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT"]) {
        return Err(SqlError::TransactionControl {
            statement: first.text.to_uppercase(),
        });
    }
    if first.is("TRUNCATE") && place == Place::InTransaction {
        return Err(SqlError::TruncateInBatch);
    }
    if first.is("UNLOAD") {
        return Err(SqlError::NotImitated {
            what: "UNLOAD".to_owned(),
        });
    }
    if first.is("COPY") {
        return copy::parse(&tokens).map(Plan::Copy);
    }
    refuse_what_redshift_lacks(&tokens)?;
    if first.is("CREATE") && (second_is(&["TABLE", "TEMP", "TEMPORARY", "LOCAL"])) {
        return create_table(sql, &tokens).map(Plan::Sql);
    }
    if first.is("CREATE") && second_is(&["USER"]) {
        return create_user(sql, &tokens).map(Plan::Sql);
    }
    if first.is("ALTER") && second_is(&["TABLE"]) {
        return alter_table(sql, &tokens).map(Plan::Sql);
    }
    if first.is("VACUUM") || (first.is_any(&["CREATE", "DROP"]) && second_is(&["DATABASE"])) {
        return Ok(Plan::WithoutTransaction(sql.to_owned()));
    }
    Ok(Plan::Sql(sql.to_owned()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn truncate_may_stand_alone_but_not_in_a_batch() {
        assert!(matches!(plan("TRUNCATE t", Place::Alone), Ok(Plan::Sql(_))));
        let error = plan("truncate table t", Place::InTransaction).unwrap_err();
        assert!(error.to_string().contains("commits the transaction at once"));
    }

    #[rstest]
    #[case("BEGIN")]
    #[case("commit")]
    #[case("ROLLBACK")]
    fn transactions_belong_to_the_data_api(#[case] sql: &str) {
        assert!(matches!(
            plan(sql, Place::InTransaction),
            Err(SqlError::TransactionControl { .. })
        ));
    }

    #[rstest]
    #[case("LOCK TABLE t")]
    #[case("LOCK gold.ledger")]
    #[case("DELETE FROM t USING s WHERE t.id = s.id")]
    #[case("GRANT USAGE, CREATE ON SCHEMA gold TO \"IAMR:shop-loader\"")]
    #[case("SELECT pg_last_copy_count()")]
    fn ordinary_sql_passes_as_it_is(#[case] sql: &str) {
        assert_eq!(plan(sql, Place::InTransaction), Ok(Plan::Sql(sql.to_owned())));
    }

    #[test]
    fn a_comment_before_it_does_not_hide_a_copy() {
        let sql = "/* run 7 */ COPY t FROM 's3://b/k' IAM_ROLE 'r' FORMAT PARQUET MANIFEST";
        assert!(matches!(plan(sql, Place::InTransaction), Ok(Plan::Copy(_))));
        assert_eq!(verb(sql), "COPY");
    }
}
