//! Says which Parquet column may go into which table column; touches no network.

use arrow::datatypes::{DataType, TimeUnit};
use parquet::schema::types::ColumnDescriptor;

/// A column of the table, by PostgreSQL's names of the types that Redshift shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    pub name: String,
    pub type_name: String,
    /// Length or precision and scale, as PostgreSQL packs them; -1 without.
    pub modifier: i32,
}

impl TableColumn {
    /// In bytes, as Redshift counts.
    pub fn maximum_bytes(&self) -> Option<usize> {
        let limited = matches!(self.type_name.as_str(), "varchar" | "bpchar") && self.modifier >= 4;
        limited.then(|| usize::try_from(self.modifier - 4).unwrap_or(0))
    }

    fn precision_and_scale(&self) -> Option<(i32, i32)> {
        (self.modifier >= 4).then(|| (((self.modifier - 4) >> 16) & 0xffff, (self.modifier - 4) & 0x7ff))
    }

    /// As Redshift writes the type in its messages.
    pub fn redshift_type(&self) -> String {
        let length = self
            .maximum_bytes()
            .map(|length| format!("({length})"))
            .unwrap_or_default();
        match self.type_name.as_str() {
            "int2" => "SMALLINT".to_owned(),
            "int4" => "INT".to_owned(),
            "int8" => "BIGINT".to_owned(),
            "float4" => "REAL".to_owned(),
            "float8" => "DOUBLE".to_owned(),
            "bool" => "BOOLEAN".to_owned(),
            "varchar" | "text" => format!("VARCHAR{length}"),
            "bpchar" => format!("CHAR{length}"),
            "numeric" => self
                .precision_and_scale()
                .map_or("DECIMAL".to_owned(), |(precision, scale)| {
                    format!("DECIMAL({precision}, {scale})")
                }),
            other => other.to_uppercase(),
        }
    }

    /// No conversion between kinds or widths: an INT64 file column does not load into INT, nor a wider decimal into a narrower.
    pub fn takes(&self, file_type: &DataType) -> bool {
        match (self.type_name.as_str(), file_type) {
            ("int2", DataType::Int8 | DataType::Int16)
            | ("int4", DataType::Int32)
            | ("int8", DataType::Int64)
            | ("float4", DataType::Float32)
            | ("float8", DataType::Float64)
            | ("bool", DataType::Boolean)
            | ("varchar" | "text" | "bpchar", DataType::Utf8 | DataType::Binary)
            | ("date", DataType::Date32)
            | (
                "timestamp",
                DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond, _),
            )
            | (
                "timestamptz",
                DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond, Some(_)),
            ) => true,
            ("numeric", DataType::Decimal128(file_precision, file_scale)) => {
                self.precision_and_scale().is_some_and(|(precision, scale)| {
                    i32::from(*file_scale) == scale && i32::from(*file_precision) <= precision
                })
            }
            _ => false,
        }
    }
}

/// A column of a file as Redshift's messages show it.
pub fn parquet_type(column: &ColumnDescriptor, index: usize) -> String {
    let optional = if column.max_def_level() > 0 {
        "optional"
    } else {
        "required"
    };
    let logical = column
        .logical_type_ref()
        .map(|logical| format!(" ({logical:?})"))
        .unwrap_or_default();
    format!(
        "{optional} {} {}{logical} [i:{index} d:{} r:{}]",
        column.physical_type().to_string().to_lowercase(),
        column.name(),
        column.max_def_level(),
        column.max_rep_level()
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn column(type_name: &str, modifier: i32) -> TableColumn {
        TableColumn {
            name: "c".to_owned(),
            type_name: type_name.to_owned(),
            modifier,
        }
    }

    fn decimal(precision: i32, scale: i32) -> TableColumn {
        column("numeric", ((precision << 16) | scale) + 4)
    }

    #[rstest]
    #[case(column("int4", -1), DataType::Int64, false)]
    #[case(column("int8", -1), DataType::Int32, false)]
    #[case(column("int8", -1), DataType::Int64, true)]
    #[case(column("float8", -1), DataType::Float32, false)]
    #[case(column("varchar", 259), DataType::Utf8, true)]
    #[case(column("varchar", 259), DataType::Int64, false)]
    #[case(decimal(18, 2), DataType::Decimal128(18, 2), true)]
    #[case(decimal(18, 2), DataType::Decimal128(9, 2), true)]
    #[case(decimal(18, 2), DataType::Decimal128(38, 2), false)]
    #[case(decimal(18, 2), DataType::Decimal128(18, 4), false)]
    #[case(decimal(18, 2), DataType::Float64, false)]
    #[case(column("timestamptz", -1), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true)]
    #[case(column("timestamptz", -1), DataType::Timestamp(TimeUnit::Microsecond, None), false)]
    #[case(column("timestamp", -1), DataType::Timestamp(TimeUnit::Microsecond, None), true)]
    #[case(column("date", -1), DataType::Timestamp(TimeUnit::Microsecond, None), false)]
    fn nothing_is_converted_on_the_way(#[case] column: TableColumn, #[case] file_type: DataType, #[case] takes: bool) {
        assert_eq!(column.takes(&file_type), takes);
    }

    #[test]
    fn types_are_named_as_in_redshift() {
        assert_eq!(decimal(18, 4).redshift_type(), "DECIMAL(18, 4)");
        assert_eq!(column("varchar", 65_539).redshift_type(), "VARCHAR(65535)");
        assert_eq!(column("int8", -1).redshift_type(), "BIGINT");
    }
}
