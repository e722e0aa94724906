//! Takes one call to its operation, and through the faults that wait for it; touches no network itself.

use serde_json::Value;

use super::caller::Caller;
use super::error::ApiError;
use super::service::{Service, parse};
use super::{describe, list, results, submit};
use crate::faults::{Action, OPERATIONS};

/// What goes back to the client.
#[derive(Debug)]
pub enum Answer {
    Body(Value),
    /// Everything happened, and nobody is told.
    Lost,
}

/// `operation` without its prefix, `body` as it came.
pub async fn call(service: &Service, caller: &Caller, operation: &str, body: &[u8]) -> Result<Answer, ApiError> {
    if !OPERATIONS.contains(&operation) {
        return Err(ApiError::unknown_operation(operation));
    }
    let request: Value = serde_json::from_slice(body).map_err(|error| ApiError::serialization(&error))?;
    let fault = service.faults.meet(operation, &strings(&request));
    let action = fault.as_ref().map(|met| met.fault.action);
    match (&fault, action) {
        (Some(met), Some(Action::Refuse)) => return Err(ApiError::injected(operation, met)),
        (Some(met), Some(Action::Throttle)) => return Err(ApiError::throttled(met)),
        _ => {}
    }
    let body = match operation {
        "ExecuteStatement" => submit::execute(service, caller, &request, fault).await?,
        "BatchExecuteStatement" => submit::batch_execute(service, caller, &request, fault).await?,
        _ => {
            match fault {
                Some(met) if met.fault.action == Action::Fail => {
                    return Err(ApiError::internal(&met.message_or("failed as the test asked")));
                }
                Some(met) if met.fault.action == Action::Hold => met.held().await,
                Some(met) if met.fault.action == Action::Delay => met.passed().await,
                _ => {}
            }
            ask(service, caller, operation, &request).await?
        }
    };
    Ok(if action == Some(Action::LoseAnswer) {
        Answer::Lost
    } else {
        Answer::Body(body)
    })
}

async fn ask(service: &Service, caller: &Caller, operation: &str, request: &Value) -> Result<Value, ApiError> {
    match operation {
        "DescribeStatement" => describe::describe(service, caller, &parse(request)?).await,
        "GetStatementResult" => results::get(service, caller, &parse(request)?).await,
        "CancelStatement" => describe::cancel(service, caller, &parse(request)?),
        _ => list::list(service, caller, &parse(request)?),
    }
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
