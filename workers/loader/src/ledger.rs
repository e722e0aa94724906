//! What the ledger says: which version of each table the warehouse holds, and what became of a publication. No network.

use jiff::Timestamp;

use crate::identifier::Identifier;

/// Name of the ledger's table.
pub const TABLE: &str = "medallion_ledger";
/// The columns, with their types, that were added since the first ledgers were made: such a ledger is widened, and its
/// rows say nothing there.
pub const ADDED: [(&str, &str); 3] = [
    ("table_id", "VARCHAR(255)"),
    ("owner", "VARCHAR(512)"),
    ("table_rows", "BIGINT"),
];

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

    /// Whether a table at this version does not hold what it shall hold: less, or a version of a table that is no more.
    pub fn is_behind(&self, wanted: &Self) -> bool {
        !self.is_of_the_table_of(wanted) || self.version < wanted.version
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
    /// The Pipeline whose table it is; absent in rows written before they had owners.
    pub owner: Option<String>,
    /// Rows that the table had when the load was published; absent in rows written before they were counted.
    pub table_rows: Option<i64>,
}

/// What the ledger's new rows say about the load.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The Pipeline.
    pub owner: String,
    /// The run.
    pub run_uid: String,
    /// The attempt.
    pub attempt: i32,
    /// When.
    pub at: Timestamp,
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

    /// What became of the publication of some tables, each from a base to another row, read after it ended. The row of
    /// an earlier attempt of the run that was the base, because its table had to be made anew, is no publication.
    pub fn verdict<'t>(
        &self,
        run_uid: &str,
        tables: impl IntoIterator<Item = (&'t Identifier, Option<&'t Entry>, &'t Mark)>,
    ) -> Verdict {
        let mut published = true;
        for (table, base, wanted) in tables {
            let entry = self.entry(table);
            let is_base = entry == base;
            let is_ours = !is_base && entry.is_some_and(|entry| entry.run_uid == run_uid && entry.mark == *wanted);
            if !is_ours && !is_base {
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

    /// A row that the first attempt of a run wrote.
    pub(crate) fn entry(table: &str, version: i64, run_uid: &str) -> Entry {
        Entry {
            table: table.to_owned(),
            mark: mark(version),
            run_uid: run_uid.to_owned(),
            attempt: 1,
            rows: 5,
            owner: Some("here/shop/orders".to_owned()),
            table_rows: Some(5),
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
        let before = entry("a", 6, "before");
        let tables = [(&a, Some(&before), &mark(7)), (&b, None, &mark(4))];
        assert_eq!(ledger.verdict("me", tables), verdict);
    }

    #[test]
    fn versions_of_a_table_made_anew_are_not_those_of_the_old_one() {
        let anew = |version| Mark {
            table_id: Some("anew".to_owned()),
            version,
        };
        let held = mark(40);
        assert!(!held.is_behind(&mark(40)) && !held.is_behind(&mark(3)));
        assert!(held.is_behind(&mark(41)) && held.is_behind(&anew(3)) && held.is_behind(&anew(40)));
        let ledger = Ledger::new(vec![entry("a", 40, "before")]);
        let (a, older) = (name("a"), entry("a", 39, "before"));
        let verdict = ledger.verdict("before", [(&a, Some(&older), &anew(40))]);
        assert_eq!(verdict, Verdict::Overtaken(entry("a", 40, "before")));
    }

    #[test]
    fn a_row_without_an_id_says_nothing_about_the_table_of_today() {
        let old = Mark {
            table_id: None,
            version: 40,
        };
        assert!(old.is_behind(&mark(3)));
    }

    #[test]
    fn a_table_that_is_made_anew_at_the_same_version_is_published_by_a_new_row_only() {
        let (a, base) = (name("a"), entry("a", 7, "me"));
        let tables = || [(&a, Some(&base), &base.mark)];
        let ledger = Ledger::new(vec![base.clone()]);
        assert_eq!(ledger.verdict("me", tables()), Verdict::NotPublished);
        let again = Entry {
            attempt: 2,
            ..base.clone()
        };
        assert_eq!(Ledger::new(vec![again]).verdict("me", tables()), Verdict::Published);
        let other = entry("a", 7, "other");
        let ledger = Ledger::new(vec![other.clone()]);
        assert_eq!(ledger.verdict("me", tables()), Verdict::Overtaken(other));
    }

    #[test]
    fn only_rows_of_this_run_are_counted_as_its_own() {
        let ledger = Ledger::new(vec![entry("a", 7, "me"), entry("b", 4, "before")]);
        assert_eq!(ledger.rows_of("me"), 5);
    }
}
