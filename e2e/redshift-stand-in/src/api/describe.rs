//! `DescribeStatement` and `CancelStatement`; touches no network itself.

use serde_json::{Value, json};

use super::answers::Described;
use super::caller::Caller;
use super::error::ApiError;
use super::requests::OfStatement;
use super::service::{Service, wait};

pub async fn describe(service: &Service, caller: &Caller, request: &OfStatement) -> Result<Value, ApiError> {
    let found = service
        .registry
        .find(&caller.0, &request.id)
        .ok_or_else(|| ApiError::not_found(&request.id, "Query does not exist."))?;
    wait(&found.statement, request.wait_time_seconds).await?;
    Ok(json!(Described::new(&found.statement, found.part)))
}

/// Answers at once; the statement is ABORTED when its transaction is rolled back.
pub fn cancel(service: &Service, caller: &Caller, request: &OfStatement) -> Result<Value, ApiError> {
    let found = service
        .registry
        .find(&caller.0, &request.id)
        .ok_or_else(|| ApiError::not_found(&request.id, "Query does not exist."))?;
    if found.part.is_some() {
        return Err(ApiError::validation(
            "a part of a batch cannot be cancelled: cancel the batch",
        ));
    }
    if found.statement.request_cancel() {
        return Ok(json!({"Status": true}));
    }
    let state = found.statement.state.borrow();
    let shown = if state.committing && !state.status.is_terminal() {
        "committing"
    } else {
        state.status.name()
    };
    Err(ApiError::validation(format!(
        "Could not cancel a query that is already in {shown} state with ID: {}",
        request.id
    )))
}
