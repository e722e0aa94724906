//! Which part of a table a run replaces: what differs between two versions of its files. No network.

use std::collections::{BTreeMap, BTreeSet};

use medallion_crds::pipeline::WarehouseMode;
use medallion_lake::{DataFile, PartitionValues};

/// With more partitions than this the whole table is replaced: it costs no more.
const MAX_PARTITIONS: usize = 500;
/// With longer names and values than this the whole table is replaced too: all of them stand in one statement, which may
/// have 100 KB, and what is quoted can become several times as long.
const MAX_TEXT: usize = 20_000;

/// What a run replaces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Touched {
    /// No rows: only the ledger moves.
    Nothing,
    /// All rows.
    Everything,
    /// The rows of these partitions.
    Partitions(BTreeSet<PartitionValues>),
}

/// Compares the files the warehouse has loaded with those it shall have. Without the former, because nothing was loaded
/// yet or the log has forgotten them, everything is replaced.
pub fn touched(mode: WarehouseMode, loaded: Option<&[DataFile]>, wanted: &[DataFile]) -> Touched {
    let Some(loaded) = loaded else {
        return Touched::Everything;
    };
    let partitions = changed_partitions(loaded, wanted);
    if partitions.is_empty() {
        return Touched::Nothing;
    }
    let partitioned = partitions.iter().all(|values| !values.is_empty());
    match mode {
        WarehouseMode::ReplacePartitions
            if partitioned && partitions.len() <= MAX_PARTITIONS && text(&partitions) <= MAX_TEXT =>
        {
            Touched::Partitions(partitions)
        }
        WarehouseMode::ReplacePartitions | WarehouseMode::ReplaceTable => Touched::Everything,
    }
}

fn text(partitions: &BTreeSet<PartitionValues>) -> usize {
    let pairs = partitions.iter().flatten();
    pairs
        .map(|(column, value)| column.len() + value.as_ref().map_or(0, String::len))
        .sum()
}

/// Partitions of the files that only one side has. File names are never used twice, so a name stands for its content.
fn changed_partitions(loaded: &[DataFile], wanted: &[DataFile]) -> BTreeSet<PartitionValues> {
    let before: BTreeMap<&str, &DataFile> = loaded.iter().map(|file| (file.name.as_str(), file)).collect();
    let after: BTreeMap<&str, &DataFile> = wanted.iter().map(|file| (file.name.as_str(), file)).collect();
    let removed = before.iter().filter(|(name, _)| !after.contains_key(*name));
    let added = after.iter().filter(|(name, _)| !before.contains_key(*name));
    removed.chain(added).map(|(_, file)| file.partition.clone()).collect()
}

impl Touched {
    /// In words for a log.
    pub fn described(&self) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::Everything => "everything".to_owned(),
            Self::Partitions(partitions) => format!("{} partitions", partitions.len()),
        }
    }

    /// The files to load, in the order of their names.
    pub fn files(&self, wanted: &[DataFile]) -> Vec<DataFile> {
        let mut files: Vec<DataFile> = match self {
            Self::Nothing => Vec::new(),
            Self::Everything => wanted.to_vec(),
            Self::Partitions(touched) => wanted
                .iter()
                .filter(|file| touched.contains(&file.partition))
                .cloned()
                .collect(),
        };
        files.sort_by(|one, other| one.name.cmp(&other.name));
        files
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn file(name: &str, day: Option<&str>) -> DataFile {
        let partition = PartitionValues::from([("part_date".to_owned(), day.map(str::to_owned))]);
        DataFile {
            name: name.to_owned(),
            url: format!("s3://gold/t/{name}"),
            size: 1,
            rows: Some(1),
            partition,
        }
    }

    fn whole(name: &str) -> DataFile {
        DataFile {
            partition: PartitionValues::new(),
            ..file(name, None)
        }
    }

    fn days(values: &[Option<&str>]) -> BTreeSet<PartitionValues> {
        values.iter().map(|day| file("x", *day).partition).collect()
    }

    fn names(files: &[DataFile]) -> Vec<&str> {
        files.iter().map(|file| file.name.as_str()).collect()
    }

    #[test]
    fn an_order_that_moves_touches_the_day_it_left_and_the_day_it_reached() {
        let loaded = [file("a", Some("01")), file("b", Some("02")), file("c", Some("03"))];
        let wanted = [file("a2", Some("01")), file("b2", Some("02")), file("c", Some("03"))];
        let touched = touched(WarehouseMode::ReplacePartitions, Some(&loaded), &wanted);
        assert_eq!(touched, Touched::Partitions(days(&[Some("01"), Some("02")])));
        assert_eq!(names(&touched.files(&wanted)), ["a2", "b2"]);
    }

    #[test]
    fn a_day_that_became_empty_is_touched_and_has_nothing_to_load() {
        let loaded = [file("a", Some("01")), file("n", None)];
        let wanted = [file("a", Some("01"))];
        let touched = touched(WarehouseMode::ReplacePartitions, Some(&loaded), &wanted);
        assert_eq!(touched, Touched::Partitions(days(&[None])));
        assert!(touched.files(&wanted).is_empty());
    }

    #[rstest]
    #[case::first_load(WarehouseMode::ReplacePartitions, None)]
    #[case::whole_table(WarehouseMode::ReplaceTable, Some(vec![whole("old")]))]
    #[case::no_partitions_to_replace(WarehouseMode::ReplacePartitions, Some(vec![whole("old")]))]
    fn everything_is_replaced(#[case] mode: WarehouseMode, #[case] loaded: Option<Vec<DataFile>>) {
        let wanted = [whole("new")];
        let touched = touched(mode, loaded.as_deref(), &wanted);
        assert_eq!(touched, Touched::Everything);
        assert_eq!(names(&touched.files(&wanted)), ["new"]);
    }

    #[rstest]
    fn a_version_without_new_files_touches_nothing(
        #[values(WarehouseMode::ReplacePartitions, WarehouseMode::ReplaceTable)] mode: WarehouseMode,
    ) {
        let files = [file("a", Some("01"))];
        assert_eq!(touched(mode, Some(&files), &files), Touched::Nothing);
    }

    #[test]
    fn partitions_with_long_values_are_replaced_as_a_whole() {
        let long = |letter: &str| file(letter, Some(&letter.repeat(MAX_TEXT / 2)));
        let mode = WarehouseMode::ReplacePartitions;
        let one = [long("a")];
        assert!(matches!(touched(mode, Some(&[]), &one), Touched::Partitions(_)));
        assert_eq!(touched(mode, Some(&[]), &[long("a"), long("b")]), Touched::Everything);
    }

    #[test]
    fn too_many_partitions_are_replaced_as_a_whole() {
        let wanted: Vec<DataFile> = (0..=MAX_PARTITIONS)
            .map(|day| file(&format!("f{day}"), Some(&day.to_string())))
            .collect();
        assert_eq!(
            touched(WarehouseMode::ReplacePartitions, Some(&[]), &wanted),
            Touched::Everything
        );
    }
}
