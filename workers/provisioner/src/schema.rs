//! The warehouse's schema: verified, or created. Talks to the Redshift Data API.

use std::error::Error;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::config::http::HttpResponse;
use aws_sdk_redshiftdata::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_redshiftdata::types::StatusString;
use medallion_crds::launch::WarehouseSettings;
use medallion_crds::pipeline::Management;
use tokio::time::{Instant, sleep};

use crate::finding::{Finding, OR_MANAGED, said};

/// How long the Data API may hold a question about a statement open.
const WAIT_SECONDS: i32 = 2;
/// A Data API that does not hold the question open is asked no faster than this.
const PACE: Duration = Duration::from_millis(200);

/// The schema of one warehouse.
pub struct Schemas {
    client: Client,
    warehouse: WarehouseSettings,
    management: Management,
}

/// Why the warehouse could not be asked.
enum Trouble {
    /// It did not answer.
    Unanswered(String),
    /// It ran the statement and refused it.
    Refused(String),
}

impl Schemas {
    /// The schema as the configuration reaches it.
    pub fn new(configuration: &SdkConfig, warehouse: &WarehouseSettings, management: Management) -> Self {
        Self {
            client: Client::new(configuration),
            warehouse: warehouse.clone(),
            management,
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
        match self.exists(schema).await {
            Ok(true) => Finding::Exists,
            Ok(false) if self.management == Management::Managed => {
                match self.run(&format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"")).await {
                    Ok(_) => Finding::Created("created".to_owned()),
                    Err(Trouble::Refused(message)) => Finding::Missing(format!("it could not be created: {message}")),
                    Err(Trouble::Unanswered(message)) => Finding::Unknown(message),
                }
            }
            Ok(false) => Finding::Missing(format!(
                "the schema is not there: CREATE SCHEMA {schema} in database {}, {OR_MANAGED}",
                self.warehouse.database
            )),
            Err(Trouble::Refused(message) | Trouble::Unanswered(message)) => Finding::Unknown(message),
        }
    }

    async fn exists(&self, schema: &str) -> Result<bool, Trouble> {
        let id = self
            .run(&format!(
                "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = '{schema}'"
            ))
            .await?;
        let result = self
            .client
            .get_statement_result()
            .id(id)
            .send()
            .await
            .map_err(|error| unanswered(&error))?;
        Ok(!result.records().is_empty())
    }

    /// Runs a statement to its end and gives its id.
    async fn run(&self, sql: &str) -> Result<String, Trouble> {
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

fn unanswered<E: Error + ProvideErrorMetadata + 'static>(error: &SdkError<E, HttpResponse>) -> Trouble {
    Trouble::Unanswered(format!(
        "the redshift data api did not answer as it should: {}",
        said(error)
    ))
}
