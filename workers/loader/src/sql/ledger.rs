//! The SQL of the ledger: made, widened, read, guarded and written. No network.

use super::{Sql, names};
use crate::identifier::{Identifier, literal};
use crate::ledger::{ADDED, Signature, TABLE};
use crate::plan::TablePlan;
use crate::statement::Statement;

impl Sql {
    pub(super) fn ledger(&self) -> String {
        format!("{}.\"{TABLE}\"", self.schema)
    }

    /// Makes the ledger, or what a ledger with these columns lacks. Everybody who may use the schema may read it: the
    /// provisioner, which is another user, looks whose the tables are, and reports show how old they are.
    pub fn prepare_ledger(&self, columns: Option<&[&str]>) -> Vec<Statement> {
        let ledger = self.ledger();
        let Some(columns) = columns else {
            let added: Vec<String> = ADDED.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
            let create = format!(
                "CREATE TABLE IF NOT EXISTS {ledger} (table_name VARCHAR(63) NOT NULL, version BIGINT NOT NULL, \
                 run_uid VARCHAR(64) NOT NULL, attempt INTEGER NOT NULL, row_count BIGINT NOT NULL, \
                 loaded_at TIMESTAMPTZ NOT NULL, {})",
                added.join(", ")
            );
            return vec![
                Statement::new("create the ledger", create),
                Statement::new("show the ledger", format!("GRANT SELECT ON {ledger} TO PUBLIC")),
            ];
        };
        ADDED
            .iter()
            .filter(|(name, _)| !columns.contains(name))
            .map(|(name, kind)| {
                Statement::new(
                    format!("add column {name} to the ledger"),
                    format!("ALTER TABLE {ledger} ADD COLUMN {name} {kind}"),
                )
            })
            .collect()
    }

    /// The ledger's rows of some tables, from a ledger with these columns.
    pub fn read_ledger(&self, tables: &[&Identifier], columns: &[&str]) -> String {
        let added: Vec<String> = ADDED
            .iter()
            .map(|(name, kind)| {
                if columns.contains(name) {
                    (*name).to_owned()
                } else {
                    format!("CAST(NULL AS {kind}) AS {name}")
                }
            })
            .collect();
        format!(
            "SELECT table_name, version, run_uid, attempt, row_count, {} FROM {} WHERE table_name IN ({})",
            added.join(", "),
            self.ledger(),
            names(tables)
        )
    }

    pub(super) fn lock_ledger(&self) -> Statement {
        Statement::new("lock the ledger", format!("LOCK TABLE {}", self.ledger()))
    }

    /// Holds if the tables have exactly the rows in the ledger that the run has started from.
    pub(super) fn ledger_guard(&self, plans: &[TablePlan]) -> Statement {
        let tables: Vec<&Identifier> = plans.iter().map(|plan| &plan.target).collect();
        let bases: Vec<String> = plans
            .iter()
            .filter_map(|plan| {
                let base = plan.base.as_ref()?;
                let optional = |value: Option<&str>| {
                    value.map_or_else(|| "IS NULL".to_owned(), |value| format!("= {}", literal(value)))
                };
                Some(format!(
                    "table_name = {} AND version = {} AND table_id {} AND run_uid = {} AND attempt = {} AND owner {}",
                    literal(plan.target.as_str()),
                    base.mark.version,
                    optional(base.mark.table_id.as_deref()),
                    literal(&base.run_uid),
                    base.attempt,
                    optional(base.owner.as_deref())
                ))
            })
            .collect();
        let expected = bases.len();
        let unchanged = if bases.is_empty() {
            String::new()
        } else {
            format!(" AND COUNT(CASE WHEN {} THEN 1 END) = {expected}", bases.join(" OR "))
        };
        Statement::new(
            "check that the ledger stands where this run began",
            format!(
                "SELECT 1 / CASE WHEN COUNT(*) = {expected}{unchanged} THEN 1 ELSE 0 END AS ledger_stands \
                 FROM {} WHERE table_name IN ({})",
                self.ledger(),
                names(&tables)
            ),
        )
    }

    /// Replaces the rows of the loaded tables. Each says how many rows its table has now, counted in the same transaction.
    pub(super) fn write_ledger(&self, plans: &[TablePlan], signature: &Signature) -> [Statement; 2] {
        let tables: Vec<&Identifier> = plans.iter().map(|plan| &plan.target).collect();
        let rows: Vec<String> = plans
            .iter()
            .map(|plan| {
                format!(
                    "SELECT {}, {}, {}, {}, {}, {}, TIMESTAMPTZ '{}', {}, COUNT(*) FROM {}",
                    literal(plan.target.as_str()),
                    plan.mark
                        .table_id
                        .as_deref()
                        .map_or_else(|| "CAST(NULL AS VARCHAR(255))".to_owned(), literal),
                    plan.mark.version,
                    literal(&signature.run_uid),
                    signature.attempt,
                    plan.rows(),
                    signature.at.strftime("%Y-%m-%d %H:%M:%S+00"),
                    literal(&signature.owner),
                    self.table(&plan.target)
                )
            })
            .collect();
        [
            Statement::new(
                "take the old rows out of the ledger",
                format!("DELETE FROM {} WHERE table_name IN ({})", self.ledger(), names(&tables)),
            ),
            Statement::new(
                "write the ledger",
                format!(
                    "INSERT INTO {} (table_name, table_id, version, run_uid, attempt, row_count, loaded_at, owner, \
                     table_rows) {}",
                    self.ledger(),
                    rows.join(" UNION ALL ")
                ),
            ),
        ]
    }
}
