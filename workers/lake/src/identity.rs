//! Whether an entry of a log is of the table that a writer knows. No network.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::snapshot::position_value;

/// An action of the log, as far as it tells one table from another.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    meta_data: Option<MetaData>,
    domain_metadata: Option<DomainMetadata>,
}

#[derive(Deserialize)]
struct MetaData {
    id: String,
}

#[derive(Deserialize)]
struct DomainMetadata {
    domain: String,
    configuration: String,
    removed: bool,
}

impl DomainMetadata {
    fn is_known(&self, positions: &BTreeMap<String, Value>) -> bool {
        // Domains of the format itself are none of a writer's.
        if self.domain.starts_with("delta.") {
            return true;
        }
        let set = (!self.removed).then(|| position_value(&self.configuration));
        positions.get(&self.domain) == set.as_ref()
    }
}

/// Judges the entry of a version by what the writer knows of that version.
///
/// An entry seldom has the table's id, but it has the positions that were set with it, and those name their writer. What
/// cannot be read says nothing against the table: it is for the log's readers to complain of.
pub(crate) fn is_of(entry: &[u8], table_id: &str, positions: &BTreeMap<String, Value>) -> bool {
    entry
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Action>(line).ok())
        .all(|action| {
            action.meta_data.is_none_or(|found| found.id == table_id)
                && action.domain_metadata.is_none_or(|found| found.is_known(positions))
        })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::its_beginning(r#"{"metaData":{"id":"a"}}"#, true)]
    #[case::anothers_beginning(r#"{"metaData":{"id":"b"}}"#, false)]
    #[case::its_position(
        r#"{"domainMetadata":{"domain":"medallion.stream","configuration":"{\"writer\":\"one\"}","removed":false}}"#,
        true
    )]
    #[case::anothers_position(
        r#"{"domainMetadata":{"domain":"medallion.stream","configuration":"{\"writer\":\"two\"}","removed":false}}"#,
        false
    )]
    #[case::a_position_that_it_forgot(
        r#"{"domainMetadata":{"domain":"medallion.shard.1","configuration":"","removed":true}}"#,
        true
    )]
    #[case::a_position_that_it_has(
        r#"{"domainMetadata":{"domain":"medallion.stream","configuration":"","removed":true}}"#,
        false
    )]
    #[case::a_domain_of_the_format(
        r#"{"domainMetadata":{"domain":"delta.rowTracking","configuration":"{}","removed":false}}"#,
        true
    )]
    #[case::something_else(r#"{"add":{"path":"a.parquet"}}"#, true)]
    fn an_entry_is_known_by_id_and_positions(#[case] action: &str, #[case] ours: bool) {
        let positions = BTreeMap::from([("medallion.stream".to_owned(), json!({"writer": "one"}))]);
        let entry = format!("{{\"commitInfo\":{{}}}}\n{action}\n");
        assert_eq!(is_of(entry.as_bytes(), "a", &positions), ours);
    }
}
