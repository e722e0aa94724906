//! The SQL of a load, as text: nothing here is sent. No network.
//!
//! Names are checked before they come here and are quoted; values are literals that cannot leave their quotes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use medallion_lake::PartitionValues;

use crate::column::{Column, ColumnType, Evolution};
use crate::identifier::{Identifier, literal};
use crate::layout::Fill;
use crate::ledger;
use crate::plan::{Copy, Source, TablePlan};
use crate::touched::Touched;

/// Type of the ledger's column for ids.
const LEDGER_ID: &str = "VARCHAR(255)";

/// One statement, and what it is for in the words of an error message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statement {
    /// What it does.
    pub title: String,
    /// Its text.
    pub sql: String,
}

impl Statement {
    fn new(title: impl Into<String>, sql: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            sql: sql.into(),
        }
    }
}

/// The SQL for the tables of one schema.
#[derive(Clone, Debug)]
pub struct Sql {
    schema: Identifier,
    copy_role_arn: String,
}

impl Sql {
    /// SQL for a schema, with the role that COPY reads the lake with.
    pub fn new(schema: Identifier, copy_role_arn: &str) -> Self {
        Self {
            schema,
            copy_role_arn: copy_role_arn.to_owned(),
        }
    }

    fn table(&self, name: &Identifier) -> String {
        format!("{}.{name}", self.schema)
    }

    fn ledger(&self) -> String {
        format!("{}.\"{}\"", self.schema, ledger::TABLE)
    }

    /// All columns of all tables of the schema that the user sees.
    pub fn read_columns(&self) -> String {
        format!(
            "SELECT table_name, column_name, data_type, numeric_precision, numeric_scale \
             FROM information_schema.columns WHERE table_schema = {} ORDER BY table_name, ordinal_position",
            literal(self.schema.as_str())
        )
    }

    /// The ledger's rows.
    pub fn read_ledger(&self, tables: &[&Identifier]) -> String {
        format!(
            "SELECT table_name, version, run_uid, attempt, row_count, table_id FROM {} WHERE table_name IN ({})",
            self.ledger(),
            names(tables)
        )
    }

    /// Makes the ledger.
    pub fn create_ledger(&self) -> Statement {
        Statement::new(
            "create the ledger",
            format!(
                "CREATE TABLE IF NOT EXISTS {} (table_name VARCHAR(63) NOT NULL, version BIGINT NOT NULL, \
                 run_uid VARCHAR(64) NOT NULL, attempt INTEGER NOT NULL, row_count BIGINT NOT NULL, \
                 loaded_at TIMESTAMPTZ NOT NULL, {} {LEDGER_ID})",
                self.ledger(),
                ledger::TABLE_ID
            ),
        )
    }

    /// Widens a ledger that was made before tables had ids in it.
    pub fn widen_ledger(&self) -> Statement {
        Statement::new(
            "widen the ledger",
            format!(
                "ALTER TABLE {} ADD COLUMN {} {LEDGER_ID}",
                self.ledger(),
                ledger::TABLE_ID
            ),
        )
    }

    /// Makes or widens the tables that need it. Columns are added one by one, because the warehouse takes no more.
    pub fn prepare(&self, plans: &[TablePlan]) -> Vec<Statement> {
        let mut statements = Vec::new();
        for plan in plans {
            let table = self.table(&plan.target);
            let target = plan.target.as_str();
            match &plan.evolution {
                Evolution::Nothing => {}
                Evolution::Create => statements.push(Statement::new(
                    format!("create table {target}"),
                    format!("CREATE TABLE IF NOT EXISTS {table} ({})", declarations(&plan.columns)),
                )),
                Evolution::Add(columns) => statements.extend(columns.iter().map(|column| {
                    Statement::new(
                        format!("add column {} to table {target}", column.name.as_str()),
                        format!("ALTER TABLE {table} ADD COLUMN {} {}", column.name, column.kind),
                    )
                })),
            }
        }
        statements
    }

    /// Fills the staging table of one table. Statements of one inner list belong into one transaction.
    pub fn stage(&self, plan: &TablePlan) -> Vec<Vec<Statement>> {
        match &plan.source {
            Source::Nothing => Vec::new(),
            Source::Copied(copy) => vec![self.copy(plan, &plan.staging, copy)],
            Source::Gathered(copies) => {
                let mut units = vec![self.empty_table(plan, &plan.staging, &plan.columns)];
                units.extend(copies.iter().map(|(landing, copy)| {
                    let mut unit = self.copy(plan, landing, copy);
                    unit.push(Statement::new(
                        format!(
                            "gather the rows of {} for table {}",
                            copy.manifest,
                            plan.target.as_str()
                        ),
                        format!(
                            "INSERT INTO {} ({}) SELECT {} FROM {}",
                            self.table(&plan.staging),
                            column_names(&plan.columns),
                            selected(&plan.columns, copy),
                            self.table(landing)
                        ),
                    ));
                    unit.push(self.drop_table(landing));
                    unit
                }));
                units
            }
        }
    }

