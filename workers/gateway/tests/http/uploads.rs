//! Bodies that come slowly or break off, which only a listener meets. No network.

use axum::body::{Body, Bytes};
use gateway::Deadline;
use http::StatusCode;

use crate::support::{Act, Gateway, LIMITS, event, request};

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_not_waited_for() {
    let drip = futures::stream::unfold((), |()| async {
        tokio::time::sleep(LIMITS.request / 4).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
    });
    let begun = tokio::time::Instant::now();
    let answer = Gateway::new(&[]).post(Body::from_stream(drip)).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert!(begun.elapsed() < LIMITS.request);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_bad_request() {
    let broken = futures::stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("reset"))]);
    let answer = Gateway::new(&[]).post(Body::from_stream(broken)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_must_be_answered_sooner_is() {
    let gateway = Gateway::new(&[Act::Never]);
    let begun = tokio::time::Instant::now();
    let soon = begun + LIMITS.request / 5;
    let mut request = request("application/json")
        .body(Body::from(event("1")))
        .expect("a request");
    request.extensions_mut().insert(Deadline(soon));
    let answer = gateway.send(request).await;
    assert_eq!(
        (answer.status, answer.letters().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "u")
    );
    assert!(tokio::time::Instant::now() < soon + LIMITS.request / 10);
}
