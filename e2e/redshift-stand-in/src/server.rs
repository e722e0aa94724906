//! Serves the Data API's protocol (AWS JSON 1.1), `/healthz` and `/faults`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::api::call::{self, Answer};
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::service::Service;
use crate::connection::{SeverableListener, Severing};
use crate::faults::Fault;

const TARGET_PREFIX: &str = "RedshiftData.";

/// Room for the largest batch, forty statements of 100,000 bytes, with every character escaped.
const LARGEST_REQUEST: usize = 32 * 1024 * 1024;

/// Serves until `stop` completes.
pub async fn serve(
    service: Arc<Service>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/", post(call))
        .route("/healthz", get(health))
        .route("/faults", get(faults).post(arm).delete(disarm))
        .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
        .with_state(service);
    axum::serve(
        SeverableListener(listener),
        router.into_make_service_with_connect_info::<Severing>(),
    )
    .with_graceful_shutdown(stop)
    .await
}

async fn call(
    State(service): State<Arc<Service>>,
    ConnectInfo(connection): ConnectInfo<Severing>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = headers
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let operation = target.strip_prefix(TARGET_PREFIX).unwrap_or(target).to_owned();
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let caller = match Caller::of(authorization) {
        Ok(caller) => caller,
        Err(error) => return protocol_answer(error.status, &error.body()),
    };
    // In a task of its own: a client that goes away does not stop what it asked for.
    let answer = tokio::spawn(async move { call::call(&service, &caller, &operation, &body).await }).await;
    match answer {
        Ok(Ok(Answer::Body(body))) => protocol_answer(StatusCode::OK, &body),
        Ok(Ok(Answer::Lost)) => {
            connection.sever();
            StatusCode::OK.into_response()
        }
        Ok(Err(error)) => protocol_answer(error.status, &error.body()),
        Err(error) => {
            let error = ApiError::internal(&error.to_string());
            protocol_answer(error.status, &error.body())
        }
    }
}

fn protocol_answer(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/x-amz-json-1.1".to_owned()),
        (
            header::HeaderName::from_static("x-amzn-requestid"),
            Uuid::new_v4().to_string(),
        ),
    ];
    (status, headers, body.to_string()).into_response()
}

async fn health(State(service): State<Arc<Service>>) -> Response {
    match service.warehouse.ping().await {
        Ok(()) => "ok\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

async fn faults(State(service): State<Arc<Service>>) -> Response {
    axum::Json(service.faults.list()).into_response()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Asked {
    Several(Vec<Fault>),
    One(Fault),
}

async fn arm(State(service): State<Arc<Service>>, body: Bytes) -> Response {
    let asked = match serde_json::from_slice(&body) {
        Ok(Asked::Several(faults)) => faults,
        Ok(Asked::One(fault)) => vec![fault],
        Err(_) => {
            return refused(
                &serde_json::from_slice::<Fault>(&body)
                    .err()
                    .map_or_else(|| "no fault".to_owned(), |error| error.to_string()),
            );
        }
    };
    match service.faults.arm(asked) {
        Ok(()) => axum::Json(service.faults.list()).into_response(),
        Err(error) => refused(&error.to_string()),
    }
}

fn refused(message: &str) -> Response {
    (StatusCode::BAD_REQUEST, axum::Json(json!({"error": message}))).into_response()
}

async fn disarm(State(service): State<Arc<Service>>) -> StatusCode {
    service.faults.clear();
    StatusCode::NO_CONTENT
}
