//! The Data API's operations; touches no network itself.

pub mod answers;
pub mod describe;
pub mod error;
pub mod list;
pub mod requests;
pub mod results;
pub mod submit;

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::faults::{Action, Faults, OPERATIONS};
use crate::registry::Registry;
use crate::statement::Statement;
use crate::warehouse::runner::Warehouse;
use error::ApiError;

pub struct Service {
    pub warehouse: Arc<Warehouse>,
    pub registry: Registry,
    pub faults: Arc<Faults>,
}

/// What goes back to the client.
#[derive(Debug)]
pub enum Answer {
    Body(Value),
    /// Everything happened, and nobody is told.
    Lost,
}

impl Service {
    /// `operation` without its prefix, `body` as it came.
    pub async fn call(&self, operation: &str, body: &[u8]) -> Result<Answer, ApiError> {
        if !OPERATIONS.contains(&operation) {
            return Err(ApiError::unknown_operation(operation));
        }
        let request: Value = serde_json::from_slice(body).map_err(|error| ApiError::serialization(&error))?;
        let fault = self.faults.meet(operation, &strings(&request));
        let action = fault.as_ref().map(|met| met.fault.action);
        if let Some(met) = fault.as_ref().filter(|met| met.fault.action == Action::Refuse) {
            return Err(ApiError::injected(operation, met));
        }
        let body = match operation {
            "ExecuteStatement" => submit::execute(self, &request, fault).await?,
            "BatchExecuteStatement" => submit::batch_execute(self, &request, fault).await?,
            _ => {
                match fault {
                    Some(met) if met.fault.action == Action::Fail => {
                        return Err(ApiError::internal(&met.message_or("failed as the test asked")));
                    }
                    Some(met) if met.fault.action == Action::Hold => met.held().await,
                    _ => {}
                }
                self.ask(operation, &request).await?
            }
        };
        Ok(if action == Some(Action::LoseAnswer) {
            Answer::Lost
        } else {
            Answer::Body(body)
        })
    }

    async fn ask(&self, operation: &str, request: &Value) -> Result<Value, ApiError> {
        match operation {
            "DescribeStatement" => describe::describe(self, &parse(request)?).await,
            "GetStatementResult" => results::get(self, &parse(request)?).await,
            "CancelStatement" => describe::cancel(self, &parse(request)?),
            _ => list::list(self, &parse(request)?),
        }
    }
}

fn parse<Request: DeserializeOwned>(request: &Value) -> Result<Request, ApiError> {
    Request::deserialize(request).map_err(|error| ApiError::serialization(&error))
}

/// Every text of a request, as its sender wrote it.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().flat_map(strings).collect(),
        Value::Object(values) => values.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

/// Long polling: returns when the statement has ended or the time is over.
async fn wait(statement: &Statement, seconds: Option<i64>) -> Result<(), ApiError> {
    let seconds = seconds.unwrap_or(0);
    let allowed = u64::try_from(seconds).ok().filter(|seconds| *seconds <= 30);
    let Some(seconds) = allowed else {
        return Err(ApiError::constraint(
            "waitTimeSeconds",
            &seconds.to_string(),
            "Member must have value between 0 and 30",
        ));
    };
    // Running out of time is an ordinary answer: the state as it is.
    let _ = tokio::time::timeout(Duration::from_secs(seconds), statement.ended()).await;
    Ok(())
}
