//! The admin server: `/livez /readyz /metrics /progress`. Listens on the admin port.

use std::net::{Ipv4Addr, SocketAddr};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use medallion_crds::Reason;
use medallion_crds::launch::{ADMIN_PORT, environment};
use medallion_crds::progress;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::error::WorkerError;
use crate::metrics::Metrics;
use crate::progress::{ProgressHandle, stuck};

#[derive(Clone)]
pub(crate) struct Admin {
    pub metrics: Metrics,
    pub progress: ProgressHandle,
    pub ready: watch::Receiver<bool>,
}

pub(crate) fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route(
            progress::PATH,
            get(|State(admin): State<Admin>| async move { Json(admin.progress.snapshot()) }),
        )
        .with_state(admin)
}

/// Only a new process helps a work loop that does not turn any more.
async fn livez(State(admin): State<Admin>) -> impl IntoResponse {
    if admin.progress.is_stuck() {
        let message = stuck();
        tracing::error!(reason = Reason::NotTurning.as_str(), message);
        (StatusCode::SERVICE_UNAVAILABLE, message)
    } else {
        (StatusCode::OK, "ok".to_owned())
    }
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
            WorkerError::settings(
                Reason::BadSettings,
                format!("{}={text}: {error}", environment::ADMIN_LISTEN),
            )
        })?,
        Err(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, ADMIN_PORT)),
    };
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| WorkerError::environment(Reason::PortTaken, format!("cannot listen on {address}: {error}")))?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router(admin)).await {
            tracing::error!(%error, "admin server ended");
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use axum::http::Request;
    use jiff::Timestamp;
    use medallion_crds::progress::Identity;
    use tower::ServiceExt;

    use super::*;
    use crate::progress::LONGEST_TURN;

    async fn livez(router: &Router) -> StatusCode {
        let request = Request::get("/livez").body(Body::empty()).expect("a request");
        router.clone().oneshot(request).await.expect("an answer").status()
    }

    #[tokio::test(start_paused = true)]
    async fn a_work_loop_that_does_not_turn_is_not_alive() {
        let progress = ProgressHandle::new(Identity::default(), Timestamp::now);
        let router = router(Admin {
            metrics: Metrics::default(),
            progress: progress.clone(),
            ready: watch::channel(true).1,
        });
        tokio::time::advance(LONGEST_TURN * 3).await;
        assert_eq!(
            livez(&router).await,
            StatusCode::OK,
            "no loop has begun: a Job, or a start"
        );
        progress.beat();
        assert_eq!(livez(&router).await, StatusCode::OK);
        tokio::time::advance(LONGEST_TURN + Duration::from_secs(1)).await;
        assert_eq!(livez(&router).await, StatusCode::SERVICE_UNAVAILABLE);
        progress.beat();
        assert_eq!(livez(&router).await, StatusCode::OK);
    }
}
