//! What a file's statistics prove: that a column holds one value in all rows. No network.

use jiff::Span;
use jiff::civil::{Date, date};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

use crate::column::ColumnType;

/// The day from which the lake counts.
const EPOCH: Date = date(1970, 1, 1);

/// The text of the one value that the column at a place holds in every row, none of them null; `None` if the statistics
/// do not prove that there is one. Only types whose text is the same everywhere are looked at. All columns are flat, so
/// the place among the columns is the place among the file's leaves.
pub fn constant(metadata: &ParquetMetaData, place: usize, kind: ColumnType) -> Option<String> {
    let mut value = None;
    for group in metadata.row_groups() {
        let statistics = group.columns().get(place)?.statistics()?;
        if statistics.null_count_opt() != Some(0) {
            return None;
        }
        let this = single(statistics, kind)?;
        if value.get_or_insert_with(|| this.clone()) != &this {
            return None;
        }
    }
    value
}

fn single(statistics: &Statistics, kind: ColumnType) -> Option<String> {
    match (kind, statistics) {
        (ColumnType::Date, Statistics::Int32(bounds)) => {
            let days = Span::new().try_days(*equal(bounds.min_opt(), bounds.max_opt())?).ok()?;
            EPOCH.checked_add(days).ok().map(|day| day.to_string())
        }
        (ColumnType::SmallInt | ColumnType::Integer, Statistics::Int32(bounds)) => {
            equal(bounds.min_opt(), bounds.max_opt()).map(ToString::to_string)
        }
        (ColumnType::BigInt, Statistics::Int64(bounds)) => {
            equal(bounds.min_opt(), bounds.max_opt()).map(ToString::to_string)
        }
        // Long texts are cut in statistics.
        (ColumnType::Text, Statistics::ByteArray(bounds)) if bounds.min_is_exact() && bounds.max_is_exact() => {
            equal(bounds.min_opt(), bounds.max_opt())?
                .as_utf8()
                .ok()
                .map(str::to_owned)
        }
        _ => None,
    }
}

fn equal<'v, T: PartialEq>(least: Option<&'v T>, greatest: Option<&'v T>) -> Option<&'v T> {
    least.filter(|least| greatest == Some(*least))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::ParquetMetaDataReader;
    use parquet::file::properties::WriterProperties;
    use rstest::rstest;

    use super::*;

    /// A file of one column with at most two rows in a row group.
    fn file(column: ArrayRef) -> ParquetMetaData {
        let batch = RecordBatch::try_from_iter_with_nullable([("c", column, true)]).expect("a batch");
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("a writer");
        writer.write(&batch).expect("written");
        let bytes = writer.into_inner().expect("a file");
        ParquetMetaDataReader::new()
            .parse_and_finish(&bytes::Bytes::from(bytes))
            .expect("a footer")
    }

    #[rstest]
    #[case::day(Arc::new(Date32Array::from(vec![14_944; 3])), ColumnType::Date, Some("2010-12-01"))]
    #[case::before_the_epoch(Arc::new(Date32Array::from(vec![-1])), ColumnType::Date, Some("1969-12-31"))]
    #[case::text(Arc::new(StringArray::from(vec!["GB", "GB"])), ColumnType::Text, Some("GB"))]
    #[case::number(Arc::new(Int64Array::from(vec![7, 7])), ColumnType::BigInt, Some("7"))]
    #[case::two_days(Arc::new(Date32Array::from(vec![1, 2])), ColumnType::Date, None)]
    #[case::another_day_in_another_row_group(Arc::new(Date32Array::from(vec![1, 1, 2])), ColumnType::Date, None)]
    #[case::a_null(Arc::new(Date32Array::from(vec![Some(1), None])), ColumnType::Date, None)]
    fn only_one_value_in_all_rows_is_proof(
        #[case] column: ArrayRef,
        #[case] kind: ColumnType,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(constant(&file(column), 0, kind).as_deref(), expected);
    }

    #[test]
    fn long_texts_that_differ_at_their_end_are_not_taken_for_one() {
        let (one, other) = (format!("{}a", "x".repeat(5000)), format!("{}b", "x".repeat(5000)));
        let column = Arc::new(StringArray::from(vec![one, other]));
        assert_eq!(constant(&file(column), 0, ColumnType::Text), None);
    }
}
