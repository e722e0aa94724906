//! Cuts SQL text into tokens, with Redshift's backslash escapes in strings; touches no network.

use std::ops::Range;

use super::error::SqlError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Word,
    QuotedIdentifier,
    /// A string literal, quotes included.
    Text,
    Number,
    /// `:name`.
    Parameter,
    Symbol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    pub start: usize,
}

impl Token<'_> {
    pub fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    pub fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub fn range(&self) -> Range<usize> {
        self.start..self.end()
    }
}

/// All tokens in order; white space and comments are left out.
pub fn tokens(sql: &str) -> Result<Vec<Token<'_>>, SqlError> {
    let mut found = Vec::new();
    let mut position = 0;
    while let Some(first) = sql[position..].chars().next() {
        let rest = &sql[position..];
        if first.is_whitespace() {
            position += first.len_utf8();
        } else if rest.starts_with("--") {
            position += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            position += block_comment(rest)?;
        } else {
            let (kind, length) = token(rest, first)?;
            found.push(Token {
                kind,
                text: &rest[..length],
                start: position,
            });
            position += length;
        }
    }
    Ok(found)
}

/// The text without the semicolons that separate statements, one piece per statement, empty pieces left out.
pub fn statements(sql: &str) -> Result<Vec<&str>, SqlError> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut empty = true;
    for token in tokens(sql)? {
        if token.is_symbol(";") {
            if !empty {
                pieces.push(sql[start..token.start].trim());
            }
            start = token.end();
            empty = true;
        } else {
            empty = false;
        }
    }
    if !empty {
        pieces.push(sql[start..].trim());
    }
    Ok(pieces)
}

/// What a string literal says: doubled quotes and backslash escapes undone.
pub fn literal_value(raw: &str) -> String {
    let inner = raw
        .strip_prefix('\'')
        .and_then(|text| text.strip_suffix('\''))
        .unwrap_or(raw);
    let mut value = String::with_capacity(inner.len());
    let mut characters = inner.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\'' => {
                characters.next_if_eq(&'\'');
                value.push('\'');
            }
            '\\' => match characters.next() {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(other) => value.push(other),
                None => value.push('\\'),
            },
            other => value.push(other),
        }
    }
    value
}

