//! The warehouse's schema: verified, or created, with the rights that the loader needs in it. Talks to the Redshift Data API.

use aws_config::SdkConfig;
use aws_sdk_redshiftdata::types::Field;
use medallion_crds::launch::WarehouseSettings;
use medallion_crds::pipeline::Management;

use crate::finding::{Finding, OR_MANAGED};
use crate::statements::{Statements, Trouble, text};

/// The loader's table of what it has loaded for whom.
const LEDGER: &str = "medallion_ledger";
/// What the loader does with tables. Each is a right of its own: who may write one need not be let read it.
const ON_TABLE: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

/// For whom the schema is looked at.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// The Pipeline, as the ledger names it.
    pub owner: String,
    /// Pipelines that it may displace.
    pub adopt: Vec<String>,
    /// The tables that it loads.
    pub tables: Vec<String>,
}

/// The schema of one warehouse.
pub struct Schemas {
    statements: Statements,
    warehouse: WarehouseSettings,
    management: Management,
    claimant: Claimant,
}

/// A right that the loader's user must have: the condition that it has it, and the statement that gives it.
struct Right {
    condition: String,
    grant: String,
}

impl Schemas {
    /// The schema as the configuration reaches it.
    pub fn new(
        configuration: &SdkConfig,
        warehouse: &WarehouseSettings,
        management: Management,
        claimant: Claimant,
    ) -> Self {
        Self {
            statements: Statements::new(configuration, warehouse),
            warehouse: warehouse.clone(),
            management,
            claimant,
        }
    }

    /// Verifies the schema, or creates it.
    pub async fn check(&self) -> Finding {
        let schema = &self.warehouse.schema;
        // The name goes into SQL text as it is.
        if !schema
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
        {
            return Finding::Differs(format!(
                "{schema:?} is not a name: use lower-case letters, digits and underscores"
            ));
        }
        match self.look().await {
            Ok(finding) => finding,
            Err(Trouble::Refused(message) | Trouble::Unanswered(message)) => Finding::Unknown(message),
        }
    }

