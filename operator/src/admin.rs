//! `/livez /readyz /metrics`. Listens on the admin port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::context::Context;

/// Starts the server; it ends with the process.
pub(crate) async fn serve(address: SocketAddr, context: Arc<Context>) -> anyhow::Result<()> {
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(context);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "admin server ended");
        }
    });
    Ok(())
}

async fn livez(State(context): State<Arc<Context>>) -> impl IntoResponse {
    if context.health.is_broken() {
        (StatusCode::INTERNAL_SERVER_ERROR, "a task has ended that never must")
    } else {
        (StatusCode::OK, "ok")
    }
}

/// One who has to leave the work to another is ready to take over.
async fn readyz(State(context): State<Arc<Context>>) -> impl IntoResponse {
    match (context.health.obstacle(Instant::now()), context.leadership.words()) {
        (Some(obstacle), _) => (StatusCode::SERVICE_UNAVAILABLE, obstacle),
        (None, Some(words)) => (StatusCode::OK, format!("ok, but passive: {words}")),
        (None, None) => (StatusCode::OK, "ok".to_owned()),
    }
}

async fn metrics(State(context): State<Arc<Context>>) -> impl IntoResponse {
    (
        [(
            header::CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        context.metrics.text(),
    )
}
