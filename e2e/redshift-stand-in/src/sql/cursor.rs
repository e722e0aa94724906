//! Walks over tokens the way a small grammar wants it; touches no network.

use super::error::SqlError;
use super::lexer::{Kind, Token, identifier_value};

pub struct Cursor<'a, 'sql> {
    tokens: &'a [Token<'sql>],
    position: usize,
}

impl<'a, 'sql> Cursor<'a, 'sql> {
    pub fn new(tokens: &'a [Token<'sql>]) -> Self {
        Self { tokens, position: 0 }
    }

    pub fn peek(&self) -> Option<&'a Token<'sql>> {
        self.tokens.get(self.position)
    }

    pub fn next(&mut self) -> Option<&'a Token<'sql>> {
        let token = self.tokens.get(self.position);
        self.position += usize::from(token.is_some());
        token
    }

    pub fn at(&self, word: &str) -> bool {
        self.peek().is_some_and(|token| token.is(word))
    }

    /// Takes the words if all of them come next.
    pub fn take(&mut self, words: &[&str]) -> bool {
        let matches = words.iter().enumerate().all(|(offset, word)| {
            self.tokens
                .get(self.position + offset)
                .is_some_and(|token| token.is(word))
        });
        if matches {
            self.position += words.len();
        }
        matches
    }

    pub fn take_symbol(&mut self, symbol: &str) -> bool {
        let matches = self.peek().is_some_and(|token| token.is_symbol(symbol));
        self.position += usize::from(matches);
        matches
    }

    pub fn expect(&mut self, word: &str) -> Result<(), SqlError> {
        if self.take(&[word]) {
            Ok(())
        } else {
            Err(self.syntax_error())
        }
    }

    pub fn expect_symbol(&mut self, symbol: &str) -> Result<(), SqlError> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            Err(self.syntax_error())
        }
    }

    pub fn text(&mut self) -> Result<&'a Token<'sql>, SqlError> {
        match self.peek() {
            Some(token) if token.kind == Kind::Text => {
                self.position += 1;
                Ok(token)
            }
            _ => Err(self.syntax_error()),
        }
    }

    pub fn identifier(&mut self) -> Result<&'a Token<'sql>, SqlError> {
        match self.peek() {
            Some(token) if matches!(token.kind, Kind::Word | Kind::QuotedIdentifier) => {
                self.position += 1;
                Ok(token)
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// `table`, `schema.table` or `database.schema.table`, as written.
    pub fn qualified_name(&mut self) -> Result<String, SqlError> {
        let mut name = self.identifier()?.text.to_owned();
        while self.take_symbol(".") {
            name.push('.');
            name.push_str(self.identifier()?.text);
        }
        Ok(name)
    }

    /// `(a, b, ...)`, names folded as Redshift folds them.
    pub fn identifier_list(&mut self) -> Result<Vec<String>, SqlError> {
        self.expect_symbol("(")?;
        let mut names = vec![identifier_value(self.identifier()?)];
        while self.take_symbol(",") {
            names.push(identifier_value(self.identifier()?));
        }
        self.expect_symbol(")")?;
        Ok(names)
    }

    /// Skips a parenthesised group if one begins here.
    pub fn skip_group(&mut self) {
        if !self.take_symbol("(") {
            return;
        }
        let mut depth = 1_usize;
        while depth > 0 {
            match self.next() {
                Some(token) if token.is_symbol("(") => depth += 1,
                Some(token) if token.is_symbol(")") => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    /// Where the token before this position ends.
    pub fn end_of_previous(&self) -> usize {
        self.position
            .checked_sub(1)
            .and_then(|index| self.tokens.get(index))
            .map_or(0, Token::end)
    }

    pub fn syntax_error(&self) -> SqlError {
        SqlError::syntax(self.peek().map_or("end of input", |token| token.text))
    }
}
