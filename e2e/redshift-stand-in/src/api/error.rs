//! The Data API's errors and their shape on the wire; touches no network.

use axum::http::StatusCode;
use serde_json::{Value, json};
use thiserror::Error;

use crate::faults::Met;
use crate::registry::RegistryError;

#[derive(Debug, Error, PartialEq, Eq)]
#[error("{code}: {message}")]
pub struct ApiError {
    pub status: StatusCode,
    pub code: String,
    pub message: String,
    /// The member that some errors have besides the message.
    pub detail: Option<(&'static str, String)>,
}

impl ApiError {
    pub fn validation(message: impl Into<String>) -> Self {
        Self::client("ValidationException", message)
    }

    pub fn constraint(member: &str, value: &str, constraint: &str) -> Self {
        Self::validation(format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
        ))
    }

    pub fn not_found(id: &str, message: &str) -> Self {
        Self {
            detail: Some(("ResourceId", id.to_owned())),
            ..Self::client("ResourceNotFoundException", message)
        }
    }

    pub fn internal(message: &str) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            ..Self::client("InternalServerException", message)
        }
    }

    pub fn serialization(error: &serde_json::Error) -> Self {
        Self::client("SerializationException", error.to_string())
    }

    pub fn unknown_operation(operation: &str) -> Self {
        Self::client(
            "UnknownOperationException",
            format!("the stand-in has no operation '{operation}'"),
        )
    }

    pub fn unsigned() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            ..Self::client("MissingAuthenticationTokenException", "Missing Authentication Token")
        }
    }

    /// As all services of AWS's JSON protocols do it: a client's error, which its code tells apart.
    pub fn throttled(met: &Met) -> Self {
        Self::client("ThrottlingException", met.message_or("Rate exceeded"))
    }

    pub fn injected(operation: &str, met: &Met) -> Self {
        let message = met.message_or(&format!("User is not authorized to perform: redshift-data:{operation}"));
        let code = met.fault.code.as_deref().unwrap_or("AccessDeniedException");
        // The model has one error of the server's; throttling and all others are the client's.
        let status = if code == "InternalServerException" {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::BAD_REQUEST
        };
        let detail = match code {
            "ExecuteStatementException" | "BatchExecuteStatementException" => Some(("StatementId", String::new())),
            "ResourceNotFoundException" => Some(("ResourceId", String::new())),
            _ => None,
        };
        Self {
            status,
            code: code.to_owned(),
            message,
            detail,
        }
    }

    pub fn body(&self) -> Value {
        let mut body = json!({"__type": self.code, "Message": self.message});
        if let Some((name, value)) = &self.detail {
            body[*name] = json!(value);
        }
        body
    }

    fn client(code: &str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: code.to_owned(),
            message: message.into(),
            detail: None,
        }
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::TokenReused { .. } => Self::validation(error.to_string()),
            RegistryError::TooManyActive => Self::client("ActiveStatementsExceededException", error.to_string()),
        }
    }
}
