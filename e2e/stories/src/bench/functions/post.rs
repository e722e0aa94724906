//! A post as API Gateway gives it to the gateway's function, and how long an answer takes. Invokes on loopback.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::function::{Function, http_event};

pub const EVENTS_PATH: &str = "/v1/events";
/// The router knows no such path: an answer without an event and without the brokers.
pub const NOWHERE: &str = "/nowhere";

/// A post of one event.
pub fn post(token: &str, path: &str, text: &str) -> Value {
    http_event(&json!({
        "rawPath": path,
        "headers": {"content-type": "application/x-ndjson", "authorization": format!("Bearer {token}")},
        "body": text,
    }))
}

/// The answer to an event, and after how many milliseconds it was there.
pub async fn timed(function: &Function, event: &Value) -> Result<(Value, f64)> {
    let sent = Instant::now();
    let answer = function.invoke(event).await?;
    Ok((answer, sent.elapsed().as_secs_f64() * 1000.0))
}

/// Milliseconds until a post was answered, which must be with this status.
pub async fn answered(function: &Function, post: &Value, status: u16) -> Result<f64> {
    let (answer, took) = timed(function, post).await?;
    ensure!(
        answer["statusCode"] == status,
        "the function answered {answer}; its log: {}",
        function.log()
    );
    Ok(took)
}
