//! A statement's rows in the Data API's field types; touches no network.

use thiserror::Error;
use tokio_postgres::types::Type;

/// The documented limit of one result.
pub const MAXIMUM_SIZE: i64 = 100 * 1024 * 1024;

#[derive(Debug, Error, PartialEq, Eq)]
pub enum ResultError {
    #[error("ERROR: the result is larger than the 100 MB that the Data API keeps")]
    TooLarge,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    Null,
    Boolean(bool),
    Long(i64),
    Double(f64),
    Text(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub type_name: String,
    pub precision: i32,
    pub scale: i32,
    pub length: i32,
    pub is_signed: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ResultSet {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Field>>,
    pub size: i64,
}

impl Column {
    /// Redshift has no `text`: what PostgreSQL calls so is a varchar there.
    pub fn new(name: &str, column_type: &Type, modifier: i32) -> Self {
        let type_name = if *column_type == Type::TEXT || *column_type == Type::UNKNOWN {
            "varchar"
        } else {
            column_type.name()
        };
        let (precision, scale) = match *column_type {
            Type::NUMERIC if modifier >= 4 => (((modifier - 4) >> 16) & 0xffff, (modifier - 4) & 0x7ff),
            Type::INT2 => (5, 0),
            Type::INT4 => (10, 0),
            Type::INT8 => (19, 0),
            Type::FLOAT4 => (8, 8),
            Type::FLOAT8 => (17, 17),
            _ => (0, 0),
        };
        let length = match *column_type {
            Type::VARCHAR | Type::BPCHAR if modifier >= 4 => modifier - 4,
            _ => 0,
        };
        Self {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            precision: if length > 0 { length } else { precision },
            scale,
            length,
            is_signed: matches!(
                *column_type,
                Type::INT2 | Type::INT4 | Type::INT8 | Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC
            ),
        }
    }
}

impl Field {
    /// From PostgreSQL's text form. Integers, floats and booleans have types of their own, all else is text.
    pub fn from_text(text: Option<&str>, column_type: &Type) -> Self {
        let Some(text) = text else { return Self::Null };
        let typed = match *column_type {
            Type::BOOL => Some(Self::Boolean(text == "t")),
            Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => text.parse().ok().map(Self::Long),
            Type::FLOAT4 | Type::FLOAT8 => text.parse().ok().map(Self::Double),
            _ => None,
        };
        typed.unwrap_or_else(|| Self::Text(text.to_owned()))
    }
}

impl ResultSet {
    pub fn new(columns: Vec<Column>) -> Self {
        Self {
            columns,
            rows: Vec::new(),
            size: 0,
        }
    }

    pub fn push(&mut self, row: Vec<Field>) -> Result<(), ResultError> {
        self.size += row.iter().map(size).sum::<i64>();
        if self.size > MAXIMUM_SIZE {
            return Err(ResultError::TooLarge);
        }
        self.rows.push(row);
        Ok(())
    }

    /// Where the page that begins at a row ends: by bytes, as the Data API cuts, and by a number of rows.
    pub fn page_end(&self, start: usize) -> usize {
        let mut bytes = 0;
        let mut end = start;
        while end < self.rows.len() && end - start < PAGE_ROWS && bytes < PAGE_BYTES {
            bytes += self.rows[end].iter().map(size).sum::<i64>();
            end += 1;
        }
        end
    }
}

/// Small enough that a few thousand rows show that a client pages.
const PAGE_ROWS: usize = 1_000;
const PAGE_BYTES: i64 = 1024 * 1024;

fn size(field: &Field) -> i64 {
    match field {
        Field::Null | Field::Boolean(_) => 1,
        Field::Long(_) | Field::Double(_) => 8,
        Field::Text(text) => i64::try_from(text.len()).unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Some("7"), Type::INT8, Field::Long(7))]
    #[case(Some("t"), Type::BOOL, Field::Boolean(true))]
    #[case(Some("1.5"), Type::FLOAT8, Field::Double(1.5))]
    #[case(Some("12.3400"), Type::NUMERIC, Field::Text("12.3400".to_owned()))]
    #[case(Some("2011-12-09"), Type::DATE, Field::Text("2011-12-09".to_owned()))]
    #[case(None, Type::INT8, Field::Null)]
    fn values_take_the_data_api_s_types(
        #[case] text: Option<&str>,
        #[case] column_type: Type,
        #[case] expected: Field,
    ) {
        assert_eq!(Field::from_text(text, &column_type), expected);
    }

    #[test]
    fn a_decimal_tells_its_precision_and_scale() {
        let column = Column::new("total", &Type::NUMERIC, (18 << 16) + 2 + 4);
        assert_eq!(
            (column.precision, column.scale, column.type_name.as_str()),
            (18, 2, "numeric")
        );
    }

    #[test]
    fn pages_cover_all_rows_once() {
        let mut result = ResultSet::new(vec![]);
        for number in 0..2_500 {
            result.push(vec![Field::Long(number)]).unwrap();
        }
        let mut start = 0;
        let mut pages = Vec::new();
        while start < result.rows.len() {
            let end = result.page_end(start);
            pages.push(end - start);
            start = end;
        }
        assert_eq!(pages, [1_000, 1_000, 500]);
    }

    #[test]
    fn a_result_over_the_limit_is_refused() {
        let mut result = ResultSet::new(vec![]);
        let megabyte = "x".repeat(1024 * 1024);
        let refused = (0..=100)
            .map(|_| result.push(vec![Field::Text(megabyte.clone())]))
            .find(Result::is_err);
        assert_eq!(refused, Some(Err(ResultError::TooLarge)));
    }
}
