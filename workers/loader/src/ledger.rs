//! What the ledger says: which version of each table the warehouse holds, and what became of a publication. No network.

use crate::identifier::Identifier;

/// Name of the ledger's table.
pub const TABLE: &str = "medallion_ledger";

/// One row: a table of the warehouse at a version of its Gold table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The table.
    pub table: String,
    /// The Gold version it holds.
    pub version: i64,
    /// The run that loaded it.
    pub run_uid: String,
    /// The attempt that loaded it.
    pub attempt: i32,
    /// Rows that were loaded.
    pub rows: i64,
}

/// The ledger's rows of the tables that a run is about.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ledger(Vec<Entry>);

/// What became of a publication whose answer was not "finished".
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It stands in the ledger.
    Published,
    /// Nothing has changed.
    NotPublished,
    /// Another run has moved the ledger.
    Overtaken(Entry),
}

impl Ledger {
    /// A ledger of these rows.
    pub fn new(entries: Vec<Entry>) -> Self {
        Self(entries)
    }

    /// The row of a table.
    pub fn entry(&self, table: &Identifier) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.table == table.as_str())
    }

    /// Rows that a run has loaded into the tables it has.
    pub fn rows_of(&self, run_uid: &str) -> i64 {
        self.0
            .iter()
            .filter(|entry| entry.run_uid == run_uid)
            .map(|entry| entry.rows)
            .sum()
    }

    /// What became of the publication of some tables, each from a base version to another, read after it ended.
    pub fn verdict<'t>(
        &self,
        run_uid: &str,
        tables: impl IntoIterator<Item = (&'t Identifier, Option<i64>, i64)>,
    ) -> Verdict {
        let mut published = true;
        for (table, base, version) in tables {
            let entry = self.entry(table);
            let is_ours = entry.is_some_and(|entry| entry.run_uid == run_uid && entry.version == version);
            if !is_ours && entry.map(|entry| entry.version) != base {
                return entry.cloned().map_or(Verdict::NotPublished, Verdict::Overtaken);
            }
            published &= is_ours;
        }
        if published {
            Verdict::Published
        } else {
            Verdict::NotPublished
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn entry(table: &str, version: i64, run_uid: &str) -> Entry {
        Entry {
            table: table.to_owned(),
            version,
            run_uid: run_uid.to_owned(),
            attempt: 1,
            rows: 5,
        }
    }

    fn name(table: &str) -> Identifier {
        Identifier::new(table).expect("a name")
    }

    #[rstest]
    #[case::ours(&[("a", 7, "me"), ("b", 4, "me")], Verdict::Published)]
    #[case::untouched(&[("a", 6, "before")], Verdict::NotPublished)]
    #[case::another_run(&[("a", 8, "other"), ("b", 4, "other")], Verdict::Overtaken(entry("a", 8, "other")))]
    #[case::another_run_made_the_first_row(&[("a", 6, "before"), ("b", 4, "other")], Verdict::Overtaken(entry("b", 4, "other")))]
    fn the_ledger_decides(#[case] rows: &[(&str, i64, &str)], #[case] verdict: Verdict) {
        let ledger = Ledger::new(
            rows.iter()
                .map(|(table, version, run)| entry(table, *version, run))
                .collect(),
        );
        let (a, b) = (name("a"), name("b"));
        assert_eq!(ledger.verdict("me", [(&a, Some(6), 7), (&b, None, 4)]), verdict);
    }

    #[test]
    fn only_rows_of_this_run_are_counted_as_its_own() {
        let ledger = Ledger::new(vec![entry("a", 7, "me"), entry("b", 4, "before")]);
        assert_eq!(ledger.rows_of("me"), 5);
    }
}
