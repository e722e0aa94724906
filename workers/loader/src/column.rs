//! Columns of the warehouse: the type table from Arrow, and how a table there grows. No network.

use std::fmt;

use arrow::datatypes::{DataType, Field, TimeUnit};

use crate::error::LoadError;
use crate::identifier::Identifier;

/// Type of a column in the warehouse.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ColumnType {
    /// 16-bit integer.
    SmallInt,
    /// 32-bit integer.
    Integer,
    /// 64-bit integer.
    BigInt,
    /// Single precision.
    Real,
    /// Double precision.
    Double,
    /// True or false.
    Boolean,
    /// A day.
    Date,
    /// A local time.
    Timestamp,
    /// An instant.
    TimestampTz,
    /// An exact number.
    Decimal {
        /// All digits.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// Text.
    Text,
}

impl ColumnType {
    /// The type table; `None` for what the warehouse has no place for.
    pub fn from_arrow(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Int8 | DataType::Int16 => Self::SmallInt,
            DataType::Int32 => Self::Integer,
            DataType::Int64 => Self::BigInt,
            DataType::Float32 => Self::Real,
            DataType::Float64 => Self::Double,
            DataType::Boolean => Self::Boolean,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Millisecond, None) => Self::Timestamp,
            DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Millisecond, Some(_)) => Self::TimestampTz,
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale) => Self::Decimal {
                precision: *precision,
                scale: *scale,
            },
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            _ => return None,
        })
    }

    /// The type as the warehouse's catalogue names it.
    fn from_catalogue(found: &FoundColumn) -> Option<Self> {
        Some(match found.declared.as_str() {
            "smallint" => Self::SmallInt,
            "integer" => Self::Integer,
            "bigint" => Self::BigInt,
            "real" => Self::Real,
            "double precision" => Self::Double,
            "boolean" => Self::Boolean,
            "date" => Self::Date,
            "timestamp without time zone" => Self::Timestamp,
            "timestamp with time zone" => Self::TimestampTz,
            "numeric" => Self::Decimal {
                precision: u8::try_from(found.precision?).ok()?,
                scale: i8::try_from(found.scale?).ok()?,
            },
            "character varying" | "text" => Self::Text,
            _ => return None,
        })
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::SmallInt => "SMALLINT",
            Self::Integer => "INTEGER",
            Self::BigInt => "BIGINT",
            Self::Real => "REAL",
            Self::Double => "DOUBLE PRECISION",
            Self::Boolean => "BOOLEAN",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
            Self::TimestampTz => "TIMESTAMPTZ",
            Self::Text => "VARCHAR(65535)",
            Self::Decimal { precision, scale } => return write!(formatter, "DECIMAL({precision},{scale})"),
        })
    }
}

/// A column of a table that the loader makes or fills.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Column {
    /// Name.
    pub name: Identifier,
    /// Type.
    pub kind: ColumnType,
}

impl Column {
    /// The column that takes a Gold column.
    pub fn from_arrow(table: &str, field: &Field) -> Result<Self, LoadError> {
        let bad = |reason: String| LoadError::BadColumn {
            table: table.to_owned(),
            column: field.name().clone(),
            reason,
        };
        let name = Identifier::new(field.name()).map_err(|error| bad(error.to_string()))?;
        let kind = ColumnType::from_arrow(field.data_type()).ok_or_else(|| {
            bad(format!(
                "type {} has no place in the warehouse; cast it in the model",
                field.data_type()
            ))
        })?;
        Ok(Self { name, kind })
    }
}

/// A column as the warehouse's catalogue has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundColumn {
    /// Name.
    pub name: String,
    /// Type in the catalogue's words.
    pub declared: String,
    /// Digits of a number.
    pub precision: Option<i64>,
    /// Digits after the point.
    pub scale: Option<i64>,
}

/// What must happen to a table before it can be filled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Evolution {
    /// It is as it must be.
    Nothing,
    /// It is not there.
    Create,
    /// Columns are missing.
    Add(Vec<Column>),
}

