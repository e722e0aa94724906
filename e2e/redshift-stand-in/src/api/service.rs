//! What every operation works with; touches no network itself.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::ApiError;
use crate::faults::Faults;
use crate::registry::Registry;
use crate::runner::Warehouse;
use crate::statement::Statement;

pub struct Service {
    pub warehouse: Arc<Warehouse>,
    pub registry: Registry,
    pub faults: Arc<Faults>,
}

pub fn parse<Request: DeserializeOwned>(request: &Value) -> Result<Request, ApiError> {
    Request::deserialize(request).map_err(|error| ApiError::serialization(&error))
}

/// Long polling: returns when the statement has ended or the time is over.
pub async fn wait(statement: &Statement, seconds: Option<i64>) -> Result<(), ApiError> {
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
