//! Requests that are not taken: authentication, media types, sizes. No network.

use std::io::Write;

use axum::body::{Body, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;
use gateway::Tokens;
use http::{Request, StatusCode};
use rstest::rstest;

use crate::support::{Act, Gateway, LIMITS, event, request};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).expect("compressed");
    encoder.finish().expect("compressed")
}

#[rstest]
#[case("application/json", 200)]
#[case("Application/JSON; charset=utf-8", 200)]
#[case("application/x-ndjson", 200)]
#[case("text/plain", 415)]
#[case("application/xml", 415)]
#[case("", 415)]
#[tokio::test]
async fn the_media_type_decides(#[case] content_type: &str, #[case] code: u16) {
    let answer = Gateway::new(&[]).post_as(content_type, event("1")).await;
    assert_eq!(answer.status.as_u16(), code);
}

#[rstest]
#[case("", 400)]
#[case("[]", 400)]
#[case("{\"id\":", 400)]
#[case("[{}", 400)]
#[tokio::test]
async fn a_body_that_cannot_be_read_is_a_bad_request(#[case] body: &'static str, #[case] code: u16) {
    let answer = Gateway::new(&[]).post(body).await;
    assert_eq!(answer.status.as_u16(), code);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.body["status"], code);
    assert!(answer.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
}

#[tokio::test]
async fn a_body_may_be_compressed() {
    let body = gzip(event("1").as_bytes());
    let gzipped = || request("application/json").header("content-encoding", "gzip");
    let answer = Gateway::new(&[])
        .send(gzipped().body(Body::from(body.clone())).expect("a request"))
        .await;
    assert_eq!(answer.letters(), "a");

    let half = Body::from(body[..body.len() / 2].to_vec());
    let answer = Gateway::new(&[]).send(gzipped().body(half).expect("a request")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);

    let brotli = request("application/json")
        .header("content-encoding", "br")
        .body(Body::from(body));
    let answer = Gateway::new(&[]).send(brotli.expect("a request")).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(answer.headers["accept-encoding"], "gzip");
}

#[tokio::test]
async fn no_body_takes_more_than_its_bytes() {
    let gateway = Gateway::new(&[]);
    let large = vec![b' '; LIMITS.body_bytes + 1];
    assert_eq!(gateway.post(large.clone()).await.status, StatusCode::PAYLOAD_TOO_LARGE);

    // Without a length the bytes are counted as they come.
    let chunks = futures::stream::iter(large.chunks(100).map(Bytes::copy_from_slice).collect::<Vec<_>>());
    let stream = Body::from_stream(chunks.map(Ok::<_, std::io::Error>));
    assert_eq!(gateway.post(stream).await.status, StatusCode::PAYLOAD_TOO_LARGE);

    // A small body that unfolds.
    let bomb = gzip(&vec![b' '; 1_000_000]);
    assert!(bomb.len() < LIMITS.body_bytes);
    let request = request("application/json")
        .header("content-encoding", "gzip")
        .body(Body::from(bomb));
    assert_eq!(
        gateway.send(request.expect("a request")).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );

    assert_eq!(
        gateway.state.buffer.available_permits(),
        LIMITS.buffer_bytes,
        "all room is free again"
    );
}

#[tokio::test]
async fn no_request_has_more_than_its_events() {
    let many = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
    assert_eq!(
        Gateway::new(&[]).post(many(50)).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(
        Gateway::new(&[]).post(many(51)).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_the_memory_of_all_are_sent_away_and_come_back() {
    let gateway = Gateway::new(&[Act::Never, Act::Never, Act::Never]);
    let padded = || format!("{}{}", event("1"), " ".repeat(LIMITS.body_bytes - event("1").len()));
    let waiting = futures::future::join(gateway.post(padded()), gateway.post(padded()));
    let late = async {
        tokio::task::yield_now().await;
        let refused = gateway.post(event("2")).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers.contains_key("retry-after"));
    };
    futures::future::join(waiting, late).await;
    assert_eq!(gateway.publisher.records.lock().expect("records").len(), 2);
    assert_eq!(gateway.state.buffer.available_permits(), LIMITS.buffer_bytes);
}

#[tokio::test]
async fn without_a_valid_token_nothing_is_read() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(&file, "a-token-0123456789").expect("written");
    let gateway = Gateway::with_tokens(&[], Some(Tokens::at(file.path())));
    let request = |token: &str| {
        request("application/json")
            .header("authorization", token)
            .body(Body::from(event("1")))
            .expect("a request")
    };
    // Nobody has read the file yet: closed, not open.
    assert_eq!(
        gateway.send(request("Bearer a-token-0123456789")).await.status,
        StatusCode::UNAUTHORIZED
    );

    let answer = gateway.send(request("Bearer another-token-0123")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(
        answer.headers["www-authenticate"]
            .to_str()
            .expect("text")
            .starts_with("Bearer")
    );
    assert!(gateway.publisher.records.lock().expect("records").is_empty());
}

#[rstest]
#[case(Request::get("/v1/events"), 405)]
#[case(Request::post("/v1/event"), 404)]
#[case(Request::get("/"), 404)]
#[tokio::test]
async fn other_places_and_methods_are_answered_with_the_right_one(
    #[case] request: http::request::Builder,
    #[case] code: u16,
) {
    let answer = Gateway::new(&[])
        .send(request.body(Body::empty()).expect("a request"))
        .await;
    assert_eq!(answer.status.as_u16(), code);
    assert!(answer.body["detail"].is_string());
}
