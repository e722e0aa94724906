//! Compares the schemas of files and tables, and turns Arrow schemas into Delta ones. No network.

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use delta_kernel::engine::arrow_conversion::TryFromArrow;
use delta_kernel::schema::{StructField, StructType};

/// A table's schema. Every column is nullable: only then can a column be added later, and an old file be read.
pub(crate) fn to_delta(schema: &Schema) -> Result<StructType, String> {
    StructType::try_from_arrow(&nullable(schema)).map_err(|error| error.to_string())
}

pub(crate) fn field_to_delta(field: &Field) -> Result<StructField, String> {
    StructField::try_from_arrow(&field.clone().with_nullable(true)).map_err(|error| error.to_string())
}

pub(crate) fn nullable(schema: &Schema) -> Schema {
    Schema::new(
        schema
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_nullable(true))
            .collect::<Vec<_>>(),
    )
}

/// Says why a file of one schema cannot be read as part of a table of the other.
///
/// Columns that the file lacks are null. A column that the table does not have, one of another type, and a partition
/// column inside the file are refused: readers would fail on them or disagree.
pub(crate) fn file_fits(file: &Schema, table: &Schema, partition_columns: &[String]) -> Result<(), String> {
    for field in file.fields() {
        let name = field.name();
        if partition_columns.contains(name) {
            return Err(format!(
                "column {name} is a partition column and must not be inside the file"
            ));
        }
        let Ok(wanted) = table.field_with_name(name) else {
            return Err(format!("the table has no column {name}"));
        };
        if !same_type(field.data_type(), wanted.data_type()) {
            return Err(format!(
                "column {name} is {}, the table has {}",
                field.data_type(),
                wanted.data_type()
            ));
        }
    }
    Ok(())
}

/// Says what keeps a writer that expects one schema from writing to a table that has the other. Additional columns on
/// either side do not: the table's are null, the writer's are added with its first commit.
pub(crate) fn table_fits(expected: &Schema, table: &Schema) -> Result<(), String> {
    for field in expected.fields() {
        let Ok(found) = table.field_with_name(field.name()) else {
            continue;
        };
        if !same_type(field.data_type(), found.data_type()) {
            return Err(format!(
                "column {} should be {} but is {}",
                field.name(),
                field.data_type(),
                found.data_type()
            ));
        }
    }
    Ok(())
}

/// Whether both types are one and the same to a reader of Delta.
fn same_type(one: &DataType, other: &DataType) -> bool {
    match (one, other) {
        (
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View,
        )
        | (
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView,
        ) => true,
        (DataType::Timestamp(TimeUnit::Microsecond, one), DataType::Timestamp(TimeUnit::Microsecond, other)) => {
            // Parquet knows only "adjusted to UTC" and "not"; the zone's name is decoration.
            one.is_some() == other.is_some()
        }
        (
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale),
            DataType::Decimal32(other_precision, other_scale)
            | DataType::Decimal64(other_precision, other_scale)
            | DataType::Decimal128(other_precision, other_scale),
        ) => (precision, scale) == (other_precision, other_scale),
        (DataType::Struct(one), DataType::Struct(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| one.name() == other.name() && same_type(one.data_type(), other.data_type()))
        }
        (DataType::List(one) | DataType::LargeList(one), DataType::List(other) | DataType::LargeList(other)) => {
            same_type(one.data_type(), other.data_type())
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, data_type: DataType) -> Schema {
        Schema::new(vec![Field::new(name, data_type, true)])
    }

    #[test]
    fn a_file_may_lack_columns_and_spell_types_its_own_way() {
        let table = Schema::new(vec![
            Field::new("id", DataType::Utf8, true),
            Field::new(
                "at",
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                true,
            ),
            Field::new("amount", DataType::Decimal128(18, 2), true),
        ]);
        let at = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
        assert_eq!(file_fits(&one("at", at), &table, &[]), Ok(()));
        assert_eq!(file_fits(&one("id", DataType::LargeUtf8), &table, &[]), Ok(()));
        assert_eq!(
            file_fits(&one("amount", DataType::Decimal64(18, 2)), &table, &[]),
            Ok(())
        );
    }

    #[test]
    fn a_file_that_would_break_readers_is_refused_with_the_column_named() {
        let table = one("amount", DataType::Decimal128(18, 2));
        let refused = |file: Schema| file_fits(&file, &table, &["part_day".to_owned()]).expect_err("refused");
        assert!(refused(one("amount", DataType::Float64)).contains("amount is Float64"));
        assert!(refused(one("amount", DataType::Decimal128(18, 4))).contains("amount"));
        assert!(refused(one("other", DataType::Utf8)).contains("no column other"));
        assert!(refused(one("part_day", DataType::Utf8)).contains("partition column"));
        let local = one("at", DataType::Timestamp(TimeUnit::Microsecond, None));
        let utc = one("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
        assert!(file_fits(&local, &utc, &[]).is_err());
    }
}
