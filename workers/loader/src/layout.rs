//! How files are loaded: which of them together, and how rows get their partition values. No network.
//!
//! COPY binds columns by position, so files go together only if they hold the same columns in the same order. The
//! partition columns are not in the files, only in the log, one value per file. If a column of the files always says
//! the same as the partition (a day beside its text), as the files' own statistics prove, the rows get their value from
//! it and all partitions are copied at once; otherwise each partition is copied apart and gets its value as a literal.

use std::collections::{BTreeMap, BTreeSet};

use medallion_lake::DataFile;

use crate::column::{Column, ColumnType};
use crate::identifier::Identifier;

/// What the end of a file says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Footer {
    /// Rows in the file.
    pub rows: u64,
    /// The columns in the file's order.
    pub columns: Vec<Column>,
    /// Columns that hold one value in all rows, and that value as text.
    pub constants: BTreeMap<Identifier, String>,
}

/// A file of Gold, looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GoldFile {
    /// As the log has it.
    pub file: DataFile,
    /// As it says itself.
    pub footer: Footer,
}

/// Where the value of a partition column comes from.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Fill {
    /// All rows have this one.
    Literal(Option<String>),
    /// The text of this column.
    Column(Column),
}

/// Files that are copied together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Load {
    /// The columns in the files' order.
    pub columns: Vec<Column>,
    /// The partition columns.
    pub fills: BTreeMap<Identifier, Fill>,
    /// The files.
    pub files: Vec<GoldFile>,
}

/// Puts the files together that can be copied together. Files without rows are left out.
pub fn loads(files: Vec<GoldFile>, partition_columns: &[Identifier]) -> Vec<Load> {
    let with_rows: Vec<GoldFile> = files.into_iter().filter(|file| file.footer.rows > 0).collect();
    let proven: BTreeMap<&Identifier, Column> = partition_columns
        .iter()
        .filter_map(|column| Some((column, equal_column(column, &with_rows)?)))
        .collect();
    let mut loads: BTreeMap<Shape, Vec<GoldFile>> = BTreeMap::new();
    for file in with_rows {
        let values = partition_columns.iter().map(|column| {
            let fill = proven.get(column).map_or_else(
                || Fill::Literal(partition_value(&file, column).map(str::to_owned)),
                |proven| Fill::Column(proven.clone()),
            );
            (column.clone(), fill)
        });
        let shape = Shape {
            columns: file.footer.columns.clone(),
            fills: values.collect(),
        };
        loads.entry(shape).or_default().push(file);
    }
    loads
        .into_iter()
        .map(|(Shape { columns, fills }, files)| Load { columns, fills, files })
        .collect()
}

/// What files must share to be copied together.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
struct Shape {
    columns: Vec<Column>,
    fills: BTreeMap<Identifier, Fill>,
}

fn partition_value<'a>(file: &'a GoldFile, column: &Identifier) -> Option<&'a str> {
    file.file.partition.get(column.as_str())?.as_deref()
}

/// A column that says in every file what the partition column says. Not looked for where one literal does.
fn equal_column(partition_column: &Identifier, files: &[GoldFile]) -> Option<Column> {
    let values: BTreeSet<Option<&str>> = files
        .iter()
        .map(|file| partition_value(file, partition_column))
        .collect();
    if values.len() < 2 {
        return None;
    }
    let says_the_same = |column: &Column| {
        files.iter().all(|file| {
            file.footer.columns.contains(column)
                && file.footer.constants.get(&column.name).map(String::as_str)
                    == partition_value(file, partition_column)
                && file.footer.constants.contains_key(&column.name)
        })
    };
    let mut candidates: Vec<&Column> = files
        .first()?
        .footer
        .columns
        .iter()
        .filter(|column| says_the_same(column))
        .collect();
    // A day is the likeliest meaning of equal texts.
    candidates.sort_by_key(|column| column.kind != ColumnType::Date);
    candidates.first().copied().cloned()
}

#[cfg(test)]
mod tests {
    use medallion_lake::PartitionValues;

    use super::*;

    fn name(text: &str) -> Identifier {
        Identifier::new(text).expect("a name")
    }

    fn column(text: &str, kind: ColumnType) -> Column {
        Column { name: name(text), kind }
    }

    fn file(file: &str, day: Option<&str>, columns: &[Column], constants: &[(&str, &str)]) -> GoldFile {
        let partition = PartitionValues::from([("part_date".to_owned(), day.map(str::to_owned))]);
        GoldFile {
            file: DataFile {
                name: file.to_owned(),
                url: format!("s3://gold/t/{file}"),
                size: 10,
                rows: None,
                partition,
            },
            footer: Footer {
                rows: 2,
                columns: columns.to_vec(),
                constants: constants
                    .iter()
                    .map(|(column, value)| (name(column), (*value).to_owned()))
                    .collect(),
            },
        }
    }

    fn columns() -> [Column; 2] {
        [column("code", ColumnType::Text), column("ordered_on", ColumnType::Date)]
    }

    #[test]
    fn days_that_a_column_proves_are_copied_at_once() {
        let files = vec![
            file(
                "a",
                Some("2010-12-01"),
                &columns(),
                &[("ordered_on", "2010-12-01"), ("code", "2010-12-01")],
            ),
            file(
                "b",
                Some("2010-12-02"),
                &columns(),
                &[("ordered_on", "2010-12-02"), ("code", "2010-12-02")],
            ),
        ];
        let loads = loads(files, &[name("part_date")]);
        assert_eq!(loads.len(), 1);
        assert_eq!(loads[0].fills[&name("part_date")], Fill::Column(columns()[1].clone()));
        assert_eq!(loads[0].files.len(), 2);
    }

    #[test]
    fn one_file_that_does_not_prove_it_and_each_day_is_copied_apart() {
        let files = vec![
            file("a", Some("2010-12-01"), &columns(), &[("ordered_on", "2010-12-01")]),
            file("b", Some("2010-12-02"), &columns(), &[]),
            file("c", None, &columns(), &[]),
        ];
        let loads = loads(files, &[name("part_date")]);
        let values: Vec<&Fill> = loads.iter().map(|load| &load.fills[&name("part_date")]).collect();
        assert_eq!(
            values,
            [
                &Fill::Literal(None),
                &Fill::Literal(Some("2010-12-01".to_owned())),
                &Fill::Literal(Some("2010-12-02".to_owned()))
            ]
        );
    }

    #[test]
    fn rows_without_a_partition_value_never_match_a_column_without_statistics() {
        let files = vec![
            file("a", None, &columns(), &[]),
            file("b", Some("2010-12-02"), &columns(), &[("ordered_on", "2010-12-02")]),
        ];
        assert_eq!(loads(files, &[name("part_date")]).len(), 2);
    }

    #[test]
    fn files_from_before_and_after_a_new_column_are_copied_apart() {
        let older = [column("code", ColumnType::Text)];
        let files = vec![file("a", Some("x"), &older, &[]), file("b", Some("x"), &columns(), &[])];
        let loads = loads(files, &[name("part_date")]);
        assert_eq!(loads.iter().map(|load| load.columns.len()).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn files_without_rows_are_left_out() {
        let mut empty = file("a", Some("x"), &columns(), &[]);
        empty.footer.rows = 0;
        assert!(loads(vec![empty], &[name("part_date")]).is_empty());
    }
}
