//! What only events of API Gateway have: bodies as text, stages before the path, and a time that ends. No network.

use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Act, Gateway, event};
use crate::way;

async fn results(response: axum::response::Response) -> (StatusCode, Value) {
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    (head.status, serde_json::from_slice(&body).expect("JSON"))
}

/// One good event as text, of which so much of the invocation's time is left.
async fn post(gateway: &Gateway, path: &str, stage: &str, left: Duration) -> (StatusCode, Value) {
    let mut request = way::event("POST", path, stage);
    request["headers"] = json!({"content-type": "application/json"});
    request["body"] = json!(event("1"));
    results(way::deliver(gateway.router(), request, left).await).await
}

#[rstest]
#[case::default("/v1/events", "$default")]
#[case::named("/prod/v1/events", "prod")]
#[case::behind_a_domain("/v1/events", "prod")]
#[case::mapped_by_a_domain("/shop/v1/events", "prod")]
#[tokio::test]
async fn an_event_is_taken_at_every_stage(#[case] path: &str, #[case] stage: &str) {
    let gateway = Gateway::new(&[]);
    let (status, body) = post(&gateway, path, stage, Duration::from_secs(30)).await;
    assert_eq!(
        (status, &body["results"][0]["status"]),
        (StatusCode::OK, &json!("accepted"))
    );
    assert_eq!(gateway.publisher.records.lock().expect("records")[0].1, event("1"));
}

#[rstest]
#[case::soon(Duration::from_secs(3))]
#[case::now(Duration::ZERO)]
#[tokio::test(start_paused = true)]
async fn an_answer_comes_before_the_invocation_ends(#[case] left: Duration) {
    let gateway = Gateway::new(&[Act::Never]);
    let begun = tokio::time::Instant::now();
    let (status, body) = post(&gateway, "/v1/events", "$default", left).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["results"][0]["status"], "unknown", "nobody knows: {body}");
    let late = begun.elapsed().saturating_sub(left);
    assert!(late < Duration::from_millis(10), "{late:?} late");
}

#[tokio::test]
async fn a_body_that_is_no_base64_is_refused() {
    let gateway = Gateway::new(&[]);
    let mut request = way::event("POST", "/v1/events", "$default");
    request["body"] = json!("{no base64}");
    request["isBase64Encoded"] = json!(true);
    let (status, body) = results(way::deliver(gateway.router(), request, Duration::from_secs(30)).await).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        body["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("cannot be read")),
        "{body}"
    );
}

#[rstest]
#[case::no_base64(json!({"isBase64Encoded": true, "body": "{no base64}"}), 400, "cannot be read")]
#[case::of_the_older_format(json!({"version": "1.0", "rawPath": null}), 500, "payload format version")]
#[case::of_nobody(json!({"requestContext": null}), 500, "payload format version")]
#[case::to_a_decoded_path(json!({"rawPath": "/a path/ü"}), 404, "/v1/events")]
#[case::to_no_path(json!({"rawPath": ""}), 404, "/v1/events")]
#[tokio::test]
async fn whatever_comes_is_answered_and_told_the_contract(
    #[case] fields: Value,
    #[case] code: u16,
    #[case] words: &str,
) {
    let gateway = Gateway::new(&[]);
    let mut request = way::event("POST", "/v1/events", "$default");
    request["headers"] = json!({"content-type": "application/json"});
    for (name, value) in fields.as_object().expect("fields") {
        request[name] = value.clone();
    }
    let response = way::deliver(gateway.router(), request, Duration::from_secs(30)).await;
    assert!(response.headers().contains_key("medallion-contract-version"));
    let (status, body) = results(response).await;
    assert_eq!(status.as_u16(), code, "{body}");
    assert!(
        body["detail"].as_str().is_some_and(|detail| detail.contains(words)),
        "{body}"
    );
}

#[tokio::test]
async fn what_is_no_event_at_all_is_answered_too() {
    for event in [json!(null), json!("text"), json!([1]), json!({"hello": "world"})] {
        let gateway = Gateway::new(&[]);
        let response = way::deliver(gateway.router(), event, Duration::from_secs(30)).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.headers().contains_key("medallion-contract-version"));
    }
}

#[rstest]
#[case("GET")]
#[case("HEAD")]
#[case("no method")]
#[tokio::test]
async fn events_are_posted(#[case] method: &str) {
    let gateway = Gateway::new(&[]);
    let request = way::event(method, "/prod/v1/events", "prod");
    let response = way::deliver(gateway.router(), request, Duration::from_secs(30)).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(response.headers().contains_key("medallion-contract-version"));
}

#[tokio::test]
async fn what_is_acknowledged_at_once_is_accepted_however_late_it_is() {
    let gateway = Gateway::new(&[]);
    let (status, _) = post(&gateway, "/v1/events", "$default", Duration::ZERO).await;
    assert_eq!(status, StatusCode::OK);
}
