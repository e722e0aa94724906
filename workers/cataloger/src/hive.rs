//! Types of the lake in the words of Hive, which Glue stores and Athena reads. No network.

use arrow::datatypes::{DataType, Field};

/// The type's word; `Err`: the type that has none.
pub fn type_name(data_type: &DataType) -> Result<String, DataType> {
    Ok(match data_type {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, _) => "timestamp".to_owned(),
        DataType::List(item) | DataType::LargeList(item) => format!("array<{}>", type_name(item.data_type())?),
        DataType::Struct(fields) => {
            let fields: Result<Vec<String>, DataType> = fields.iter().map(|field| member(field)).collect();
            format!("struct<{}>", fields?.join(","))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                let (key, value) = (type_name(pair[0].data_type())?, type_name(pair[1].data_type())?);
                format!("map<{key},{value}>")
            }
            _ => return Err(data_type.clone()),
        },
        other => return Err(other.clone()),
    })
}

fn member(field: &Field) -> Result<String, DataType> {
    Ok(format!(
        "{}:{}",
        field.name().to_lowercase(),
        type_name(field.data_type())?
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Fields, TimeUnit};
    use rstest::rstest;

    use super::*;

    fn nested() -> DataType {
        let money = Field::new("Money", DataType::Decimal128(18, 2), true);
        let tags = Field::new("item", DataType::Utf8, true);
        DataType::Struct(Fields::from(vec![
            money,
            Field::new("tags", DataType::List(Arc::new(tags)), true),
        ]))
    }

    fn map() -> DataType {
        let entries = Fields::from(vec![
            Field::new("keys", DataType::Utf8, false),
            Field::new("values", DataType::Int64, true),
        ]);
        DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
    }

    #[rstest]
    #[case::text(DataType::Utf8, "string")]
    #[case::whole(DataType::Int64, "bigint")]
    #[case::money(DataType::Decimal128(38, 9), "decimal(38,9)")]
    #[case::day(DataType::Date32, "date")]
    #[case::moment(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), "timestamp")]
    #[case::nested(nested(), "struct<money:decimal(18,2),tags:array<string>>")]
    #[case::map(map(), "map<string,bigint>")]
    fn each_type_of_a_delta_table_has_its_word(#[case] data_type: DataType, #[case] word: &str) {
        assert_eq!(type_name(&data_type), Ok(word.to_owned()));
    }

    #[test]
    fn a_type_that_no_delta_table_has_is_named() {
        assert_eq!(type_name(&DataType::Null), Err(DataType::Null));
    }
}
