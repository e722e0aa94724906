//! The HTTP interface as a router, the same under a listener and under a function's runtime. Opens no connection.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::header::ALLOW;
use http::request::Parts;
use http::{HeaderName, StatusCode};
use medallion_contract::VERSION_HEADER;
use tokio::time::Instant;

use crate::admission::admit;
use crate::answer::answer;
use crate::body::{BodyError, split};
use crate::metrics::GatewayMetrics;
use crate::problem::Problem;
use crate::receive::{Media, Upload, receive, swallow};
use crate::state::GatewayState;

/// Where events are posted to.
pub const EVENTS_PATH: &str = "/v1/events";

/// Until when a request must be answered, if its limit alone does not say it: an extension of the request.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

/// Nothing that could be routed has come; this is the answer, which is counted and marked as every other one. An extension of the
/// request that stands in its place.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable(pub(crate) Problem);

/// The routes.
pub fn router(state: Arc<GatewayState>) -> Router {
    Router::new()
        .route(EVENTS_PATH, post(post_events).fallback(wrong_method))
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(state.clone(), measure))
        .with_state(state)
}

async fn post_events(State(state): State<Arc<GatewayState>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut body = Upload::new(body);
    match take(&state, &head, &mut body).await {
        Ok(response) => response,
        Err(problem) => {
            // One that was too slow has been waited for long enough.
            if problem.status() != StatusCode::REQUEST_TIMEOUT {
                swallow(&head.headers, &mut body).await;
            }
            problem.into_response()
        }
    }
}

async fn take(state: &GatewayState, head: &Parts, body: &mut Upload) -> Result<Response, Problem> {
    let headers = &head.headers;
    if state.tokens.as_ref().is_some_and(|tokens| !tokens.admit(headers)) {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "send a valid token as `Authorization: Bearer <token>`",
        ));
    }
    let media = Media::of(headers)?;
    let limits = &state.limits;
    let begun = Instant::now();
    let latest = begun + limits.request;
    let given = head.extensions.get::<Deadline>();
    let deadline = given.map_or(latest, |given| latest.min(given.0));
    let body_deadline = deadline.min(begun + limits.body_timeout());
    let received = receive(headers, body, media, limits.body_bytes, &state.buffer, body_deadline).await?;
    let events = split(&received.bytes, media.form, limits.events_per_request).map_err(|error| {
        let status = match error {
            BodyError::TooMany { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Malformed(_) | BodyError::Empty => StatusCode::BAD_REQUEST,
        };
        Problem::new(status, error.to_string())
    })?;
    let outcomes = admit(state, &events, deadline).await;
    Ok(answer(&outcomes))
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "events are posted").with_header(ALLOW, "POST")
}

async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "events are posted to /v1/events")
}

/// Counts requests, also those whose client goes away before the answer, and says in each answer which contract admits.
async fn measure(State(state): State<Arc<GatewayState>>, request: Request, next: Next) -> Response {
    let mut counted = Counted {
        metrics: &state.metrics,
        code: None,
    };
    state.metrics.request_begins();
    let unreadable = request.extensions().get::<Unreadable>().cloned();
    let mut response = match unreadable {
        Some(Unreadable(problem)) => problem.into_response(),
        None => next.run(request).await,
    };
    counted.code = Some(response.status().as_u16());
    if let Some(digest) = &state.digest {
        let name = HeaderName::from_static(VERSION_HEADER);
        response.headers_mut().insert(name, digest.clone());
    }
    response
}

struct Counted<'m> {
    metrics: &'m GatewayMetrics,
    code: Option<u16>,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.metrics.request_ends(self.code);
    }
}
