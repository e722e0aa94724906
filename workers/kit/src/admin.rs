//! The admin server: `/livez /readyz /metrics /progress`. Listens on the admin port.

use std::net::{Ipv4Addr, SocketAddr};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use medallion_crds::launch::{ADMIN_PORT, environment};
use medallion_crds::progress;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::error::WorkerError;
use crate::metrics::Metrics;
use crate::progress::ProgressHandle;

#[derive(Clone)]
pub(crate) struct Admin {
    pub metrics: Metrics,
    pub progress: ProgressHandle,
    pub ready: watch::Receiver<bool>,
}

pub(crate) fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route(
            progress::PATH,
            get(|State(admin): State<Admin>| async move { Json(admin.progress.snapshot()) }),
        )
        .with_state(admin)
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    if *admin.ready.borrow() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    (
        [(
            header::CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        admin.metrics.text(),
    )
}

/// Starts the server; it ends with the process.
pub(crate) async fn serve(admin: Admin) -> Result<(), WorkerError> {
    let address = match std::env::var(environment::ADMIN_LISTEN) {
        Ok(text) => text.parse().map_err(|error| {
            WorkerError::settings("BadSettings", format!("{}={text}: {error}", environment::ADMIN_LISTEN))
        })?,
        Err(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, ADMIN_PORT)),
    };
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| WorkerError::environment("AdminPortTaken", format!("cannot listen on {address}: {error}")))?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router(admin)).await {
            tracing::error!(%error, "admin server ended");
        }
    });
    Ok(())
}
