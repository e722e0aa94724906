//! What became of a load, by what stands in the ledger. No network.

use crate::claim::Claimant;
use crate::error::LoadError;
use crate::ledger::{Entry, Ledger, Verdict};
use crate::plan::TablePlan;

/// What the ledger makes of the end of a load's statements.
pub(crate) fn judge(
    ledger: Ledger,
    claimant: &Claimant,
    run_uid: &str,
    plans: &[TablePlan],
    outcome: Result<(), LoadError>,
) -> Result<Ledger, LoadError> {
    let tables = plans.iter().map(|plan| (&plan.target, plan.base.as_ref(), &plan.mark));
    match (ledger.verdict(run_uid, tables), outcome) {
        (Verdict::Published, outcome) => {
            if let Err(error) = outcome {
                tracing::info!(%error, "published although a statement ended with an error");
            }
            tracing::info!(rows = ledger.rows_of(run_uid), tables = plans.len(), "published");
            Ok(ledger)
        }
        (Verdict::Overtaken(entry), _) => Err(overtaken(claimant, entry)),
        (Verdict::NotPublished, Err(error)) => Err(error),
        (Verdict::NotPublished, Ok(())) => Err(LoadError::Warehouse {
            what: "publish".to_owned(),
            reason: "the transaction is said to have finished, but the ledger does not show it".to_owned(),
        }),
    }
}

fn overtaken(claimant: &Claimant, entry: Entry) -> LoadError {
    match claimant.refusal(&entry) {
        Some(refusal) => LoadError::Refused {
            refusals: vec![refusal],
        },
        None => LoadError::Overtaken {
            table: entry.table,
            run_uid: entry.run_uid,
            version: entry.mark.version,
        },
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use worker_kit::{ErrorClass, WorkerError};

    use super::*;
    use crate::column::Evolution;
    use crate::identifier::{BadIdentifier, Identifier};
    use crate::ledger::tests::{entry, mark};
    use crate::plan::Source;
    use crate::touched::Touched;

    fn claimant() -> Claimant {
        Claimant {
            owner: "here/shop/orders".to_owned(),
            schema: Identifier::new("gold").expect("a name"),
            adopt: Vec::new(),
        }
    }

    fn plan() -> Result<TablePlan, BadIdentifier> {
        Ok(TablePlan {
            target: Identifier::new("orders")?,
            base: Some(entry("orders", 3, "before")),
            vacant: false,
            mark: mark(7),
            columns: Vec::new(),
            partition_columns: Vec::new(),
            evolution: Evolution::Nothing,
            touched: Touched::Everything,
            staging: Identifier::new("staging")?,
            source: Source::Nothing,
        })
    }

    fn swept_away() -> Result<(), LoadError> {
        Err(LoadError::Unavailable {
            name: "medallion/run/1/read".to_owned(),
            title: "count the staged rows".to_owned(),
            message: "relation does not exist".to_owned(),
        })
    }

    #[rstest]
    #[case::another_process_of_the_run_has_published("me", 7, None)]
    #[case::another_run_was_faster("other", 8, Some(ErrorClass::Fenced))]
    #[case::nothing_was_published("before", 3, Some(ErrorClass::Environment))]
    fn the_ledger_decides_whatever_became_of_the_statements(
        #[case] run_uid: &str,
        #[case] version: i64,
        #[case] expected: Option<ErrorClass>,
    ) {
        let plans = [plan().expect("names")];
        let ledger = Ledger::new(vec![entry("orders", version, run_uid)]);
        let judged = judge(ledger, &claimant(), "me", &plans, swept_away());
        assert_eq!(judged.err().map(|error| WorkerError::from(error).class), expected);
    }

    #[test]
    fn another_pipeline_that_was_faster_is_named() {
        let faster = Entry {
            owner: Some("here/shop/other".to_owned()),
            ..entry("orders", 1, "theirs")
        };
        let first = TablePlan {
            base: None,
            ..plan().expect("names")
        };
        let judged = judge(Ledger::new(vec![faster]), &claimant(), "me", &[first], swept_away());
        let error = WorkerError::from(judged.expect_err("refused"));
        assert_eq!(error.class, ErrorClass::Record);
        assert!(error.message.contains("here/shop/other"), "{error}");
    }
}
