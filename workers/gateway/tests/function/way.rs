//! Requests go as events of an HTTP API through the function's adapter. No network.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gateway::function::answer;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};

/// More than any request takes.
const LONG: Duration = Duration::from_hours(1);

/// As API Gateway makes it, whose bodies are in base64 unless they are text to it.
pub async fn send(router: Router, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let headers: Map<String, Value> = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value.to_str().expect("text"))))
        .collect();
    let mut event = event(head.method.as_str(), head.uri.path(), "$default");
    event["headers"] = Value::Object(headers);
    event["body"] = json!(STANDARD.encode(&body));
    event["isBase64Encoded"] = json!(true);
    deliver(router, event, LONG).await
}

/// An event of an HTTP API in the payload format 2.0, without headers and body.
pub fn event(method: &str, path: &str, stage: &str) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3",
            "domainName": "a1b2c3.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "a1b2c3",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "shop/1",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": stage,
            "time": "10/Mar/2020:05:16:23 +0000",
            "timeEpoch": 1_583_817_383_220_u64,
        },
        "isBase64Encoded": false,
    })
}

/// What API Gateway makes of the function's answer to an event, of whose time so much is left.
pub async fn deliver(router: Router, event: Value, left: Duration) -> Response {
    let response = answer(&router, event, left).await;
    let response = serde_json::to_value(response).expect("JSON");
    let code = response["statusCode"]
        .as_u64()
        .and_then(|code| u16::try_from(code).ok());
    let mut builder = Response::builder().status(code.expect("a code"));
    for (name, value) in response["headers"].as_object().expect("headers") {
        builder = builder.header(name, value.as_str().expect("text"));
    }
    let text = response["body"].as_str().unwrap_or_default();
    let body = if response["isBase64Encoded"] == true {
        STANDARD.decode(text).expect("base64")
    } else {
        text.as_bytes().to_vec()
    };
    builder.body(Body::from(body)).expect("a response")
}
