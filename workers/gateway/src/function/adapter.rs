//! An event of API Gateway as a request of the router: its path, and until when it must be answered. No network.

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::response::Response;
use http::Uri;
use http::uri::PathAndQuery;
use lambda_http::RequestExt;
use lambda_http::tower::ServiceExt;
use tokio::time::Instant;

use crate::router::{Deadline, EVENTS_PATH};

/// What the answer itself needs of an invocation's time: to be written, and to say in the log why events were not acknowledged.
const MARGIN: Duration = Duration::from_millis(750);

/// The router's answer to a request, given in the time that is left of the invocation.
pub async fn answer(router: &Router, mut request: lambda_http::Request) -> Response {
    let context = request.lambda_context_ref();
    let left = context.map(|context| time_left(context.deadline(), SystemTime::now()));
    if let Some(left) = left {
        request.extensions_mut().insert(Deadline(Instant::now() + left));
    }
    if is_below_a_stage(request.uri()) {
        *request.uri_mut() = Uri::from(PathAndQuery::from_static(EVENTS_PATH));
    }
    match router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn time_left(deadline: SystemTime, now: SystemTime) -> Duration {
    let left = deadline.duration_since(now).unwrap_or_default();
    left.saturating_sub(MARGIN)
}

/// API Gateway leaves the name of its stage, and what a custom domain maps, before the path.
fn is_below_a_stage(uri: &Uri) -> bool {
    uri.path() != EVENTS_PATH && uri.path().ends_with(EVENTS_PATH)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

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
    #[case("https://shop.example/prod/v1/events", true)]
    #[case("https://shop.example/shop/prod/v1/events?a=b", true)]
    #[case("https://shop.example/v1/events", false)]
    #[case("https://shop.example/v1/event", false)]
    #[case("/", false)]
    fn a_stage_before_the_path_is_known(#[case] uri: &str, #[case] is_below: bool) {
        assert_eq!(is_below_a_stage(&uri.parse().expect("a URI")), is_below);
    }
}