    async fn look(&self) -> Result<Finding, Trouble> {
        let schema = &self.warehouse.schema;
        let mut done = Vec::new();
        let found = format!("SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = '{schema}'");
        if self.statements.texts(&found).await?.is_empty() {
            if self.management != Management::Managed {
                return Ok(Finding::Missing(format!(
                    "the schema is not there: CREATE SCHEMA {schema} in database {}, {OR_MANAGED}",
                    self.warehouse.database
                )));
            }
            match self
                .statements
                .run(&format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\""))
                .await
            {
                Ok(_) => done.push("created".to_owned()),
                Err(Trouble::Refused(message)) => {
                    return Ok(Finding::Missing(format!("it could not be created: {message}")));
                }
                Err(trouble) => return Err(trouble),
            }
        }
        let ledger = self.ledger_columns().await?;
        let names_owners = ledger.iter().any(|column| column == "owner");
        if names_owners && let Some(difference) = self.owned_by_others().await? {
            return Ok(Finding::Differs(difference));
        }
        if let Some(user) = &self.warehouse.loader_user {
            let mut tables = self.tables_to_load(names_owners).await?;
            // A ledger that is there may have been made by the loader of another pipeline.
            if !ledger.is_empty() {
                tables.insert(0, LEDGER.to_owned());
            }
            if let Err(difference) = self.permit(user, &tables, &mut done).await? {
                return Ok(Finding::Differs(difference));
            }
        }
        Ok(if done.is_empty() {
            Finding::Exists
        } else {
            Finding::Created(done.join(", "))
        })
    }

    /// The ledger's columns, asked of the catalogue, which everybody may read; none: there is no ledger.
    async fn ledger_columns(&self) -> Result<Vec<String>, Trouble> {
        let sql = format!(
            "SELECT attname FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_class ON pg_class.oid = attrelid \
             JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace \
             WHERE nspname = '{}' AND relname = '{LEDGER}' AND attnum > 0 AND NOT attisdropped",
            self.warehouse.schema
        );
        self.statements.texts(&sql).await
    }

    /// Tables of the pipeline that the ledger says are another's.
    async fn owned_by_others(&self) -> Result<Option<String>, Trouble> {
        let Some(sql) = self.claimant.question(&self.warehouse.schema) else {
            return Ok(None);
        };
        match self.statements.rows(&sql).await {
            Ok(rows) => Ok(self.claimant.difference(&self.warehouse.schema, &rows)),
            // The ledger is the loader's, and the loader itself looks whose the tables are.
            Err(Trouble::Refused(message)) => {
                tracing::info!(detail = message, "the warehouse's ledger could not be read");
                Ok(None)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// The tables that are there and the pipeline's to load: those that the ledger says are its own or that its annotation
    /// names. Another user may have made them: an earlier one of the pipeline's, that of a pipeline that is displaced, a person.
    async fn tables_to_load(&self, ledger_names_owners: bool) -> Result<Vec<String>, Trouble> {
        let schema = &self.warehouse.schema;
        let mut ours = self.claimant.named(schema);
        if let Some(sql) = self.claimant.own(schema).filter(|_| ledger_names_owners) {
            match self.statements.texts(&sql).await {
                Ok(tables) => ours.extend(tables),
                Err(Trouble::Refused(message)) => {
                    tracing::info!(detail = message, "the warehouse's ledger could not be read");
                }
                Err(trouble) => return Err(trouble),
            }
        }
        if ours.is_empty() {
            return Ok(ours);
        }
        let names: Vec<String> = ours.iter().map(|table| literal(table)).collect();
        let there = format!(
            "SELECT relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace \
             WHERE nspname = '{schema}' AND relname IN ({}) ORDER BY relname",
            names.join(", ")
        );
        self.statements.texts(&there).await
    }

    /// Gives the loader's user what it needs, or says what it lacks.
    async fn permit(
        &self,
        user: &str,
        tables: &[String],
        done: &mut Vec<String>,
    ) -> Result<Result<(), String>, Trouble> {
        if user.contains(['\'', '\\', '"']) {
            return Ok(Err(format!("{user:?} cannot be the name of a database user")));
        }
        let make = format!("CREATE USER \"{user}\" PASSWORD DISABLE");
        let known = format!("SELECT usename FROM pg_catalog.pg_user WHERE usename = '{user}'");
        // The warehouse makes a user with its first statement, which no loader has sent before the first run.
        if self.statements.texts(&known).await?.is_empty()
            && let Err(difference) = self.mend(user, &make, done).await?
        {
            return Ok(Err(difference));
        }
        let rights = rights(&self.warehouse.schema, user, tables);
        // As it is nearly always; every statement takes its time.
        let conditions: Vec<&str> = rights.iter().map(|right| right.condition.as_str()).collect();
        if self.holds(&conditions.join(" AND ")).await? {
            return Ok(Ok(()));
        }
        for right in rights {
            if !self.holds(&right.condition).await?
                && let Err(difference) = self.mend(user, &right.grant, done).await?
            {
                return Ok(Err(difference));
            }
        }
        Ok(Ok(()))
    }

    async fn holds(&self, condition: &str) -> Result<bool, Trouble> {
        let rows = self.statements.rows(&format!("SELECT {condition}")).await?;
        Ok(rows.first().and_then(|row| row.first()) == Some(&Field::BooleanValue(true)))
    }

    async fn mend(&self, user: &str, sql: &str, done: &mut Vec<String>) -> Result<Result<(), String>, Trouble> {
        if self.management != Management::Managed {
            return Ok(Err(format!(
                "the loader's user {user} may not use it: {sql}, {OR_MANAGED}"
            )));
        }
        match self.statements.run(sql).await {
            Ok(_) => {
                done.push(sql.to_owned());
                Ok(Ok(()))
            }
            Err(Trouble::Refused(message)) => Ok(Err(format!(
                "the loader's user {user} may not use it, and it could not be mended: {message}; let an administrator of \
                 database {} run {sql}",
                self.warehouse.database
            ))),
            Err(trouble) => Err(trouble),
        }
    }
}

impl Claimant {
    /// The pipeline's tables that its annotation names, because nobody owns them.
    fn named(&self, schema: &str) -> Vec<String> {
        let named = |table: &&String| self.adopt.contains(&format!("{schema}.{table}"));
        self.tables.iter().filter(named).cloned().collect()
    }

    /// Asks the ledger for the tables that are the pipeline's own or given up to it; `None`: there are no tables to ask for.
    fn own(&self, schema: &str) -> Option<String> {
        let owners: Vec<String> = [&self.owner]
            .into_iter()
            .chain(&self.adopt)
            .map(|owner| literal(owner))
            .collect();
        let tables: Vec<String> = self.tables.iter().map(|table| literal(table)).collect();
        (!tables.is_empty()).then(|| {
            format!(
                "SELECT table_name FROM \"{schema}\".\"{LEDGER}\" WHERE owner IN ({}) AND table_name IN ({}) ORDER BY table_name",
                owners.join(", "),
                tables.join(", ")
            )
        })
    }

    /// Asks the ledger for the tables that are another's; `None`: there are no tables to ask for.
    fn question(&self, schema: &str) -> Option<String> {
        let tables: Vec<String> = self.tables.iter().map(|table| literal(table)).collect();
        (!tables.is_empty()).then(|| {
            format!(
                "SELECT table_name, owner FROM \"{schema}\".\"{LEDGER}\" WHERE owner <> {} AND table_name IN ({}) \
                 ORDER BY table_name",
                literal(&self.owner),
                tables.join(", ")
            )
        })
    }

    fn difference(&self, schema: &str, rows: &[Vec<Field>]) -> Option<String> {
        let others: Vec<String> = rows
            .iter()
            .filter_map(|row| Some((text(row, 0)?, text(row, 1)?)))
            .filter(|(_, owner)| !self.adopt.contains(owner))
            .map(|(table, owner)| {
                format!(
                    "table {schema}.{table} belongs to Pipeline {owner}: load another schema or table, or, if that Pipeline \
                     shall give it up, annotate this one with medallion.dev/adopt: {owner}"
                )
            })
            .collect();
        (!others.is_empty()).then(|| others.join("; "))
    }
}

fn rights(schema: &str, user: &str, tables: &[String]) -> Vec<Right> {
    let in_schema = Right {
        condition: format!(
            "HAS_SCHEMA_PRIVILEGE('{user}', '{schema}', 'USAGE') AND HAS_SCHEMA_PRIVILEGE('{user}', '{schema}', 'CREATE')"
        ),
        grant: format!("GRANT USAGE, CREATE ON SCHEMA \"{schema}\" TO \"{user}\""),
    };
    let on_tables = tables.iter().map(|table| {
        let has = ON_TABLE.map(|right| format!("HAS_TABLE_PRIVILEGE('{user}', '{schema}.{table}', '{right}')"));
        Right {
            condition: has.join(" AND "),
            grant: format!(
                "GRANT {} ON \"{schema}\".\"{table}\" TO \"{user}\"",
                ON_TABLE.join(", ")
            ),
        }
    });
    [in_schema].into_iter().chain(on_tables).collect()
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant(adopt: &[&str]) -> Claimant {
        Claimant {
            owner: "here/shop/orders".to_owned(),
            adopt: adopt.iter().map(|owner| (*owner).to_owned()).collect(),
            tables: vec!["orders".to_owned(), "daily_sales".to_owned()],
        }
    }

    fn row(table: &str, owner: &str) -> Vec<Field> {
        [table, owner].map(|text| Field::StringValue(text.to_owned())).to_vec()
    }

    #[test]
    fn the_ledger_is_asked_for_the_pipelines_own_tables_only() {
        let sql = claimant(&[]).question("gold").expect("a question");
        assert!(sql.contains("table_name IN ('orders', 'daily_sales')"), "{sql}");
        assert!(sql.contains("owner <> 'here/shop/orders'"), "{sql}");
        let nothing = Claimant {
            tables: Vec::new(),
            ..claimant(&[])
        };
        assert_eq!(nothing.question("gold"), None);
    }

    #[test]
    fn another_pipelines_table_is_named_with_the_ways_on_unless_that_pipeline_is_displaced() {
        let rows = [row("orders", "here/shop/other")];
        let words = claimant(&["here/shop/third"])
            .difference("gold", &rows)
            .expect("differs");
        for part in [
            "gold.orders",
            "Pipeline here/shop/other",
            "medallion.dev/adopt: here/shop/other",
        ] {
            assert!(words.contains(part), "{words}");
        }
        assert_eq!(claimant(&["here/shop/other"]).difference("gold", &rows), None);
        assert_eq!(claimant(&[]).difference("gold", &[]), None);
    }

    #[test]
    fn tables_that_are_there_are_granted_too() {
        let grants = |tables: &[&str]| {
            let tables: Vec<String> = tables.iter().map(|table| (*table).to_owned()).collect();
            let rights = rights("gold", "IAMR:shop-loader", &tables);
            rights.into_iter().map(|right| right.grant).collect::<Vec<_>>()
        };
        assert_eq!(
            grants(&[]),
            [r#"GRANT USAGE, CREATE ON SCHEMA "gold" TO "IAMR:shop-loader""#]
        );
        assert_eq!(
            grants(&["medallion_ledger", "orders"])[1..],
            [
                r#"GRANT SELECT, INSERT, UPDATE, DELETE ON "gold"."medallion_ledger" TO "IAMR:shop-loader""#,
                r#"GRANT SELECT, INSERT, UPDATE, DELETE ON "gold"."orders" TO "IAMR:shop-loader""#,
            ]
        );
    }

    #[test]
    fn rights_are_given_only_on_what_is_the_pipelines_to_load() {
        let claimant = claimant(&["here/shop/other", "gold.daily_sales", "gold.customers"]);
        assert_eq!(
            claimant.named("gold"),
            ["daily_sales"],
            "another's table is not ours by a name"
        );
        assert!(claimant.named("silver").is_empty());
        let sql = claimant.own("gold").expect("a question");
        for part in [
            "owner IN ('here/shop/orders', 'here/shop/other', ",
            "table_name IN ('orders', 'daily_sales')",
        ] {
            assert!(sql.contains(part), "{sql}");
        }
    }

    #[test]
    fn every_right_that_is_granted_is_asked_for() {
        for right in rights("gold", "IAMR:shop-loader", &["orders".to_owned()]) {
            let (granted, _) = right
                .grant
                .strip_prefix("GRANT ")
                .and_then(|rest| rest.split_once(" ON "))
                .expect("rights");
            for one in granted.split(", ") {
                assert!(
                    right.condition.contains(&format!("'{one}')")),
                    "{one}: {}",
                    right.condition
                );
            }
        }
    }
}