/// The literal that `literal_value` reads back.
pub fn quote_literal(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// The name that an identifier means: unquoted ones are folded to lower case.
pub fn identifier_value(token: &Token<'_>) -> String {
    match token.kind {
        Kind::QuotedIdentifier => token.text[1..token.text.len() - 1].replace("\"\"", "\""),
        _ => token.text.to_lowercase(),
    }
}

fn token(rest: &str, first: char) -> Result<(Kind, usize), SqlError> {
    let second = rest[first.len_utf8()..].chars().next();
    Ok(match first {
        '\'' => (Kind::Text, quoted(rest, '\'', true)?),
        '"' => (Kind::QuotedIdentifier, quoted(rest, '"', false)?),
        '$' => match dollar_quoted(rest)? {
            Some(length) => (Kind::Text, length),
            None => (Kind::Symbol, 1),
        },
        ':' if second == Some(':') => (Kind::Symbol, 2),
        ':' if second.is_some_and(starts_word) => (Kind::Parameter, 1 + word_length(&rest[1..])),
        _ if starts_word(first) => (Kind::Word, word_length(rest)),
        _ if first.is_ascii_digit() => (Kind::Number, number_length(rest)),
        _ => (Kind::Symbol, first.len_utf8()),
    })
}

fn starts_word(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

fn word_length(text: &str) -> usize {
    text.find(|character: char| !(character.is_alphanumeric() || matches!(character, '_' | '$')))
        .unwrap_or(text.len())
}

fn number_length(text: &str) -> usize {
    text.find(|character: char| !(character.is_alphanumeric() || character == '.'))
        .unwrap_or(text.len())
}

fn quoted(rest: &str, quote: char, backslash: bool) -> Result<usize, SqlError> {
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((position, character)) = characters.next() {
        if backslash && character == '\\' {
            characters.next();
        } else if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return Ok(position + 1);
        }
    }
    Err(unterminated(rest))
}

fn dollar_quoted(rest: &str) -> Result<Option<usize>, SqlError> {
    let Some(tag_end) = rest[1..].find('$').map(|position| position + 2) else {
        return Ok(None);
    };
    let tag = &rest[..tag_end];
    if !tag[1..tag_end - 1]
        .chars()
        .all(|character| character.is_alphanumeric() || character == '_')
    {
        return Ok(None);
    }
    match rest[tag_end..].find(tag) {
        Some(position) => Ok(Some(tag_end + position + tag.len())),
        None => Err(unterminated(rest)),
    }
}

fn block_comment(rest: &str) -> Result<usize, SqlError> {
    let mut depth = 0_usize;
    let mut position = 0;
    while position < rest.len() {
        if rest[position..].starts_with("/*") {
            depth += 1;
            position += 2;
        } else if rest[position..].starts_with("*/") {
            depth -= 1;
            position += 2;
            if depth == 0 {
                return Ok(position);
            }
        } else {
            position += rest[position..].chars().next().map_or(1, char::len_utf8);
        }
    }
    Err(unterminated(rest))
}

fn unterminated(rest: &str) -> SqlError {
    SqlError::Unterminated {
        near: rest.chars().take(40).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("DELETE FROM t; INSERT INTO t VALUES (';');", &["DELETE FROM t", "INSERT INTO t VALUES (';')"])]
    #[case("select 1 -- one; two\n; /* three; */ select 2", &["select 1 -- one; two", "/* three; */ select 2"])]
    #[case(r"select 'it\'s; fine'; select 2", &[r"select 'it\'s; fine'", "select 2"])]
    #[case("select \"odd;name\"", &["select \"odd;name\""])]
    #[case("do $body$ select 1; $body$", &["do $body$ select 1; $body$"])]
    #[case(" ; ;; ", &[])]
    fn semicolons_separate_statements_only_where_they_are_sql(#[case] sql: &str, #[case] expected: &[&str]) {
        assert_eq!(statements(sql).unwrap(), expected);
    }

    #[test]
    fn a_cast_is_no_parameter() {
        let sql = "select :day::date, ':no', a::text from t -- :neither";
        let parameters: Vec<_> = tokens(sql)
            .unwrap()
            .into_iter()
            .filter(|token| token.kind == Kind::Parameter)
            .map(|token| token.text)
            .collect();
        assert_eq!(parameters, [":day"]);
    }

    #[rstest]
    #[case("select 'open")]
    #[case("select \"open")]
    #[case("/* open")]
    #[case("select $$ open")]
    fn what_is_not_closed_is_refused(#[case] sql: &str) {
        assert!(matches!(tokens(sql), Err(SqlError::Unterminated { .. })));
    }

    #[test]
    fn unquoted_names_fold_and_quoted_names_do_not() {
        let sql = "Orders \"Or\"\"ders\"";
        let names: Vec<_> = tokens(sql).unwrap().iter().map(identifier_value).collect();
        assert_eq!(names, ["orders", "Or\"ders"]);
    }

    proptest! {
        #[test]
        fn a_quoted_literal_is_one_token_and_reads_back(value in "\\PC*|[\\\\'\";:$\n]*") {
            let literal = quote_literal(&value);
            let found = tokens(&literal).unwrap();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found[0].kind, Kind::Text);
            prop_assert_eq!(literal_value(found[0].text), value);
        }

        #[test]
        fn tokens_never_overlap_and_never_panic(sql in "\\PC*") {
            if let Ok(found) = tokens(&sql) {
                for pair in found.windows(2) {
                    prop_assert!(pair[0].end() <= pair[1].start);
                }
            }
        }
    }
}
