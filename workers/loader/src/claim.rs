//! Whose a table of the warehouse is, and whether it holds what the ledger says: decided for all tables of a run before
//! anything is written. No network.
//!
//! A table belongs to the Pipeline that its row in the ledger names. A table without a row is taken if it holds nothing;
//! otherwise its rows are somebody's, and go only when the Pipeline says so by name. A row is void when its table is not
//! there, or has another number of rows than the load left, or lacks a column that was loaded: such a table is made anew
//! whole. Rows that were changed in place, or replaced by as many others, are not noticed.

use std::collections::BTreeSet;

use crate::column::FoundColumn;
use crate::identifier::Identifier;
use crate::ledger::{Entry, Mark};
use crate::refusal::Refusal;

/// Who loads, and what may be taken over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claimant {
    /// The Pipeline, as the ledger names it.
    pub owner: String,
    /// The schema of the tables.
    pub schema: Identifier,
    /// What the Pipeline's annotation names: Pipelines that are displaced, and tables (`schema.table`) that nobody owns.
    pub adopt: Vec<String>,
}

/// What a run starts from at one table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// The ledger's row.
    pub entry: Option<Entry>,
    /// The version of Gold that the table holds, so that only what differs from it must be replaced; `None`: all of it.
    pub holds: Option<Mark>,
    /// Whether the table must hold no rows, because nobody has said that they may go.
    pub vacant: bool,
    /// What happens to the table besides the load, in words for people; a claim that takes over is published even if
    /// there is nothing to load.
    pub takeover: Option<String>,
    /// Why the ledger's row is void.
    pub void: Option<String>,
}

impl Claimant {
    /// Decides about one table, by its row in the ledger and the number of its rows; `None`: it is not there.
    pub fn claim(&self, table: &Identifier, entry: Option<&Entry>, rows: Option<i64>) -> Result<Claim, Refusal> {
        match entry {
            Some(entry) => self.owned(entry, rows),
            None => self.unknown(table, rows.unwrap_or_default()),
        }
    }

    /// Why a row of the ledger keeps its table from being loaded: another Pipeline owns it, and nobody has said that it
    /// gives it up.
    pub fn refusal(&self, entry: &Entry) -> Option<Refusal> {
        let owner = self.other(entry).filter(|owner| !self.adopts(owner))?;
        Some(Refusal::Owned {
            table: self.qualified(&entry.table),
            owner: owner.to_owned(),
        })
    }

    fn owned(&self, entry: &Entry, rows: Option<i64>) -> Result<Claim, Refusal> {
        if let Some(refusal) = self.refusal(entry) {
            return Err(refusal);
        }
        let void = void(entry, rows);
        Ok(Claim {
            holds: void.is_none().then(|| entry.mark.clone()),
            void,
            vacant: false,
            takeover: match &entry.owner {
                None => Some("it had no owner".to_owned()),
                Some(_) => self.other(entry).map(|owner| format!("Pipeline {owner} is displaced")),
            },
            entry: Some(entry.clone()),
        })
    }

    fn unknown(&self, table: &Identifier, rows: i64) -> Result<Claim, Refusal> {
        let name = self.qualified(table.as_str());
        let adopted = rows > 0 && self.adopts(&name);
        if rows > 0 && !adopted {
            return Err(Refusal::Unknown { table: name, rows });
        }
        Ok(Claim {
            entry: None,
            holds: None,
            vacant: !adopted,
            takeover: adopted.then(|| format!("its {rows} rows, which no load has brought, are replaced")),
            void: None,
        })
    }

    fn other<'e>(&self, entry: &'e Entry) -> Option<&'e str> {
        entry.owner.as_deref().filter(|owner| *owner != self.owner)
    }

    fn adopts(&self, named: &str) -> bool {
        self.adopt.iter().any(|adopted| adopted == named)
    }

    fn qualified(&self, table: &str) -> String {
        format!("{}.{table}", self.schema.as_str())
    }
}

/// Why a row of the ledger does not say what its table holds.
fn void(entry: &Entry, rows: Option<i64>) -> Option<String> {
    let Some(rows) = rows else {
        return Some("it is not there".to_owned());
    };
    let expected = match entry.table_rows {
        Some(expected) => (expected != rows).then_some(expected),
        None => (rows == 0 && entry.rows > 0).then_some(entry.rows),
    }?;
    Some(format!("it has {rows} rows instead of {expected}"))
}

