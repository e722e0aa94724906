//! Refuses what PostgreSQL would take and Redshift would not, so that nothing passes here and fails there; touches no network.

use super::error::SqlError;
use super::lexer::Token;

pub fn refuse_what_redshift_lacks(tokens: &[Token<'_>]) -> Result<(), SqlError> {
    let Some(first) = tokens.first() else { return Ok(()) };
    for pair in tokens.windows(2) {
        let (token, next) = (pair[0], pair[1]);
        if token.is("ON") && next.is("CONFLICT") {
            return Err(SqlError::syntax_with(next.text, "Redshift has no ON CONFLICT"));
        }
        if token.is("FOR") && next.is_any(&["UPDATE", "SHARE"]) {
            return Err(SqlError::syntax_with(next.text, "Redshift has no row locks, use LOCK"));
        }
        if token.is("CREATE") && next.is_any(&["INDEX", "UNIQUE"]) {
            return Err(SqlError::syntax_with(next.text, "Redshift has no indexes"));
        }
    }
    if first.is_any(&["INSERT", "UPDATE", "DELETE", "WITH"])
        && let Some(token) = tokens.iter().find(|token| token.is("RETURNING"))
    {
        return Err(SqlError::syntax_with(token.text, "Redshift has no RETURNING"));
    }
    if first.is("ALTER") {
        refuse_in_alter_table(tokens)?;
    }
    if first.is("LOCK")
        && let Some(token) = tokens.iter().find(|token| token.is_any(&["IN", "NOWAIT"]))
    {
        return Err(SqlError::syntax_with(
            token.text,
            "Redshift's LOCK knows one mode and always waits",
        ));
    }
    Ok(())
}

fn refuse_in_alter_table(tokens: &[Token<'_>]) -> Result<(), SqlError> {
    if let Some(triple) = tokens
        .windows(3)
        .find(|triple| triple[0].is_any(&["ADD", "COLUMN"]) && triple[1].is("IF") && triple[2].is("NOT"))
    {
        return Err(SqlError::syntax_with(
            triple[2].text,
            "Redshift's ADD COLUMN has no IF NOT EXISTS",
        ));
    }
    let mut depth = 0_i32;
    for token in tokens {
        if token.is_symbol("(") {
            depth += 1;
        } else if token.is_symbol(")") {
            depth -= 1;
        } else if token.is_symbol(",") && depth == 0 {
            return Err(SqlError::syntax_with(",", "Redshift alters one column in a statement"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::lexer::tokens;
    use super::*;

    #[rstest]
    #[case("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "CONFLICT")]
    #[case("DELETE FROM t RETURNING id", "RETURNING")]
    #[case("SELECT * FROM t FOR UPDATE", "UPDATE")]
    #[case("CREATE UNIQUE INDEX i ON t (a)", "UNIQUE")]
    #[case("ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT", "NOT")]
    #[case("ALTER TABLE t ADD COLUMN a DECIMAL(18, 2), ADD COLUMN b INT", ",")]
    #[case("LOCK TABLE t IN EXCLUSIVE MODE", "IN")]
    fn what_only_postgresql_has_is_a_syntax_error(#[case] sql: &str, #[case] near: &str) {
        let error = refuse_what_redshift_lacks(&tokens(sql).unwrap()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("ERROR: syntax error at or near \"{near}\"")),
            "{error}"
        );
    }

    #[rstest]
    #[case("ALTER TABLE t ADD COLUMN a DECIMAL(18, 2)")]
    #[case("LOCK TABLE a, b")]
    #[case("SELECT 'ON CONFLICT', \"returning\" FROM t")]
    #[case("UPDATE t SET a = 1 WHERE b IN (1, 2)")]
    fn what_both_have_passes(#[case] sql: &str) {
        assert_eq!(refuse_what_redshift_lacks(&tokens(sql).unwrap()), Ok(()));
    }
}
