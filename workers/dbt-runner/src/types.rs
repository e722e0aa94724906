//! `DuckDB`'s names of types and Arrow's. No network.

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use crate::error::RunError;
use crate::protocol::{Column, TableModel};

/// The columns of a table in the lake, as `DuckDB` types.
pub fn to_columns(table: &str, schema: &Schema) -> Result<Vec<Column>, RunError> {
    schema
        .fields()
        .iter()
        .map(|field| {
            let kind = to_duckdb(field.data_type()).ok_or_else(|| {
                RunError::Unfit(format!(
                    "{table}: column {} has type {}, which models cannot read",
                    field.name(),
                    field.data_type()
                ))
            })?;
            Ok(Column {
                name: field.name().clone(),
                kind,
            })
        })
        .collect()
}

/// The schema of a published table, partition columns included.
pub fn to_schema(model: &TableModel) -> Result<Schema, RunError> {
    let fields = model
        .columns
        .iter()
        .map(|column| {
            let data_type = to_arrow(&column.kind).ok_or_else(|| {
                RunError::Unfit(format!(
                    "{}: column {} has type {}, which tables of the lake cannot have; cast it, for example a sum of \
                     integers to bigint",
                    model.name, column.name, column.kind
                ))
            })?;
            Ok(Field::new(&column.name, data_type, true))
        })
        .collect::<Result<Vec<_>, RunError>>()?;
    Ok(Schema::new(fields))
}

fn to_arrow(kind: &str) -> Option<DataType> {
    Some(match kind {
        "VARCHAR" => DataType::Utf8,
        "BOOLEAN" => DataType::Boolean,
        "SMALLINT" => DataType::Int16,
        "INTEGER" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "FLOAT" => DataType::Float32,
        "DOUBLE" => DataType::Float64,
        "DATE" => DataType::Date32,
        "TIMESTAMP WITH TIME ZONE" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        other => {
            let (precision, scale) = other.strip_prefix("DECIMAL(")?.strip_suffix(')')?.split_once(',')?;
            DataType::Decimal128(precision.parse().ok()?, scale.parse().ok()?)
        }
    })
}

fn to_duckdb(data_type: &DataType) -> Option<String> {
    Some(match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INTEGER".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision},{scale})"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("VARCHAR")]
    #[case("BIGINT")]
    #[case("DECIMAL(28,2)")]
    #[case("TIMESTAMP WITH TIME ZONE")]
    #[case("DATE")]
    #[case("BOOLEAN")]
    fn a_published_type_is_read_back_as_it_was_declared(#[case] kind: &str) {
        assert_eq!(
            to_arrow(kind).and_then(|data_type| to_duckdb(&data_type)).as_deref(),
            Some(kind)
        );
    }

    #[rstest]
    #[case::a_sum_of_integers("HUGEINT")]
    #[case::a_local_time("TIMESTAMP")]
    #[case::a_list("VARCHAR[]")]
    #[case::nonsense("DECIMAL(x,y)")]
    fn a_type_that_tables_cannot_have_is_refused(#[case] kind: &str) {
        assert_eq!(to_arrow(kind), None);
    }
}
