//! Statements on their way through the Redshift Data API, one after the other. Talks to the Redshift Data API.

use std::error::Error;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::config::http::HttpResponse;
use aws_sdk_redshiftdata::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_redshiftdata::types::{Field, StatusString};
use medallion_crds::launch::WarehouseSettings;
use tokio::time::{Instant, sleep};
use worker_kit::aws::said;

/// How long the Data API may hold a question about a statement open.
const WAIT_SECONDS: i32 = 2;
/// A Data API that does not hold the question open is asked no faster than this.
const PACE: Duration = Duration::from_millis(200);

/// Why the warehouse could not be asked.
pub enum Trouble {
    /// It did not answer.
    Unanswered(String),
    /// It ran the statement and refused it.
    Refused(String),
}

/// The statements of one warehouse.
pub struct Statements {
    client: Client,
    warehouse: WarehouseSettings,
}

impl Statements {
    /// Statements as the configuration reaches the warehouse.
    pub fn new(configuration: &SdkConfig, warehouse: &WarehouseSettings) -> Self {
        Self {
            client: Client::new(configuration),
            warehouse: warehouse.clone(),
        }
    }

    /// Runs a query and gives its first page, which is all of an answer of a few rows.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Field>>, Trouble> {
        let id = self.run(sql).await?;
        let result = self.client.get_statement_result().id(id).send().await;
        Ok(result.map_err(|error| unanswered(&error))?.records)
    }

    /// The first column of a query's rows, where it is a text.
    pub async fn texts(&self, sql: &str) -> Result<Vec<String>, Trouble> {
        let rows = self.rows(sql).await?;
        Ok(rows.iter().filter_map(|row| text(row, 0)).collect())
    }

    /// Runs a statement to its end and gives its id.
    pub async fn run(&self, sql: &str) -> Result<String, Trouble> {
        let answer = self
            .client
            .execute_statement()
            .sql(sql)
            .statement_name("medallion/provisioner")
            .database(&self.warehouse.database)
            .set_workgroup_name(self.warehouse.workgroup_name.clone())
            .set_cluster_identifier(self.warehouse.cluster_identifier.clone())
            .send()
            .await
            .map_err(|error| unanswered(&error))?;
        let id = answer.id().unwrap_or_default();
        loop {
            let asked = Instant::now();
            let found = self
                .client
                .describe_statement()
                .id(id)
                .wait_time_seconds(WAIT_SECONDS)
                .send()
                .await
                .map_err(|error| unanswered(&error))?;
            match found.status() {
                Some(StatusString::Finished) => return Ok(id.to_owned()),
                Some(StatusString::Failed | StatusString::Aborted) => {
                    return Err(Trouble::Refused(
                        found.error().unwrap_or("the warehouse gives no reason").to_owned(),
                    ));
                }
                _ => sleep(PACE.saturating_sub(asked.elapsed())).await,
            }
        }
    }
}

/// A column of a row, if it is a text.
pub fn text(row: &[Field], place: usize) -> Option<String> {
    row.get(place)?.as_string_value().ok().cloned()
}

fn unanswered<E: Error + ProvideErrorMetadata + 'static>(error: &SdkError<E, HttpResponse>) -> Trouble {
    Trouble::Unanswered(format!(
        "the redshift data api did not answer as it should: {}",
        said(error)
    ))
}
