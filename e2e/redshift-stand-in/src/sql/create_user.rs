//! Lets users without a password be made, who then log in by temporary credentials; touches no network.

use super::cursor::Cursor;
use super::edit::Edits;
use super::error::SqlError;
use super::lexer::{Token, quote_literal};

/// What the stand-in logs in with, as every user but its own.
pub const PASSWORD: &str = "stand-in";

/// `CREATE USER name PASSWORD DISABLE` with the password that the stand-in itself logs in with.
pub fn create_user(sql: &str, tokens: &[Token<'_>]) -> Result<String, SqlError> {
    let mut cursor = Cursor::new(tokens);
    let mut edits = Edits::default();
    cursor.expect("CREATE")?;
    cursor.expect("USER")?;
    cursor.identifier()?;
    cursor.take(&["WITH"]);
    cursor.expect("PASSWORD")?;
    match cursor.peek() {
        Some(token) if token.is("DISABLE") => edits.replace(token.range(), &quote_literal(PASSWORD)),
        _ => {
            cursor.text()?;
        }
    }
    Ok(edits.apply(sql))
}

#[cfg(test)]
mod tests {
    use super::super::lexer::tokens;
    use super::*;

    fn translated(sql: &str) -> Result<String, SqlError> {
        create_user(sql, &tokens(sql).unwrap())
    }

    #[test]
    fn a_user_without_a_password_can_be_made() {
        assert_eq!(
            translated("CREATE USER \"IAMR:shop-loader\" PASSWORD DISABLE").unwrap(),
            "CREATE USER \"IAMR:shop-loader\" PASSWORD 'stand-in'"
        );
        assert!(translated("CREATE USER ada").is_err(), "Redshift wants to be told");
    }
}
