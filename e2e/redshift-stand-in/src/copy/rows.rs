//! Writes Arrow values as the text rows that PostgreSQL's COPY reads, decimals and times exact; touches no network.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, PrimitiveArray, RecordBatch,
    StringArray,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use bytes::{BufMut, BytesMut};
use jiff::{Timestamp, ToSpan, civil};
use thiserror::Error;

use super::columns::TableColumn;

#[derive(Debug, Error, PartialEq, Eq)]
pub enum RowError {
    #[error(
        "The length of the data column {column} is longer than the length defined in the table. Table: {table}, Data: {data}"
    )]
    TooLong { column: String, table: usize, data: usize },
    #[error("column {column} holds bytes that are not UTF-8")]
    NotText { column: String },
    #[error("column {column} holds a value out of range: {value}")]
    OutOfRange { column: String, value: i64 },
    #[error("column {column} has a type that cannot be read: {data_type}")]
    Unreadable { column: String, data_type: String },
}

enum Values<'a> {
    Boolean(&'a BooleanArray),
    Int8(&'a PrimitiveArray<Int8Type>),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a Decimal128Array),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a Date32Array),
    Millisecond(&'a PrimitiveArray<TimestampMillisecondType>),
    Microsecond(&'a PrimitiveArray<TimestampMicrosecondType>),
    Nanosecond(&'a PrimitiveArray<TimestampNanosecondType>),
}

struct ColumnWriter<'a> {
    column: &'a TableColumn,
    array: &'a ArrayRef,
    values: Values<'a>,
}

/// All rows of a batch. Columns of the table that the batch has not are null.
pub fn write_batch(batch: &RecordBatch, columns: &[TableColumn], output: &mut BytesMut) -> Result<(), RowError> {
    let writers = batch
        .columns()
        .iter()
        .zip(columns)
        .map(|(array, column)| ColumnWriter::new(array, column))
        .collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        for index in 0..columns.len() {
            if index > 0 {
                output.put_u8(b'\t');
            }
            match writers.get(index) {
                Some(writer) if !writer.array.is_null(row) => writer.write(row, output)?,
                _ => output.put_slice(b"\\N"),
            }
        }
        output.put_u8(b'\n');
    }
    Ok(())
}

impl<'a> ColumnWriter<'a> {
    fn new(array: &'a ArrayRef, column: &'a TableColumn) -> Result<Self, RowError> {
        let values = match array.data_type() {
            DataType::Boolean => Values::Boolean(array.as_boolean()),
            DataType::Int8 => Values::Int8(array.as_primitive()),
            DataType::Int16 => Values::Int16(array.as_primitive()),
            DataType::Int32 => Values::Int32(array.as_primitive()),
            DataType::Int64 => Values::Int64(array.as_primitive()),
            DataType::Float32 => Values::Float32(array.as_primitive()),
            DataType::Float64 => Values::Float64(array.as_primitive()),
            DataType::Decimal128(..) => Values::Decimal(array.as_primitive()),
            DataType::Utf8 => Values::Text(array.as_string()),
            DataType::Binary => Values::Bytes(array.as_binary()),
            DataType::Date32 => Values::Date(array.as_primitive()),
            DataType::Timestamp(TimeUnit::Millisecond, _) => Values::Millisecond(array.as_primitive()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Values::Microsecond(array.as_primitive()),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Values::Nanosecond(array.as_primitive()),
            other => {
                return Err(RowError::Unreadable {
                    column: column.name.clone(),
                    data_type: other.to_string(),
                });
            }
        };
        Ok(Self { column, array, values })
    }

    fn write(&self, row: usize, output: &mut BytesMut) -> Result<(), RowError> {
        match &self.values {
            Values::Boolean(values) => output.put_u8(if values.value(row) { b't' } else { b'f' }),
            Values::Int8(values) => put_display(values, row, output),
            Values::Int16(values) => put_display(values, row, output),
            Values::Int32(values) => put_display(values, row, output),
            Values::Int64(values) => put_display(values, row, output),
            Values::Float32(values) => put_display(values, row, output),
            Values::Float64(values) => put_display(values, row, output),
            Values::Decimal(values) => output.put_slice(values.value_as_string(row).as_bytes()),
            Values::Text(values) => self.write_text(values.value(row), output)?,
            Values::Bytes(values) => {
                let text = std::str::from_utf8(values.value(row)).map_err(|_| RowError::NotText {
                    column: self.column.name.clone(),
                })?;
                self.write_text(text, output)?;
            }
            Values::Date(values) => {
                let days = i64::from(values.value(row));
                let date = civil::date(1970, 1, 1)
                    .checked_add(days.days())
                    .map_err(|_| self.out_of_range(days))?;
                output.put_slice(date.to_string().as_bytes());
            }
            Values::Millisecond(values) => self.write_time(
                Timestamp::from_millisecond(values.value(row)),
                values.value(row),
                output,
            )?,
            Values::Microsecond(values) => self.write_time(
                Timestamp::from_microsecond(values.value(row)),
                values.value(row),
                output,
            )?,
            Values::Nanosecond(values) => {
                // The warehouse keeps microseconds.
                let microseconds = values.value(row).div_euclid(1_000);
                self.write_time(Timestamp::from_microsecond(microseconds), microseconds, output)?;
            }
        }
        Ok(())
    }

    fn write_text(&self, text: &str, output: &mut BytesMut) -> Result<(), RowError> {
        if let Some(table) = self.column.maximum_bytes().filter(|maximum| text.len() > *maximum) {
            return Err(RowError::TooLong {
                column: self.column.name.clone(),
                table,
                data: text.len(),
            });
        }
        for byte in text.bytes() {
            match byte {
                b'\\' => output.put_slice(b"\\\\"),
                b'\t' => output.put_slice(b"\\t"),
                b'\n' => output.put_slice(b"\\n"),
                b'\r' => output.put_slice(b"\\r"),
                other => output.put_u8(other),
            }
        }
        Ok(())
    }

    /// With its zone: PostgreSQL reads it for `timestamptz` and passes over it for `timestamp`.
    fn write_time(
        &self,
        time: Result<Timestamp, jiff::Error>,
        value: i64,
        output: &mut BytesMut,
    ) -> Result<(), RowError> {
        output.put_slice(time.map_err(|_| self.out_of_range(value))?.to_string().as_bytes());
        Ok(())
    }

    fn out_of_range(&self, value: i64) -> RowError {
        RowError::OutOfRange {
            column: self.column.name.clone(),
            value,
        }
    }
}

fn put_display<Kind>(values: &PrimitiveArray<Kind>, row: usize, output: &mut BytesMut)
where
    Kind: ArrowPrimitiveType,
    Kind::Native: std::fmt::Display,
{
    output.put_slice(values.value(row).to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, TimestampMicrosecondArray};

    use super::*;

    fn column(name: &str, type_name: &str, modifier: i32) -> TableColumn {
        TableColumn {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            modifier,
        }
    }

    fn written(batch: &RecordBatch, columns: &[TableColumn]) -> Result<String, RowError> {
        let mut output = BytesMut::new();
        write_batch(batch, columns, &mut output)?;
        Ok(String::from_utf8(output.to_vec()).unwrap())
    }

    #[test]
    fn money_and_time_keep_every_digit() {
        let batch = RecordBatch::try_from_iter([
            (
                "total",
                Arc::new(
                    Decimal128Array::from(vec![Some(-5), None, Some(i128::pow(10, 37))])
                        .with_precision_and_scale(38, 2)
                        .unwrap(),
                ) as ArrayRef,
            ),
            (
                "at",
                Arc::new(
                    TimestampMicrosecondArray::from(vec![Some(1_323_429_960_000_001), Some(-1), None])
                        .with_timezone("UTC"),
                ) as ArrayRef,
            ),
            (
                "day",
                Arc::new(Date32Array::from(vec![Some(15_317), Some(-1), None])) as ArrayRef,
            ),
        ])
        .unwrap();
        let columns = [
            column("total", "numeric", -1),
            column("at", "timestamptz", -1),
            column("day", "date", -1),
        ];
        assert_eq!(
            written(&batch, &columns).unwrap(),
            "-0.05\t2011-12-09T11:26:00.000001Z\t2011-12-09\n\\N\t1969-12-31T23:59:59.999999Z\t1969-12-31\n100000000000000000000000000000000000.00\t\\N\t\\N\n"
        );
    }

    #[test]
    fn text_cannot_break_out_of_its_field() {
        let batch = RecordBatch::try_from_iter([(
            "a",
            Arc::new(StringArray::from(vec![Some("tab\tnew\nline\\N"), Some(""), None])) as ArrayRef,
        )])
        .unwrap();
        assert_eq!(
            written(&batch, &[column("a", "text", -1)]).unwrap(),
            "tab\\tnew\\nline\\\\N\n\n\\N\n"
        );
    }

    #[test]
    fn length_is_counted_in_bytes() {
        let batch = RecordBatch::try_from_iter([("a", Arc::new(StringArray::from(vec!["ééé"])) as ArrayRef)]).unwrap();
        let error = written(&batch, &[column("a", "varchar", 5 + 4)]).unwrap_err();
        assert_eq!(
            error,
            RowError::TooLong {
                column: "a".to_owned(),
                table: 5,
                data: 6
            }
        );
    }

    #[test]
    fn columns_that_the_file_lacks_are_null() {
        let batch = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
        assert_eq!(
            written(&batch, &[column("a", "int8", -1), column("b", "int8", -1)]).unwrap(),
            "1\t\\N\n"
        );
    }
}
