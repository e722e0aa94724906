//! Reads the warehouse's tables directly, past the Data API. Touches PostgreSQL.

use std::path::Path;
use std::pin::pin;

use anyhow::{Context, Result};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio_postgres::{Client, NoTls};

use crate::stack::Stack;

pub struct Warehouse {
    client: Client,
}

impl Warehouse {
    pub async fn connect(stack: &Stack) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(&stack.postgres.url, NoTls)
            .await
            .context("PostgreSQL")?;
        // Ends by itself when the client is dropped.
        tokio::spawn(connection);
        client.batch_execute("SET TimeZone = 'UTC'").await?;
        Ok(Self { client })
    }

    pub async fn has_table(&self, schema: &str, table: &str) -> Result<bool> {
        let query = "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = $2)";
        Ok(self.client.query_one(query, &[&schema, &table]).await?.get(0))
    }

    /// All rows of a table as a CSV file.
    pub async fn export(&self, schema: &str, table: &str, file: &Path) -> Result<()> {
        let copy = format!(
            "COPY {}.{} TO STDOUT (FORMAT csv, HEADER)",
            quoted(schema),
            quoted(table)
        );
        let mut rows = pin!(self.client.copy_out(&copy).await.with_context(|| copy.clone())?);
        let mut file = tokio::fs::File::create(file).await?;
        while let Some(chunk) = rows.next().await {
            file.write_all(&chunk?).await?;
        }
        Ok(file.flush().await?)
    }

    /// The only number that a query gives.
    pub async fn number(&self, query: &str) -> Result<i64> {
        Ok(self
            .client
            .query_one(query, &[])
            .await
            .with_context(|| query.to_owned())?
            .get(0))
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub async fn drop_schema(&self, schema: &str) -> Result<()> {
        Ok(self
            .client
            .batch_execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", quoted(schema)))
            .await?)
    }
}

pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
