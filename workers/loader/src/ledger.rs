//! What the ledger says: which version of each table the warehouse holds, and what became of a publication. No network.

use crate::identifier::Identifier;

/// Name of the ledger's table.
pub const TABLE: &str = "medallion_ledger";
/// The column that ledgers made before there were ids lack.
pub const TABLE_ID: &str = "table_id";

/// A version of a Gold table. A table that is made anew counts its versions from 0 again, under another id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mark {
    /// The table's id in the lake; absent in rows written before there were ids.
    pub table_id: Option<String>,
    /// The version.
    pub version: i64,
}

impl Mark {
    /// Whether this is a version of the same table, so that the two can be compared.
    pub fn is_of_the_table_of(&self, other: &Self) -> bool {
        self.table_id.is_some() && self.table_id == other.table_id
    }
}

/// One row: a table of the warehouse at a version of its Gold table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The table.
    pub table: String,
    /// The version it holds.
    pub mark: Mark,
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

    /// Whether a table does not hold what it shall hold: nothing yet, less, or a version of a table that is no more.
    pub fn is_behind(&self, table: &Identifier, wanted: &Mark) -> bool {
        self.entry(table)
            .is_none_or(|entry| !entry.mark.is_of_the_table_of(wanted) || entry.mark.version < wanted.version)
    }

    /// Rows that a run has loaded into the tables it has.
    pub fn rows_of(&self, run_uid: &str) -> i64 {
        self.0
            .iter()
            .filter(|entry| entry.run_uid == run_uid)
            .map(|entry| entry.rows)
            .sum()
    }

    /// What became of the publication of some tables, each from a base to another version, read after it ended.
    pub fn verdict<'t>(
        &self,
        run_uid: &str,
        tables: impl IntoIterator<Item = (&'t Identifier, Option<&'t Mark>, &'t Mark)>,
    ) -> Verdict {
        let mut published = true;
        for (table, base, wanted) in tables {
            let entry = self.entry(table);
            let is_ours = entry.is_some_and(|entry| entry.run_uid == run_uid && entry.mark == *wanted);
            if !is_ours && entry.map(|entry| &entry.mark) != base {
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
pub(crate) mod tests {
    use rstest::rstest;

    use super::*;

    /// A version of one and the same table.
    pub(crate) fn mark(version: i64) -> Mark {
        Mark {
            table_id: Some("id".to_owned()),
            version,
        }
    }

    fn entry(table: &str, version: i64, run_uid: &str) -> Entry {
        Entry {
            table: table.to_owned(),
            mark: mark(version),
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
        let tables = [(&a, Some(&mark(6)), &mark(7)), (&b, None, &mark(4))];
        assert_eq!(ledger.verdict("me", tables), verdict);
    }

    #[test]
    fn versions_of_a_table_made_anew_are_not_those_of_the_old_one() {
        let anew = |version| Mark {
            table_id: Some("anew".to_owned()),
            version,
        };
        let (a, b) = (name("a"), name("b"));
        let ledger = Ledger::new(vec![entry("a", 40, "before")]);
        assert!(!ledger.is_behind(&a, &mark(40)) && !ledger.is_behind(&a, &mark(3)));
        assert!(ledger.is_behind(&a, &mark(41)) && ledger.is_behind(&b, &mark(0)));
        assert!(ledger.is_behind(&a, &anew(3)) && ledger.is_behind(&a, &anew(40)));
        let verdict = ledger.verdict("before", [(&a, Some(&mark(39)), &anew(40))]);
        assert_eq!(verdict, Verdict::Overtaken(entry("a", 40, "before")));
    }

    #[test]
    fn a_row_without_an_id_says_nothing_about_the_table_of_today() {
        let mut old = entry("a", 40, "before");
        old.mark.table_id = None;
        assert!(Ledger::new(vec![old]).is_behind(&name("a"), &mark(3)));
    }

    #[test]
    fn only_rows_of_this_run_are_counted_as_its_own() {
        let ledger = Ledger::new(vec![entry("a", 7, "me"), entry("b", 4, "before")]);
        assert_eq!(ledger.rows_of("me"), 5);
    }
}