    fn copy(&self, plan: &TablePlan, into: &Identifier, copy: &Copy) -> Vec<Statement> {
        let mut statements = self.empty_table(plan, into, &copy.columns);
        statements.push(Statement::new(
            format!("copy {} for table {}", copy.manifest, plan.target.as_str()),
            format!(
                "COPY {} FROM {} IAM_ROLE {} FORMAT AS PARQUET MANIFEST",
                self.table(into),
                literal(&copy.manifest),
                literal(&self.copy_role_arn)
            ),
        ));
        statements
    }

    fn empty_table(&self, plan: &TablePlan, name: &Identifier, columns: &[Column]) -> Vec<Statement> {
        vec![
            self.drop_table(name),
            Statement::new(
                format!(
                    "create staging table {} for table {}",
                    name.as_str(),
                    plan.target.as_str()
                ),
                format!("CREATE TABLE {} ({})", self.table(name), declarations(columns)),
            ),
        ]
    }

    /// Drops a staging table.
    pub fn drop_table(&self, name: &Identifier) -> Statement {
        Statement::new(
            format!("drop staging table {}", name.as_str()),
            format!("DROP TABLE IF EXISTS {}", self.table(name)),
        )
    }

    /// Counts the rows of the staging tables, one row of name and count per table. `None`: nothing was staged.
    pub fn count_staged(&self, plans: &[TablePlan]) -> Option<String> {
        let counts: Vec<String> = staged(plans)
            .map(|plan| {
                format!(
                    "SELECT {} AS staging, COUNT(*) AS row_count FROM {}",
                    literal(plan.staging.as_str()),
                    self.table(&plan.staging)
                )
            })
            .collect();
        (!counts.is_empty()).then(|| counts.join(" UNION ALL "))
    }

    /// The one transaction that makes the load visible. First the ledger is locked; then the two guards fail the
    /// transaction (they divide by zero) if the ledger has moved or the staged rows are not the counted ones; the ledger's
    /// new rows come last.
    pub fn publish(&self, plans: &[TablePlan], run_uid: &str, attempt: i32, at: Timestamp) -> Vec<Statement> {
        let mut statements = vec![
            Statement::new("lock the ledger", format!("LOCK TABLE {}", self.ledger())),
            self.ledger_guard(plans),
        ];
        statements.extend(self.staging_guard(plans));
        for plan in plans {
            statements.extend(self.delete(plan));
            statements.extend(self.insert(plan));
        }
        let tables: Vec<&Identifier> = plans.iter().map(|plan| &plan.target).collect();
        statements.push(Statement::new(
            "take the old rows out of the ledger",
            format!("DELETE FROM {} WHERE table_name IN ({})", self.ledger(), names(&tables)),
        ));
        let rows: Vec<String> = plans
            .iter()
            .map(|plan| {
                format!(
                    "({}, {}, {}, {}, {attempt}, {}, TIMESTAMPTZ '{at}')",
                    literal(plan.target.as_str()),
                    plan.mark.table_id.as_deref().map_or_else(|| "NULL".to_owned(), literal),
                    plan.mark.version,
                    literal(run_uid),
                    plan.rows(),
                    at = at.strftime("%Y-%m-%d %H:%M:%S+00")
                )
            })
            .collect();
        statements.push(Statement::new(
            "write the ledger",
            format!(
                "INSERT INTO {} (table_name, table_id, version, run_uid, attempt, row_count, loaded_at) VALUES {}",
                self.ledger(),
                rows.join(", ")
            ),
        ));
        statements
    }

    /// Holds if the tables have exactly the rows in the ledger that the run has started from.
    fn ledger_guard(&self, plans: &[TablePlan]) -> Statement {
        let tables: Vec<&Identifier> = plans.iter().map(|plan| &plan.target).collect();
        let bases: Vec<String> = plans
            .iter()
            .filter_map(|plan| {
                let base = plan.base.as_ref()?;
                let id = base.table_id.as_deref();
                Some(format!(
                    "table_name = {} AND version = {} AND table_id {}",
                    literal(plan.target.as_str()),
                    base.version,
                    id.map_or_else(|| "IS NULL".to_owned(), |id| format!("= {}", literal(id)))
                ))
            })
            .collect();
        let expected = bases.len();
        let standing = if bases.is_empty() {
            String::new()
        } else {
            format!(" AND COUNT(CASE WHEN {} THEN 1 END) = {expected}", bases.join(" OR "))
        };
        Statement::new(
            "check that the ledger stands where this run began",
            format!(
                "SELECT 1 / CASE WHEN COUNT(*) = {expected}{standing} THEN 1 ELSE 0 END AS ledger_stands \
                 FROM {} WHERE table_name IN ({})",
                self.ledger(),
                names(&tables)
            ),
        )
    }

