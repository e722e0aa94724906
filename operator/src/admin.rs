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
use jiff::Timestamp;
use tokio::net::TcpListener;

use crate::ages;
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

async fn readyz(State(context): State<Arc<Context>>) -> impl IntoResponse {
    readiness(context.health.obstacle(Instant::now()), context.leadership.words())
}

/// One who has to leave the work to another is ready to take over; one who does not know how the cluster stands is not.
fn readiness(obstacle: Option<String>, passive: Option<String>) -> (StatusCode, String) {
    match (obstacle, passive) {
        (Some(obstacle), _) => (StatusCode::SERVICE_UNAVAILABLE, obstacle),
        (None, Some(words)) => (StatusCode::OK, format!("ok, but passive: {words}")),
        (None, None) => (StatusCode::OK, "ok".to_owned()),
    }
}

async fn metrics(State(context): State<Arc<Context>>) -> impl IntoResponse {
    let ages = ages::all(&context.index, &context.leadership, Timestamp::now());
    (
        [(
            header::CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        context.metrics.text(ages),
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::works(None, None, 200, "ok")]
    #[case::passive(None, Some("another leads"), 200, "ok, but passive: another leads")]
    #[case::blind(Some("not listed yet"), None, 503, "not listed yet")]
    #[case::passive_and_blind(Some("not listed yet"), Some("another leads"), 503, "not listed yet")]
    fn readiness_is_to_know_how_the_cluster_stands(
        #[case] obstacle: Option<&str>,
        #[case] passive: Option<&str>,
        #[case] code: u16,
        #[case] words: &str,
    ) {
        let (status, body) = readiness(obstacle.map(str::to_owned), passive.map(str::to_owned));
        assert_eq!((status.as_u16(), body.as_str()), (code, words));
    }
}
