//! The warehouse through the Redshift Data API: batches by name, queries, waiting. Talks to the Data API.
//!
//! A batch is one transaction. Its name and token are functions of run, attempt and step, so that a batch whose answer
//! was lost, or that a dead process has left behind, is found by its name and not run again.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::config::Builder;
use aws_sdk_redshiftdata::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_redshiftdata::operation::describe_statement::{DescribeStatementError, DescribeStatementOutput};
use aws_sdk_redshiftdata::types::{ExecutionMode, Field, StatementStatusString, StatusString};
use medallion_crds::launch::WarehouseSettings;
use tokio::time::{Instant, sleep};
use worker_kit::aws::said;

use crate::error::LoadError;
use crate::failure::{self, Failure};
use crate::names::{self, Names};
use crate::statement::Statement;

/// The longest text of one statement.
const MAX_STATEMENT_BYTES: usize = 100_000;
/// How long the Data API may hold a question about a statement open.
const WAIT_SECONDS: i32 = 20;
/// A Data API that does not hold the question open is asked no faster than this.
const PACE: Duration = Duration::from_millis(200);
/// A Data API that turns questions away, as it does after the SDK's own retries, is asked no faster than this.
const THROTTLED_PACE: Duration = Duration::from_secs(2);
/// One request, which may wait for [`WAIT_SECONDS`], and one call with its retries.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(40);
const CALL_TIMEOUT: Duration = Duration::from_secs(90);

/// The steps of a run; names of statements end with them.
pub mod step {
    /// Makes the ledger.
    pub const LEDGER: &str = "ledger";
    /// Makes and widens tables; a digest follows, as in all steps of several batches.
    pub const PREPARE: &str = "prepare";
    /// Copies into staging tables.
    pub const STAGE: &str = "stage";
    /// Makes the load visible.
    pub const PUBLISH: &str = "publish";
    /// Drops staging tables.
    pub const SWEEP: &str = "sweep";
    /// Reads; the only step that may be repeated, and so has no token.
    pub const READ: &str = "read";
}

/// The warehouse, as one attempt of one run sees it.
#[derive(Clone, Debug)]
pub struct Warehouse {
    client: Client,
    settings: WarehouseSettings,
    names: Names,
}

/// A statement of the run that is in the Data API's list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Whether it has ended.
    pub ended: bool,
}

/// Statements by name.
pub type Known = BTreeMap<String, Listed>;

