//! Reads the rows that the warehouse answers. No network.

use std::collections::BTreeMap;

use aws_sdk_redshiftdata::types::Field;

use crate::column::FoundColumn;
use crate::error::LoadError;
use crate::ledger::{Entry, Ledger, Mark};

/// Columns by table, from the warehouse's catalogue.
pub type Catalogue = BTreeMap<String, Vec<FoundColumn>>;

/// The answer to `Sql::read_columns`.
pub fn catalogue(rows: &[Vec<Field>]) -> Result<Catalogue, LoadError> {
    let mut catalogue = Catalogue::new();
    for row in rows {
        let row = Row {
            what: "the columns",
            fields: row,
        };
        let column = FoundColumn {
            name: row.text(1)?,
            declared: row.text(2)?,
            precision: row.optional_number(3),
            scale: row.optional_number(4),
        };
        catalogue.entry(row.text(0)?).or_default().push(column);
    }
    Ok(catalogue)
}

/// The answer to `Sql::read_ledger`.
pub fn ledger(rows: &[Vec<Field>]) -> Result<Ledger, LoadError> {
    let entries = rows.iter().map(|row| {
        let row = Row {
            what: "the ledger",
            fields: row,
        };
        Ok(Entry {
            table: row.text(0)?,
            mark: Mark {
                table_id: row.text(5).ok(),
                version: row.number(1)?,
            },
            run_uid: row.text(2)?,
            attempt: i32::try_from(row.number(3)?).unwrap_or(i32::MAX),
            rows: row.number(4)?,
            owner: row.text(6).ok(),
            table_rows: row.optional_number(7),
        })
    });
    Ok(Ledger::new(entries.collect::<Result<_, LoadError>>()?))
}

/// The answer to `Sql::count_rows` and `Sql::count_staged`: rows by table.
pub fn counts(rows: &[Vec<Field>]) -> Result<BTreeMap<String, i64>, LoadError> {
    rows.iter()
        .map(|row| {
            let row = Row {
                what: "the number of rows",
                fields: row,
            };
            Ok((row.text(0)?, row.number(1)?))
        })
        .collect()
}

/// The one text of an answer.
pub fn text(rows: &[Vec<Field>]) -> Option<&str> {
    match rows.first()?.first()? {
        Field::StringValue(text) => Some(text),
        _ => None,
    }
}

struct Row<'r> {
    what: &'static str,
    fields: &'r [Field],
}

impl Row<'_> {
    fn text(&self, place: usize) -> Result<String, LoadError> {
        match self.fields.get(place) {
            Some(Field::StringValue(text)) => Ok(text.clone()),
            other => Err(self.unexpected(place, other)),
        }
    }

    fn number(&self, place: usize) -> Result<i64, LoadError> {
        self.optional_number(place)
            .ok_or_else(|| self.unexpected(place, self.fields.get(place)))
    }

    /// Counts come as numbers or as their text, depending on the width of the warehouse's type.
    fn optional_number(&self, place: usize) -> Option<i64> {
        match self.fields.get(place)? {
            Field::LongValue(number) => Some(*number),
            Field::StringValue(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn unexpected(&self, place: usize, found: Option<&Field>) -> LoadError {
        LoadError::Warehouse {
            what: format!("read {}", self.what),
            reason: format!("column {place} of the answer is {found:?}"),
        }
    }
}
