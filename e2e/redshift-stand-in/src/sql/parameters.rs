//! Puts the values of named parameters (`:name`) into a statement as literals, which PostgreSQL casts as Redshift does; touches no network.

use std::collections::BTreeSet;

use super::edit::Edits;
use super::error::SqlError;
use super::lexer::{Kind, quote_literal, tokens};

#[derive(Debug, PartialEq, Eq)]
pub struct Bound {
    pub sql: String,
    pub used: BTreeSet<String>,
    /// Names in the text that have no value.
    pub undefined: BTreeSet<String>,
}

/// Parameters inside quotes are text, as in Redshift.
pub fn bind(sql: &str, parameters: &[(String, String)]) -> Result<Bound, SqlError> {
    let mut edits = Edits::default();
    let mut used = BTreeSet::new();
    let mut undefined = BTreeSet::new();
    for token in tokens(sql)?.iter().filter(|token| token.kind == Kind::Parameter) {
        let name = &token.text[1..];
        match parameters.iter().find(|(parameter, _)| parameter == name) {
            Some((_, value)) => {
                edits.replace(token.range(), &quote_literal(value));
                used.insert(name.to_owned());
            }
            None => {
                undefined.insert(name.to_owned());
            }
        }
    }
    Ok(Bound {
        sql: edits.apply(sql),
        used,
        undefined,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn values_become_literals_wherever_their_name_stands() {
        let bound = bind(
            "insert into t values (:id, :name, :id::int)",
            &parameters(&[("id", "7"), ("name", "O'Brien \\ Co")]),
        )
        .unwrap();
        assert_eq!(bound.sql, r"insert into t values ('7', 'O''Brien \\ Co', '7'::int)");
    }

    #[test]
    fn a_name_inside_quotes_is_text_and_leaves_its_parameter_unused() {
        let bound = bind("select ':id'", &parameters(&[("id", "7")])).unwrap();
        assert_eq!(bound.sql, "select ':id'");
        assert!(bound.used.is_empty());
    }

    #[test]
    fn a_name_without_value_is_told() {
        let bound = bind("select :a, :b", &parameters(&[("a", "1")])).unwrap();
        assert_eq!(bound.undefined.into_iter().collect::<Vec<_>>(), ["b"]);
    }
}
