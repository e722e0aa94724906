//! Partition values and the folder names made of them. No network.

use std::collections::BTreeMap;

/// Value per partition column, as the log writes it; `None` is null. Delta knows no empty string here: it is null.
pub type PartitionValues = BTreeMap<String, Option<String>>;

/// A folder name such as `part_date=2026-03-01` for files of a partition.
///
/// The log says what a file's partition is; the folder is for people who look. Characters that would have to be encoded
/// become `_`, so that no reader can decode them once too often.
pub fn partition_folder(values: &PartitionValues) -> String {
    let parts = values.iter().map(|(column, value)| {
        let value = value.as_deref().map_or_else(|| "null".to_owned(), plain);
        format!("{column}={value}")
    });
    parts.collect::<Vec<_>>().join("/")
}

fn plain(text: &str) -> String {
    text.chars()
        .map(|character| if is_plain(character) { character } else { '_' })
        .collect()
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}

/// Whether a file name under the table's root needs no encoding anywhere.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.split('/').all(|segment| {
            !segment.is_empty()
                && segment
                    .chars()
                    .all(|character| is_plain(character) || matches!(character, '=' | '.'))
                && !segment.starts_with('.')
                && segment != "_delta_log"
        })
}

/// The same values with the empty string as null, which is what the log makes of it.
pub(crate) fn normalised(values: &PartitionValues) -> PartitionValues {
    values
        .iter()
        .map(|(column, value)| (column.clone(), value.clone().filter(|text| !text.is_empty())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_hold_only_characters_that_nobody_encodes() {
        let values = PartitionValues::from([
            ("part_country".to_owned(), Some("Côte d'Ivoire/100%".to_owned())),
            ("part_day".to_owned(), None),
        ]);
        let folder = partition_folder(&values);
        assert_eq!(folder, "part_country=C_te_d_Ivoire_100_/part_day=null");
        assert!(is_plain_name(&format!("{folder}/a.parquet")));
    }

    #[test]
    fn names_that_would_be_encoded_or_lead_elsewhere_are_refused() {
        for name in ["", "/a", "a//b", "../a", "a b", "a%20b", "_delta_log/0.json", ".hidden"] {
            assert!(!is_plain_name(name), "{name}");
        }
    }
}
