//! The SQL of a load, as text: nothing here is sent. No network.
//!
//! Names are checked before they come here and are quoted; values are literals that cannot leave their quotes.

mod ledger;

use std::collections::BTreeSet;

use medallion_lake::PartitionValues;

use crate::column::{Column, ColumnType, Evolution};
use crate::failure::Lacking;
use crate::identifier::{Identifier, literal};
use crate::layout::Fill;
use crate::ledger::Signature;
use crate::plan::{Copy, Source, TablePlan};
use crate::statement::Statement;
use crate::touched::Touched;

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

    /// All columns of all tables of the schema that the user sees.
    pub fn read_columns(&self) -> String {
        format!(
            "SELECT table_name, column_name, data_type, numeric_precision, numeric_scale \
             FROM information_schema.columns WHERE table_schema = {} ORDER BY table_name, ordinal_position",
            literal(self.schema.as_str())
        )
    }

    /// Counts the rows of tables, one row of name and count per table. `None`: there are no tables.
    pub fn count_rows(&self, tables: &[&Identifier]) -> Option<String> {
        let counts: Vec<String> = tables.iter().map(|table| self.count(table)).collect();
        (!counts.is_empty()).then(|| counts.join(" UNION ALL "))
    }

    fn count(&self, table: &Identifier) -> String {
        format!(
            "SELECT {} AS table_name, COUNT(*) AS row_count FROM {}",
            literal(table.as_str()),
            self.table(table)
        )
    }

    /// Asks whose rights the statements have.
    pub fn read_user() -> &'static str {
        "SELECT CAST(CURRENT_USER AS VARCHAR(128)) AS user_name"
    }

    /// What lets a user do what it may not do.
    pub fn grant(&self, lacking: Lacking<'_>, user: &str) -> String {
        let user = format!("\"{}\"", user.replace('"', "\"\""));
        match lacking {
            Lacking::InSchema => format!("GRANT USAGE, CREATE ON SCHEMA {} TO {user}", self.schema),
            Lacking::OnTable(table) => {
                format!(
                    "GRANT SELECT, INSERT, UPDATE, DELETE ON {}.\"{table}\" TO {user}",
                    self.schema
                )
            }
            Lacking::Ownership(table) => format!("ALTER TABLE {}.\"{table}\" OWNER TO {user}", self.schema),
        }
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

    /// Counts the rows of the staging tables. `None`: nothing was staged.
    pub fn count_staged(&self, plans: &[TablePlan]) -> Option<String> {
        let tables: Vec<&Identifier> = staged(plans).map(|plan| &plan.staging).collect();
        self.count_rows(&tables)
    }

    /// The one transaction that makes the load visible. First the ledger is locked; then the guards fail the transaction
    /// (they divide by zero) if the ledger has moved, if somebody's rows are in a table that was empty, or if the staged
    /// rows are not the counted ones; the ledger's new rows come last.
    pub fn publish(&self, plans: &[TablePlan], signature: &Signature) -> Vec<Statement> {
        let mut statements = vec![self.lock_ledger(), self.ledger_guard(plans)];
        statements.extend(self.vacancy_guard(plans));
        statements.extend(self.staging_guard(plans));
        for plan in plans {
            statements.extend(self.delete(plan));
            statements.extend(self.insert(plan));
        }
        statements.extend(self.write_ledger(plans, signature));
        statements
    }

    fn vacancy_guard(&self, plans: &[TablePlan]) -> Option<Statement> {
        let counts: Vec<String> = plans
            .iter()
            .filter(|plan| plan.vacant)
            .map(|plan| format!("(SELECT COUNT(*) FROM {}) = 0", self.table(&plan.target)))
            .collect();
        (!counts.is_empty()).then(|| {
            Statement::new(
                "check that tables of a first load hold nobody's rows",
                format!(
                    "SELECT 1 / CASE WHEN {} THEN 1 ELSE 0 END AS tables_are_vacant",
                    counts.join(" AND ")
                ),
            )
        })
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
            Touched::Everything if plan.vacant => return None,
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
