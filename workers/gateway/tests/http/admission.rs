//! What becomes of events, and when a client is answered. No network.

use std::time::Duration;

use axum::body::Body;
use gateway::PublishError;
use http::{Request, StatusCode};
use kafka_client::Diagnosis;
use rstest::rstest;
use serde_json::json;

use crate::support::{Act, Gateway, LIMITS, event};

#[tokio::test]
async fn an_event_travels_as_it_was_sent_under_its_key() {
    let gateway = Gateway::new(&[]);
    let answer = gateway.post(format!(" {}\n", event("e1"))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.body,
        json!({"results": [{"status": "accepted", "event_id": "e1"}]})
    );
    assert_eq!(
        *gateway.publisher.records.lock().expect("records"),
        [("7".to_owned(), event("e1"))]
    );
}

#[tokio::test]
async fn every_event_is_queued_before_the_first_acknowledgement_is_awaited() {
    // The broker acknowledges nothing until it has all twenty: one acknowledgement at a time would wait for ever.
    let gateway = Gateway::new(&vec![Act::When(20); 20]);
    let events: Vec<String> = (0..20).map(|number| event(&number.to_string())).collect();
    let answer = gateway.post(format!("[{}]", events.join(","))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.letters(), "a".repeat(20));
}

#[tokio::test]
async fn refused_events_do_not_hold_up_the_others_and_each_says_why() {
    let gateway = Gateway::new(&[]);
    let body = format!("{}\n{{\"id\":\"x\"}}\nnonsense\n{}", event("1"), event("2"));
    let answer = gateway.post_as("application/x-ndjson", body).await;
    assert_eq!((answer.status, answer.letters().as_str()), (StatusCode::OK, "arra"));
    let refused = &answer.body["results"][1];
    assert_eq!(
        (refused["field"].as_str(), refused["reason"].as_str()),
        (Some("/part"), Some("MissingField"))
    );
    assert_eq!(answer.body["results"][2]["reason"], "MalformedJson");
    assert_eq!(gateway.publisher.records.lock().expect("records").len(), 2);
}

#[tokio::test]
async fn a_request_of_refused_events_only_is_unprocessable() {
    let answer = Gateway::new(&[]).post("[{}, 5]").await;
    assert_eq!(
        (answer.status, answer.letters().as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "rr")
    );
    assert_eq!(answer.headers["content-type"], "application/problem+json");
}

#[rstest]
#[case::accepted("/v1/events", 200)]
#[case::nowhere("/v1/event", 404)]
#[tokio::test]
async fn every_answer_says_which_contract_admits(#[case] path: &str, #[case] code: u16) {
    let gateway = Gateway::new(&[]);
    let request = Request::post(path).header("content-type", "application/json");
    let answer = gateway
        .send(request.body(Body::from(event("1"))).expect("a request"))
        .await;
    assert_eq!(answer.status.as_u16(), code);
    let digest = answer.headers["medallion-contract-version"].to_str().expect("text");
    assert_eq!(digest, gateway.state.contract.digest());
}

#[rstest]
#[case::no_acknowledgement(Act::Never, "u", 503)]
#[case::failed(Act::Fail(PublishError::Unknown("all brokers down".to_owned())), "u", 503)]
#[case::denied(Act::Refuse(PublishError::Refused(Diagnosis::unavailable("User:shop"))), "u", 503)]
#[case::queue_full(Act::Refuse(PublishError::Full), "u", 503)]
#[case::too_large_for_the_broker(Act::Fail(PublishError::TooLarge), "r", 422)]
#[case::too_large_for_the_producer(Act::Refuse(PublishError::TooLarge), "r", 422)]
#[tokio::test(start_paused = true)]
async fn success_is_never_said_without_an_acknowledgement(#[case] act: Act, #[case] letter: &str, #[case] code: u16) {
    let gateway = Gateway::new(&[act]);
    let answer = gateway.post(event("1")).await;
    assert_eq!((answer.status.as_u16(), answer.letters().as_str()), (code, letter));
    assert_eq!(answer.headers.contains_key("retry-after"), code == 503);
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_is_unknown_and_its_neighbours_are_answered_truly() {
    let gateway = Gateway::new(&[Act::Never, Act::Acknowledge, Act::Never]);
    let begun = tokio::time::Instant::now();
    let answer = gateway
        .post(format!("[{},{},{}]", event("1"), event("2"), event("3")))
        .await;
    assert_eq!(
        (answer.status, answer.letters().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "uau")
    );
    assert!(
        begun.elapsed() <= LIMITS.request + Duration::from_millis(10),
        "one deadline for the whole request"
    );
}

#[tokio::test]
async fn a_full_queue_is_not_pressed_further() {
    let gateway = Gateway::new(&[Act::Acknowledge, Act::Refuse(PublishError::Full), Act::Acknowledge]);
    let answer = gateway
        .post(format!("[{},{},{},{{}}]", event("1"), event("2"), event("3")))
        .await;
    assert_eq!(
        (answer.status, answer.letters().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "auur")
    );
    assert_eq!(gateway.publisher.records.lock().expect("records").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_takes_its_events_off_the_waiting_list() {
    let gateway = Gateway::new(&[Act::Never]);
    let left = tokio::time::timeout(Duration::from_secs(1), gateway.post(event("1"))).await;
    assert!(left.is_err());
    assert_eq!(
        gateway.state.buffer.available_permits(),
        LIMITS.buffer_bytes,
        "and its room is free again"
    );
    let text = gateway.metrics.text();
    assert!(text.contains("medallion_gateway_requests_in_flight 0"), "{text}");
}

#[tokio::test]
async fn outcomes_are_counted_by_reason() {
    let gateway = Gateway::new(&[]);
    gateway.post(format!("[{},{{}}]", event("1"))).await;
    let text = gateway.metrics.text();
    assert!(
        text.contains(r#"medallion_gateway_events_total{outcome="accepted",reason=""} 1"#),
        "{text}"
    );
    assert!(
        text.contains(r#"medallion_gateway_events_total{outcome="refused",reason="MissingField"} 1"#),
        "{text}"
    );
    assert!(
        text.contains(r#"medallion_gateway_requests_total{code="200"} 1"#),
        "{text}"
    );
}
