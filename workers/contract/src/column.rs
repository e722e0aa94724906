//! The one type table: JSON Schema to Arrow (and so Delta), `DuckDB` and Redshift. No network.

use arrow::datatypes::{DataType, Field, TimeUnit};

/// One column of Bronze.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Column {
    /// Name, the same everywhere.
    pub name: String,
    /// Type.
    pub kind: ColumnType,
}

/// Type of a column.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ColumnType {
    /// A string.
    Text,
    /// A string with format date-time: an instant, to the microsecond.
    Timestamp,
    /// A string with format date.
    Date,
    /// An integer.
    Integer,
    /// A boolean.
    Boolean,
    /// A number without `x-decimal`.
    Double,
    /// A number or string with `x-decimal`.
    Decimal {
        /// All digits, at most 38.
        precision: u8,
        /// Digits after the decimal point.
        scale: u8,
    },
    /// Anything else: its JSON text.
    Json,
}

impl Column {
    pub(crate) fn new(name: impl Into<String>, kind: ColumnType) -> Self {
        Self {
            name: name.into(),
            kind,
        }
    }

    /// The Arrow field. Every column is nullable: a change whose payload does not fit the contract is still a row.
    pub fn arrow_field(&self) -> Field {
        Field::new(&self.name, self.kind.arrow(), true)
    }
}

impl ColumnType {
    /// Name of the Arrow type.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text | Self::Json => DataType::Utf8,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Date => DataType::Date32,
            Self::Integer => DataType::Int64,
            Self::Boolean => DataType::Boolean,
            Self::Double => DataType::Float64,
            // Precision is at most 38, so the scale fits.
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale.cast_signed()),
        }
    }

    /// Name of the `DuckDB` type.
    pub fn duckdb(self) -> String {
        match self {
            Self::Text | Self::Json => "VARCHAR".to_owned(),
            Self::Timestamp => "TIMESTAMPTZ".to_owned(),
            Self::Date => "DATE".to_owned(),
            Self::Integer => "BIGINT".to_owned(),
            Self::Boolean => "BOOLEAN".to_owned(),
            Self::Double => "DOUBLE".to_owned(),
            Self::Decimal { precision, scale } => format!("DECIMAL({precision},{scale})"),
        }
    }

    /// Name of the Redshift type.
    pub fn redshift(self) -> String {
        match self {
            Self::Text | Self::Json => "VARCHAR(65535)".to_owned(),
            Self::Double => "DOUBLE PRECISION".to_owned(),
            other => other.duckdb(),
        }
    }
}

/// Whether a column of Bronze is the product's own; no property of a contract may have such a name.
pub(crate) fn is_metadata(name: &str) -> bool {
    name.starts_with('_')
}

/// The columns that say what a row is, before the contract's own.
pub(crate) fn metadata_columns() -> Vec<Column> {
    [
        ("_change", ColumnType::Text),
        ("_key", ColumnType::Text),
        ("_event_id", ColumnType::Text),
        ("_event_time", ColumnType::Timestamp),
        ("_version", ColumnType::Integer),
        ("_contract", ColumnType::Text),
        ("_digest", ColumnType::Text),
        ("_changed_at", ColumnType::Timestamp),
        ("_shard", ColumnType::Text),
        ("_sequence", ColumnType::Text),
        ("_source", ColumnType::Text),
    ]
    .into_iter()
    .map(|(name, kind)| Column::new(name, kind))
    .collect()
}

/// The column of what the contract does not name, after the contract's own.
pub(crate) fn extra_column() -> Column {
    Column::new("_extra", ColumnType::Json)
}
