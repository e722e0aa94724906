//! An event of API Gateway as a request of the router, and the router's answer as API Gateway takes it. No network.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Collected};
use lambda_runtime::tower::ServiceExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::problem::Problem;
use crate::router::{Deadline, EVENTS_PATH, Unreadable};

/// What the answer itself needs of an invocation's time: to be written, and to say in the log why events were not acknowledged.
const MARGIN: Duration = Duration::from_millis(750);

/// An event of an HTTP API in the payload format 2.0, as far as the router needs it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpApiEvent {
    raw_path: String,
    /// Several of one name stand in one value, behind commas.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    request_context: RequestContext,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Debug, Deserialize)]
struct RequestContext {
    http: Http,
}

#[derive(Debug, Deserialize)]
struct Http {
    method: String,
}

/// What API Gateway answers its client.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpApiAnswer {
    status_code: u16,
    headers: BTreeMap<String, String>,
    body: String,
    is_base64_encoded: bool,
}

/// The router's answer to an event, within this time. Whatever the event is, there is one.
pub async fn answer(router: &Router, event: Value, left: Duration) -> HttpApiAnswer {
    let mut request = request(event).unwrap_or_else(|problem| {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Unreadable(problem));
        request
    });
    request.extensions_mut().insert(Deadline(Instant::now() + left));
    let response = match router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    as_answer(response).await
}

/// What is left of an invocation for a request.
pub(super) fn time_left(deadline: SystemTime, now: SystemTime) -> Duration {
    let left = deadline.duration_since(now).unwrap_or_default();
    left.saturating_sub(MARGIN)
}

fn request(event: Value) -> Result<Request<Body>, Problem> {
    let event: HttpApiEvent = serde_json::from_value(event).map_err(|error| no_event(&error))?;
    let refused = |why: &str| Problem::new(StatusCode::BAD_REQUEST, format!("the request cannot be read: {why}"));
    let text = event.body.unwrap_or_default();
    let body = if event.is_base64_encoded {
        STANDARD.decode(text).map_err(|error| refused(&error.to_string()))?
    } else {
        text.into_bytes()
    };
    // What is no method is not POST, and what is no path (API Gateway decodes it) is not ours: the router says so.
    let mut builder = Request::builder()
        .method(Method::from_bytes(event.request_context.http.method.as_bytes()).unwrap_or_default())
        .uri(Uri::try_from(path(&event.raw_path)).unwrap_or_default());
    for (name, value) in &event.headers {
        builder = builder.header(name.as_str(), value.as_str());
    }
    builder
        .body(Body::from(body))
        .map_err(|error| refused(&error.to_string()))
}

/// Somebody has set up another front, or has API Gateway pass events on in its older form; no client can do anything about it.
fn no_event(error: &serde_json::Error) -> Problem {
    let detail = format!(
        "the function was given something else than an event of an HTTP API in the payload format 2.0 ({error}); set the \
         payload format version of the API's integration to 2.0"
    );
    tracing::error!(detail, "no event of an HTTP API");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
}

/// API Gateway leaves the name of its stage before the path, and what a custom domain maps.
fn path(raw: &str) -> &str {
    if raw.ends_with(EVENTS_PATH) { EVENTS_PATH } else { raw }
}

async fn as_answer(response: Response) -> HttpApiAnswer {
    let (head, body) = response.into_parts();
    // Of ours none breaks off.
    let bytes = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let headers = head.headers.iter();
    let headers = headers.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    let (body, is_base64_encoded) = match String::from_utf8(bytes.to_vec()) {
        Ok(text) => (text, false),
        Err(_) => (STANDARD.encode(&bytes), true),
    };
    HttpApiAnswer {
        status_code: head.status.as_u16(),
        headers: headers.collect(),
        body,
        is_base64_encoded,
    }
}

#[cfg(test)]
mod tests {
    use medallion_crds::Reason;
    use rstest::rstest;

    use super::*;
    use crate::answer::Outcome;
    use crate::settings::MOST_EVENTS;

    /// Lambda takes no longer answers.
    const LAMBDA_TAKES: usize = 6_000_000;

    #[rstest]
    #[case::of_an_hour(3_600_000, 3_599_250)]
    #[case::none(500, 0)]
    #[case::past(0, 0)]
    fn the_answer_has_its_own_time(#[case] left: u64, #[case] for_events: u64) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        let deadline = now + Duration::from_millis(left);
        assert_eq!(time_left(deadline, now), Duration::from_millis(for_events));
        assert_eq!(time_left(SystemTime::UNIX_EPOCH, now), Duration::ZERO);
    }

    #[rstest]
    #[case::refused(Outcome::Refused {
        field: format!("/{}", "\"".repeat(500)),
        reason: Reason::LengthOutOfRange,
        message: "\\\u{1}".repeat(200),
    })]
    #[case::accepted(Outcome::Accepted {
        event_id: "\"".repeat(1024),
    })]
    #[case::unknown(Outcome::Unknown {
        reason: Reason::NotAcknowledged,
        message: "why".to_owned(),
    })]
    #[tokio::test]
    async fn the_longest_answer_is_one_that_lambda_takes(#[case] outcome: Outcome) {
        let outcomes = vec![outcome; MOST_EVENTS];
        let answer = as_answer(crate::answer::answer(&outcomes)).await;
        let text = serde_json::to_string(&answer).expect("JSON");
        assert!(text.len() < LAMBDA_TAKES, "{} bytes", text.len());
        let body: Value = serde_json::from_str(&answer.body).expect("the router's JSON");
        assert_eq!(body["results"].as_array().map(Vec::len), Some(MOST_EVENTS));
    }
}
