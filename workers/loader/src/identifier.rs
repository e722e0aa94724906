//! Names and values on their way into SQL text. No network.

use std::fmt;

use thiserror::Error;

/// `PostgreSQL` cuts names at this length; Redshift takes twice as many.
const MAX_LENGTH: usize = 63;

/// A name that may stand in SQL text. Displayed quoted.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Identifier(String);

/// A name that may not stand in SQL text.
#[derive(Debug, Eq, Error, PartialEq)]
#[error(
    "name {0:?} cannot be used in the warehouse: use lower-case letters, digits and underscores, no digit first, at most {MAX_LENGTH}"
)]
pub struct BadIdentifier(String);

impl Identifier {
    /// Checks a name. Capitals are refused, because the warehouse would fold them.
    pub fn new(name: &str) -> Result<Self, BadIdentifier> {
        let mut letters = name.chars();
        let first = letters
            .next()
            .is_some_and(|letter| letter.is_ascii_lowercase() || letter == '_');
        let rest = letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
        if first && rest && name.len() <= MAX_LENGTH {
            Ok(Self(name.to_owned()))
        } else {
            Err(BadIdentifier(name.to_owned()))
        }
    }

    /// The name without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", self.0)
    }
}

/// A text value as SQL. The warehouse reads a backslash inside a literal as an escape, other databases do not:
/// it is written as a function that all read alike.
pub fn literal(text: &str) -> String {
    let parts: Vec<String> = text
        .split('\\')
        .map(|part| format!("'{}'", part.replace('\'', "''")))
        .collect();
    parts.join(" || CHR(92) || ")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("")]
    #[case("1st")]
    #[case("Orders")]
    #[case("a b")]
    #[case("a\"; drop table x; --")]
    #[case("größe")]
    fn names_that_could_mean_something_else_are_refused(#[case] name: &str) {
        assert!(Identifier::new(name).is_err());
        assert!(Identifier::new(&"a".repeat(MAX_LENGTH + 1)).is_err());
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(Identifier::new("order").expect("a name").to_string(), "\"order\"");
    }

    #[rstest]
    #[case("plain", "'plain'")]
    #[case("d'Ivoire", "'d''Ivoire'")]
    #[case("a\\'b", "'a' || CHR(92) || '''b'")]
    #[case("", "''")]
    fn values_cannot_leave_their_quotes(#[case] text: &str, #[case] sql: &str) {
        assert_eq!(literal(text), sql);
    }
}