/// Compares a table with what Gold has. Only additions are made; anything else is somebody's decision.
pub fn evolve(table: &Identifier, wanted: &[Column], found: &[FoundColumn]) -> Result<Evolution, LoadError> {
    if found.is_empty() {
        return Ok(Evolution::Create);
    }
    let mut differences = Vec::new();
    let mut missing = Vec::new();
    for column in wanted {
        match found.iter().find(|found| found.name == column.name.as_str()) {
            None => missing.push(column.clone()),
            Some(found) if ColumnType::from_catalogue(found) == Some(column.kind) => {}
            Some(found) => differences.push(format!(
                "column {} is {} in the warehouse and {} in Gold",
                column.name.as_str(),
                described(found),
                column.kind
            )),
        }
    }
    for found in found {
        if !wanted.iter().any(|column| column.name.as_str() == found.name) {
            differences.push(format!("column {} is in the warehouse and not in Gold", found.name));
        }
    }
    if !differences.is_empty() {
        return Err(LoadError::TableDiffers {
            table: table.as_str().to_owned(),
            differences: differences.join("; "),
        });
    }
    Ok(if missing.is_empty() {
        Evolution::Nothing
    } else {
        Evolution::Add(missing)
    })
}

fn described(found: &FoundColumn) -> String {
    match (found.precision, found.scale) {
        (Some(precision), Some(scale)) if found.declared == "numeric" => format!("numeric({precision},{scale})"),
        _ => found.declared.clone(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn column(name: &str, kind: ColumnType) -> Column {
        Column {
            name: Identifier::new(name).expect("a name"),
            kind,
        }
    }

    fn found(name: &str, declared: &str, digits: Option<(i64, i64)>) -> FoundColumn {
        FoundColumn {
            name: name.to_owned(),
            declared: declared.to_owned(),
            precision: digits.map(|(precision, _)| precision),
            scale: digits.map(|(_, scale)| scale),
        }
    }

    fn orders() -> Identifier {
        Identifier::new("orders").expect("a name")
    }

    #[rstest]
    #[case(DataType::Utf8, "VARCHAR(65535)")]
    #[case(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), "TIMESTAMPTZ")]
    #[case(DataType::Timestamp(TimeUnit::Microsecond, None), "TIMESTAMP")]
    #[case(DataType::Date32, "DATE")]
    #[case(DataType::Int64, "BIGINT")]
    #[case(DataType::Boolean, "BOOLEAN")]
    #[case(DataType::Float64, "DOUBLE PRECISION")]
    #[case(DataType::Decimal128(18, 2), "DECIMAL(18,2)")]
    fn the_type_table(#[case] arrow: DataType, #[case] sql: &str) {
        assert_eq!(ColumnType::from_arrow(&arrow).expect("a type").to_string(), sql);
    }

    #[test]
    fn a_nested_column_is_refused_by_name() {
        let field = Field::new("tags", DataType::new_list(DataType::Utf8, true), true);
        let error = Column::from_arrow("orders", &field).expect_err("refused").to_string();
        assert!(
            error.contains("orders") && error.contains("tags") && error.contains("cast it"),
            "{error}"
        );
    }

    #[test]
    fn what_gold_has_more_is_added() {
        let wanted = [column("id", ColumnType::Text), column("gift", ColumnType::Boolean)];
        let there = [found("id", "character varying", None)];
        assert_eq!(
            evolve(&orders(), &wanted, &there).expect("additive"),
            Evolution::Add(vec![wanted[1].clone()])
        );
        assert_eq!(evolve(&orders(), &wanted, &[]).expect("new"), Evolution::Create);
    }

    #[test]
    fn a_retyped_and_a_dropped_column_are_both_said() {
        let wanted = [column(
            "amount",
            ColumnType::Decimal {
                precision: 18,
                scale: 4,
            },
        )];
        let there = [
            found("amount", "numeric", Some((18, 2))),
            found("note", "character varying", None),
        ];
        let error = evolve(&orders(), &wanted, &there).expect_err("differs").to_string();
        assert!(
            error.contains("amount is numeric(18,2) in the warehouse and DECIMAL(18,4) in Gold"),
            "{error}"
        );
        assert!(error.contains("note is in the warehouse and not in Gold"), "{error}");
    }
}