    fn staging_guard(&self, plans: &[TablePlan]) -> Option<Statement> {
        let counts: Vec<String> = staged(plans)
            .map(|plan| format!("(SELECT COUNT(*) FROM {}) = {}", self.table(&plan.staging), plan.rows()))
            .collect();
        (!counts.is_empty()).then(|| {
            Statement::new(
                "check that the staged rows are those of the manifests",
                format!(
                    "SELECT 1 / CASE WHEN {} THEN 1 ELSE 0 END AS staging_is_whole",
                    counts.join(" AND ")
                ),
            )
        })
    }

    fn delete(&self, plan: &TablePlan) -> Option<Statement> {
        let table = self.table(&plan.target);
        let sql = match &plan.touched {
            Touched::Nothing => return None,
            Touched::Everything => format!("DELETE FROM {table}"),
            Touched::Partitions(partitions) => {
                format!(
                    "DELETE FROM {table} WHERE {}",
                    in_partitions(&plan.partition_columns, partitions)
                )
            }
        };
        Some(Statement::new(
            format!("delete the replaced rows of table {}", plan.target.as_str()),
            sql,
        ))
    }

    fn insert(&self, plan: &TablePlan) -> Option<Statement> {
        let selected = match &plan.source {
            Source::Nothing => return None,
            Source::Copied(copy) => selected(&plan.columns, copy),
            Source::Gathered(_) => column_names(&plan.columns),
        };
        Some(Statement::new(
            format!("insert the new rows of table {}", plan.target.as_str()),
            format!(
                "INSERT INTO {} ({}) SELECT {selected} FROM {}",
                self.table(&plan.target),
                column_names(&plan.columns),
                self.table(&plan.staging)
            ),
        ))
    }
}

fn staged(plans: &[TablePlan]) -> impl Iterator<Item = &TablePlan> {
    plans.iter().filter(|plan| plan.source != Source::Nothing)
}

fn declarations(columns: &[Column]) -> String {
    joined(columns.iter().map(|column| format!("{} {}", column.name, column.kind)))
}

fn column_names(columns: &[Column]) -> String {
    joined(columns.iter().map(|column| column.name.to_string()))
}

fn names(tables: &[&Identifier]) -> String {
    joined(tables.iter().map(|table| literal(table.as_str())))
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// What fills the columns of a table from what was copied: the copied column, the partition's value, or null.
fn selected(columns: &[Column], copy: &Copy) -> String {
    joined(columns.iter().map(|column| {
        if copy.columns.iter().any(|copied| copied.name == column.name) {
            return column.name.to_string();
        }
        match copy.fills.get(&column.name) {
            Some(Fill::Literal(Some(value))) => literal(value),
            Some(Fill::Column(source)) => text_of(source),
            Some(Fill::Literal(None)) | None => format!("CAST(NULL AS {})", column.kind),
        }
    }))
}

/// The text of a column as the lake writes it in a partition's name.
fn text_of(column: &Column) -> String {
    match column.kind {
        ColumnType::Date => format!("TO_CHAR({}, 'YYYY-MM-DD')", column.name),
        ColumnType::Text => column.name.to_string(),
        _ => format!("CAST({} AS VARCHAR(65535))", column.name),
    }
}

/// A condition that holds for the rows of these partitions.
fn in_partitions(columns: &[Identifier], partitions: &BTreeSet<PartitionValues>) -> String {
    let value = |values: &PartitionValues, column: &Identifier| values.get(column.as_str()).cloned().flatten();
    if let [column] = columns {
        let texts: Vec<String> = partitions
            .iter()
            .filter_map(|values| value(values, column))
            .map(|text| literal(&text))
            .collect();
        let null = partitions.iter().any(|values| value(values, column).is_none());
        let mut conditions = Vec::new();
        if !texts.is_empty() {
            conditions.push(format!("{column} IN ({})", texts.join(", ")));
        }
        if null {
            conditions.push(format!("{column} IS NULL"));
        }
        return conditions.join(" OR ");
    }
    let each = partitions.iter().map(|values| {
        let equal = columns.iter().map(|column| {
            value(values, column).map_or_else(
                || format!("{column} IS NULL"),
                |text| format!("{column} = {}", literal(&text)),
            )
        });
        format!("({})", equal.collect::<Vec<_>>().join(" AND "))
    });
    each.collect::<Vec<_>>().join(" OR ")
}

#[cfg(test)]
mod tests;
