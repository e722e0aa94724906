//! One connection to PostgreSQL set up to behave like a Redshift session; talks to PostgreSQL.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::conflicts::{Footprint, Snapshot};
use super::failure::{describe, with_causes};
use super::result::{Column, Field, ResultSet};
use super::system::SCHEMA;

/// How long a rollback may take before its connection is dropped instead.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(10);

pub struct Session {
    pub client: Client,
    pub process_id: i64,
    connection: JoinHandle<()>,
}

/// What one SQL statement came to.
#[derive(Debug)]
pub struct Executed {
    pub rows: i64,
    pub result: Option<ResultSet>,
}

impl Session {
    /// Errors are texts for the statement's `Error` field, here and below.
    pub async fn open(config: &Config) -> Result<Self, String> {
        let (client, connection) = config
            .connect(NoTls)
            .await
            .map_err(|error| format!("FATAL: the warehouse cannot be reached: {}", with_causes(&error)))?;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(error = with_causes(&error), "connection to postgresql broke");
            }
        });
        let mut session = Self {
            client,
            process_id: 0,
            connection,
        };
        session.set_up().await.map_err(|error| describe(&error, 0))?;
        Ok(session)
    }

    /// Redshift reads backslashes in strings as escapes and works in UTC. `PostgreSQL` looks every second whether its client is
    /// still there: a stand-in that was killed leaves no statement running that holds locks.
    async fn set_up(&mut self) -> Result<(), tokio_postgres::Error> {
        let settings = format!(
            "SET search_path = \"$user\", public, {SCHEMA}; SET standard_conforming_strings = off; SET escape_string_warning = off; \
             SET DateStyle = 'ISO, MDY'; SET TimeZone = 'UTC'; SET client_min_messages = warning; SET extra_float_digits = 1; \
             SET client_connection_check_interval = '1s'"
        );
        self.client.batch_execute(&settings).await?;
        self.process_id = i64::from(
            self.client
                .query_one("SELECT pg_backend_pid()", &[])
                .await?
                .try_get::<_, i32>(0)?,
        );
        Ok(())
    }

    pub async fn begin(&self) -> Result<(), String> {
        self.run("BEGIN ISOLATION LEVEL REPEATABLE READ").await
    }

    pub async fn commit(&self) -> Result<(), String> {
        self.run("COMMIT").await
    }

    /// Stops what still runs, then rolls back; when this returns, the transaction holds no lock any more or its connection is closed.
    pub async fn roll_back(self) {
        let stop = async {
            if let Err(error) = self.client.cancel_token().cancel_query(NoTls).await {
                tracing::warn!(error = with_causes(&error), "query could not be cancelled");
            }
            self.run("ROLLBACK").await
        };
        match tokio::time::timeout(ROLLBACK_TIMEOUT, stop).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error, "rollback failed"),
            Err(_) => {
                tracing::warn!("rollback took too long, its connection is closed");
                self.connection.abort();
            }
        }
    }

    /// Asked for the columns' types first: PostgreSQL tells them only for prepared statements, and rows as text only for others.
    pub async fn execute(&self, sql: &str) -> Result<Executed, String> {
        let prepared = self.client.prepare(sql).await.map_err(|error| self.describe(&error))?;
        let messages = self
            .client
            .simple_query(sql)
            .await
            .map_err(|error| self.describe(&error))?;
        let types: Vec<_> = prepared.columns().iter().map(|column| column.type_().clone()).collect();
        let columns: Vec<_> = prepared
            .columns()
            .iter()
            .map(|column| Column::new(column.name(), column.type_(), column.type_modifier()))
            .collect();
        let mut affected = 0;
        let mut result = ResultSet::new(columns);
        for message in messages {
            match message {
                SimpleQueryMessage::Row(row) => {
                    let fields = types
                        .iter()
                        .enumerate()
                        .map(|(index, column_type)| Field::from_text(row.get(index), column_type))
                        .collect();
                    result.push(fields).map_err(|error| error.to_string())?;
                }
                SimpleQueryMessage::CommandComplete(rows) => affected = i64::try_from(rows).unwrap_or(i64::MAX),
                _ => {}
            }
        }
        if result.columns.is_empty() {
            Ok(Executed {
                rows: affected,
                result: None,
            })
        } else {
            Ok(Executed {
                rows: i64::try_from(result.rows.len()).unwrap_or(i64::MAX),
                result: Some(result),
            })
        }
    }

    /// What the open transaction has done so far; `rewritten` are the tables whose rows it changed after it had read them.
    pub async fn footprint(&self, rewritten: &[String]) -> Result<Footprint, String> {
        const NUMBER: &str = "SELECT pg_current_xact_id_if_assigned()::text, pg_current_snapshot()::text";
        const LOCKS: &str = "SELECT relation::bigint, mode FROM pg_locks JOIN pg_class ON pg_class.oid = relation \
             JOIN pg_namespace ON pg_namespace.oid = relnamespace \
             WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relkind IN ('r', 'p') \
             AND nspname NOT IN ('pg_catalog', 'information_schema', 'redshift_stand_in') AND nspname !~ '^pg_t'";
        const IDS: &str = "SELECT found::oid::bigint FROM unnest($1::text[]) AS name, to_regclass(name) AS found WHERE found IS NOT NULL";
        let failed = |error| self.describe(&error);
        let row = self.client.query_one(NUMBER, &[]).await.map_err(failed)?;
        let number: Option<String> = row.try_get(0).map_err(failed)?;
        let snapshot: String = row.try_get(1).map_err(failed)?;
        let mut footprint = Footprint {
            number: number.and_then(|number| number.parse().ok()),
            snapshot: Snapshot::parse(&snapshot).ok_or_else(|| format!("ERROR: no snapshot: {snapshot}"))?,
            read: BTreeSet::new(),
            written: BTreeSet::new(),
        };
        for row in self.client.query(LOCKS, &[]).await.map_err(failed)? {
            let table: i64 = row.try_get(0).map_err(failed)?;
            match row.try_get(1).map_err(failed)? {
                "AccessShareLock" => footprint.read.insert(table),
                "RowExclusiveLock" => footprint.written.insert(table),
                _ => false,
            };
        }
        for row in self.client.query(IDS, &[&rewritten]).await.map_err(failed)? {
            let table: i64 = row.try_get(0).map_err(failed)?;
            if footprint.written.contains(&table) {
                footprint.read.insert(table);
            }
        }
        Ok(footprint)
    }

    pub fn describe(&self, error: &tokio_postgres::Error) -> String {
        describe(error, self.process_id)
    }

    async fn run(&self, sql: &str) -> Result<(), String> {
        self.client
            .batch_execute(sql)
            .await
            .map_err(|error| self.describe(&error))
    }
}