/// Columns that a loaded version has and the table has no more; nothing else than a load can fill them.
pub fn lost<'c>(loaded: impl IntoIterator<Item = &'c str>, found: &[FoundColumn]) -> BTreeSet<&'c str> {
    loaded
        .into_iter()
        .filter(|column| found.iter().all(|found| found.name != *column))
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::ledger::tests::{entry, mark};

    const OTHER: &str = "here/shop/other";

    fn claimant(adopt: &[&str]) -> Claimant {
        Claimant {
            owner: "here/shop/orders".to_owned(),
            schema: Identifier::new("gold").expect("a name"),
            adopt: adopt.iter().map(|named| (*named).to_owned()).collect(),
        }
    }

    fn orders() -> Identifier {
        Identifier::new("orders").expect("a name")
    }

    #[rstest]
    #[case::not_there(None)]
    #[case::empty(Some(0))]
    fn a_table_that_holds_nothing_is_taken_and_must_still_hold_nothing_when_it_is_loaded(#[case] rows: Option<i64>) {
        let claim = claimant(&[]).claim(&orders(), None, rows).expect("taken");
        assert!(claim.vacant && claim.takeover.is_none() && claim.holds.is_none());
    }

    #[test]
    fn rows_that_no_load_has_brought_are_not_replaced_and_both_ways_on_are_named() {
        let refusal = claimant(&["gold.customers", "orders", OTHER])
            .claim(&orders(), None, Some(3))
            .expect_err("refused");
        let text = refusal.to_string();
        for words in [
            "gold.orders",
            "3 rows",
            "drop or rename",
            "medallion.dev/adopt: gold.orders",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn an_adoption_is_good_for_the_table_it_names_until_the_ledger_has_its_row() {
        let adopting = claimant(&["gold.orders"]);
        let claim = adopting.claim(&orders(), None, Some(3)).expect("adopted");
        assert!(!claim.vacant && claim.takeover.is_some_and(|words| words.contains("3 rows")));
        let foreign = Entry {
            owner: Some(OTHER.to_owned()),
            ..entry("orders", 7, "run")
        };
        let refusal = adopting.claim(&orders(), Some(&foreign), Some(5)).expect_err("owned");
        assert!(matches!(refusal, Refusal::Owned { .. }));
        let ours = adopting
            .claim(&orders(), Some(&entry("orders", 7, "run")), Some(5))
            .expect("ours");
        assert_eq!((ours.takeover, ours.void), (None, None));
    }

    #[test]
    fn another_pipelines_table_is_refused_with_its_name_and_taken_only_from_the_pipeline_that_is_named() {
        let foreign = Entry {
            owner: Some(OTHER.to_owned()),
            ..entry("orders", 7, "run")
        };
        for adopt in [&[][..], &["here/shop/third"], &["elsewhere/shop/other"]] {
            let refusal = claimant(adopt)
                .claim(&orders(), Some(&foreign), Some(5))
                .expect_err("refused");
            let text = refusal.to_string();
            for words in ["gold.orders", OTHER, "medallion.dev/adopt: here/shop/other"] {
                assert!(text.contains(words), "{text}");
            }
        }
        // Even where it was dropped: its owner makes it anew.
        assert!(claimant(&[]).claim(&orders(), Some(&foreign), None).is_err());
        let claim = claimant(&["here/shop/third", OTHER])
            .claim(&orders(), Some(&foreign), Some(5))
            .expect("adopted");
        assert!(claim.takeover.is_some_and(|words| words.contains(OTHER)));
        assert_eq!(claim.holds, Some(mark(7)));
    }

    #[test]
    fn a_row_from_before_there_were_owners_becomes_ours() {
        let old = Entry {
            owner: None,
            ..entry("orders", 7, "run")
        };
        let claim = claimant(&[]).claim(&orders(), Some(&old), Some(5)).expect("taken");
        assert!(claim.takeover.is_some());
        assert_eq!(claim.holds, Some(mark(7)));
    }

    #[rstest]
    #[case::as_it_was_left(Some(5), Some(5), None)]
    #[case::dropped(Some(5), None, Some("not there"))]
    #[case::emptied(Some(5), Some(0), Some("0 rows instead of 5"))]
    #[case::rows_deleted(Some(5), Some(4), Some("4 rows instead of 5"))]
    #[case::rows_added(Some(5), Some(6), Some("6 rows instead of 5"))]
    #[case::empty_as_it_was_left(Some(0), Some(0), None)]
    #[case::never_counted(None, Some(3), None)]
    #[case::never_counted_and_emptied(None, Some(0), Some("0 rows instead of 5"))]
    fn a_row_is_void_when_its_table_does_not_hold_what_the_load_left(
        #[case] table_rows: Option<i64>,
        #[case] rows: Option<i64>,
        #[case] why: Option<&str>,
    ) {
        let row = Entry {
            table_rows,
            ..entry("orders", 7, "run")
        };
        let claim = claimant(&[]).claim(&orders(), Some(&row), rows).expect("ours");
        assert_eq!(claim.holds.is_none(), why.is_some());
        match why {
            Some(why) => assert!(claim.void.is_some_and(|void| void.contains(why))),
            None => assert_eq!(claim.void, None),
        }
        assert_eq!(
            claim.entry,
            Some(row),
            "the publication is guarded by the row all the same"
        );
    }

    #[test]
    fn a_column_that_was_loaded_and_is_gone_is_lost() {
        let found = [FoundColumn {
            name: "id".to_owned(),
            declared: "bigint".to_owned(),
            precision: None,
            scale: None,
        }];
        assert_eq!(lost(["id", "gift"], &found), BTreeSet::from(["gift"]));
        assert!(lost(["id"], &found).is_empty());
    }
}