impl Warehouse {
    /// A client for the attempt.
    pub fn new(configuration: &SdkConfig, settings: &WarehouseSettings, names: Names) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(CALL_TIMEOUT)
            .build();
        let configuration = Builder::from(configuration).timeout_config(timeouts).build();
        Self {
            client: Client::from_conf(configuration),
            settings: settings.clone(),
            names,
        }
    }

    /// The statements of the run whose names begin with a text.
    pub async fn list(&self, prefix: &str) -> Result<Known, LoadError> {
        let mut pages = self
            .client
            .list_statements()
            .statement_name(prefix)
            .status(StatusString::All)
            .database(&self.settings.database)
            .set_workgroup_name(self.settings.workgroup_name.clone())
            .set_cluster_identifier(self.settings.cluster_identifier.clone())
            .into_paginator()
            .send();
        let mut known = Known::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| unreachable(format!("list statements {prefix}*"), &error))?;
            for statement in page.statements() {
                if let Some(name) = statement.statement_name() {
                    let listed = Listed {
                        id: statement.id().to_owned(),
                        ended: has_ended(statement.status()),
                    };
                    known.insert(name.to_owned(), listed);
                }
            }
        }
        Ok(known)
    }

    /// Runs a batch as one transaction, unless it is known already, and waits for its end. Without statements there is
    /// nothing to do.
    pub async fn batch(&self, known: &Known, step: &str, statements: &[Statement]) -> Result<(), LoadError> {
        let name = self.names.statement(step);
        for statement in statements {
            if statement.sql.len() > MAX_STATEMENT_BYTES {
                return Err(LoadError::TooLong {
                    name,
                    title: statement.title.clone(),
                    bytes: statement.sql.len(),
                    limit: MAX_STATEMENT_BYTES,
                });
            }
        }
        if statements.is_empty() {
            return Ok(());
        }
        let id = match known.get(&name) {
            Some(listed) => {
                tracing::info!(statement = name, "going on with a statement of an earlier process");
                listed.id.clone()
            }
            None => self.submit(&name, step, statements).await?,
        };
        let titles: Vec<&str> = statements.iter().map(|statement| statement.title.as_str()).collect();
        self.wait(&id, &name, &titles).await
    }

    /// Runs batches one after the other. Their steps are told apart by what they do: a process that takes over and has
    /// other batches to run, because some are done, does not mistake one for another.
    pub async fn batches(&self, known: &Known, step: &str, batches: Vec<Vec<Statement>>) -> Result<(), LoadError> {
        for statements in batches {
            let texts: Vec<&str> = statements.iter().map(|statement| statement.sql.as_str()).collect();
            self.batch(known, &format!("{step}-{}", names::short_digest(&texts)), &statements)
                .await?;
        }
        Ok(())
    }

    async fn submit(&self, name: &str, step: &str, statements: &[Statement]) -> Result<String, LoadError> {
        tracing::debug!(statement = name, count = statements.len(), "submitted");
        let answer = self
            .client
            .batch_execute_statement()
            .set_sqls(Some(statements.iter().map(|statement| statement.sql.clone()).collect()))
            .execution_mode(ExecutionMode::Transaction)
            .statement_name(name)
            .client_token(self.names.token(step))
            .database(&self.settings.database)
            .set_workgroup_name(self.settings.workgroup_name.clone())
            .set_cluster_identifier(self.settings.cluster_identifier.clone())
            .send()
            .await;
        let error = match answer {
            Ok(answer) => match answer.id() {
                Some(id) => return Ok(id.to_owned()),
                None => unanswered(format!("submit statement {name}"), "the answer has no id"),
            },
            Err(error) => unreachable(format!("submit statement {name}"), &error),
        };
        // The batch may run although nobody said so: its name finds it.
        let known = self.list(name).await?;
        known.get(name).map(|listed| listed.id.clone()).ok_or(error)
    }

    /// Runs one query and gives its rows.
    pub async fn query(&self, title: &str, sql: &str) -> Result<Vec<Vec<Field>>, LoadError> {
        let name = self.names.statement(step::READ);
        let answer = self
            .client
            .execute_statement()
            .sql(sql)
            .statement_name(&name)
            .database(&self.settings.database)
            .set_workgroup_name(self.settings.workgroup_name.clone())
            .set_cluster_identifier(self.settings.cluster_identifier.clone())
            .send()
            .await
            .map_err(|error| unreachable(format!("submit statement {name} to {title}"), &error))?;
        let id = answer
            .id()
            .ok_or_else(|| unanswered(format!("submit statement {name}"), "the answer has no id"))?;
        self.wait(id, &name, &[title]).await?;
        let mut pages = self.client.get_statement_result().id(id).into_paginator().send();
        let mut rows = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| unreachable(format!("get the result of {name}"), &error))?;
            rows.extend_from_slice(page.records());
        }
        Ok(rows)
    }

    /// Waits for the end of a statement.
    pub async fn wait(&self, id: &str, name: &str, titles: &[&str]) -> Result<(), LoadError> {
        let mut hold_open = Some(WAIT_SECONDS);
        loop {
            let asked = Instant::now();
            match self
                .client
                .describe_statement()
                .id(id)
                .set_wait_time_seconds(hold_open)
                .send()
                .await
            {
                Ok(found) if has_ended(found.status()) => return ended(&found, name, titles),
                Ok(_) => {}
                Err(error) if too_many_wait(&error) => hold_open = None,
                // The statement runs on, whoever may not ask about it just now.
                Err(error) if is_throttled(&error) => sleep(THROTTLED_PACE).await,
                Err(error) => return Err(unreachable(format!("ask about statement {name}"), &error)),
            }
            sleep(PACE.saturating_sub(asked.elapsed())).await;
        }
    }

    /// Asks for a statement's end. It is not known whether that helps, and nothing depends on it.
    pub async fn cancel(&self, id: &str, name: &str) {
        match self.client.cancel_statement().id(id).send().await {
            Ok(_) => tracing::info!(statement = name, "statement cancelled"),
            Err(error) => tracing::info!(statement = name, error = said(&error), "statement not cancelled"),
        }
    }
}

fn has_ended(status: Option<&StatusString>) -> bool {
    matches!(
        status,
        Some(StatusString::Finished | StatusString::Failed | StatusString::Aborted)
    )
}

fn too_many_wait<R: Debug>(error: &SdkError<DescribeStatementError, R>) -> bool {
    error
        .as_service_error()
        .is_some_and(DescribeStatementError::is_active_waiting_requests_exceeded_exception)
}

fn is_throttled<R: Debug>(error: &SdkError<DescribeStatementError, R>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    matches!(
        code,
        Some("ThrottlingException" | "Throttling" | "TooManyRequestsException")
    )
}

/// What the end of a statement means. The failed one of a batch is told by its place.
fn ended(found: &DescribeStatementOutput, name: &str, titles: &[&str]) -> Result<(), LoadError> {
    let name = name.to_owned();
    if found.status() == Some(&StatusString::Finished) {
        return Ok(());
    }
    let failed = found
        .sub_statements()
        .iter()
        .enumerate()
        .find(|(_, statement)| statement.status() == Some(&StatementStatusString::Failed));
    let message = failed
        .and_then(|(_, statement)| statement.error())
        .or(found.error())
        .unwrap_or("the warehouse gives no reason")
        .to_owned();
    let title = failed
        .and_then(|(place, _)| titles.get(place))
        .or(titles.first())
        .copied()
        .unwrap_or("run it")
        .to_owned();
    if found.status() == Some(&StatusString::Aborted) {
        return Err(LoadError::Unavailable {
            name,
            title,
            message: format!("it was cancelled: {message}"),
        });
    }
    Err(match failure::read(&message) {
        Failure::Conflict => LoadError::Conflict { name, message },
        Failure::Permission => LoadError::Forbidden { name, title, message },
        Failure::Environment => LoadError::Unavailable { name, title, message },
        Failure::Statement => LoadError::Statement { name, title, message },
    })
}

fn unreachable<E, R>(what: String, error: &SdkError<E, R>) -> LoadError
where
    E: Error + ProvideErrorMetadata + 'static,
    R: Debug,
{
    LoadError::Warehouse {
        what,
        reason: said(error),
    }
}

fn unanswered(what: String, reason: &str) -> LoadError {
    LoadError::Warehouse {
        what,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
