//! Statements on their way to the warehouse, and how they are packed into transactions. No network.

/// The most statements in one batch.
pub const MAX_STATEMENTS: usize = 40;

/// One statement, and what it is for in the words of an error message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statement {
    /// What it does.
    pub title: String,
    /// Its text.
    pub sql: String,
}

impl Statement {
    /// A statement that does what its title says.
    pub fn new(title: impl Into<String>, sql: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            sql: sql.into(),
        }
    }
}

/// Packs units into batches of at most [`MAX_STATEMENTS`]; a unit stays whole, for a batch is one transaction.
pub fn batches(units: impl IntoIterator<Item = Vec<Statement>>) -> Vec<Vec<Statement>> {
    let mut batches: Vec<Vec<Statement>> = Vec::new();
    for unit in units.into_iter().filter(|unit| !unit.is_empty()) {
        match batches.last_mut() {
            Some(batch) if batch.len() + unit.len() <= MAX_STATEMENTS => batch.extend(unit),
            _ => batches.push(unit),
        }
    }
    batches
}
