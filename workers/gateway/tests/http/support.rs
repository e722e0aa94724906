//! A gateway without a listener and without a broker, whatever way requests go to it. No network.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures::FutureExt;
use gateway::{Delivery, GatewayMetrics, GatewayState, Limits, PublishError, Publisher, Tokens, router};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use medallion_contract::{Contract, Pointers};
use serde_json::Value;
use tokio::sync::watch;
use worker_kit::Metrics;

pub const SCHEMA: &str = r#"{"type":"object","required":["id","part","at"],"properties":{
    "id":{"type":"string"},"part":{"type":"integer"},"at":{"type":"string","format":"date-time"}}}"#;

/// A good event.
pub fn event(id: &str) -> String {
    format!(r#"{{"id":"{id}", "part":7, "at":"2024-01-02T03:04:05Z"}}"#)
}

/// What the broker does with the next event.
#[derive(Clone, Debug)]
pub enum Act {
    Acknowledge,
    Fail(PublishError),
    Refuse(PublishError),
    Never,
    /// Acknowledges once so many events have been published.
    When(usize),
}

/// Remembers what it was given.
pub struct FakePublisher {
    acts: Mutex<VecDeque<Act>>,
    published: watch::Sender<usize>,
    pub records: Mutex<Vec<(String, String)>>,
}

impl Publisher for FakePublisher {
    fn publish(&self, key: &str, payload: &[u8]) -> Result<Delivery, PublishError> {
        let act = self.acts.lock().expect("acts").pop_front().unwrap_or(Act::Acknowledge);
        if let Act::Refuse(error) = act {
            return Err(error);
        }
        let payload = String::from_utf8(payload.to_vec()).expect("text");
        self.records.lock().expect("records").push((key.to_owned(), payload));
        self.published.send_modify(|count| *count += 1);
        let mut published = self.published.subscribe();
        Ok(async move {
            match act {
                Act::Fail(error) => Err(error),
                Act::Never => std::future::pending().await,
                Act::When(wanted) => {
                    published.wait_for(|count| *count >= wanted).await.expect("published");
                    Ok(())
                }
                Act::Acknowledge | Act::Refuse(_) => Ok(()),
            }
        }
        .boxed())
    }
}

pub struct Gateway {
    pub publisher: Arc<FakePublisher>,
    pub state: Arc<GatewayState>,
    pub metrics: Metrics,
    router: Router,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// One letter per event: accepted, refused, unknown.
    pub fn letters(&self) -> String {
        let results = self.body["results"].as_array().expect("results");
        results
            .iter()
            .filter_map(|result| result["status"].as_str()?.chars().next())
            .collect()
    }
}

pub const LIMITS: Limits = Limits {
    body_bytes: 4096,
    events_per_request: 50,
    buffer_bytes: 8192,
    request: Duration::from_secs(10),
    drain: Duration::ZERO,
};

impl Gateway {
    pub fn new(acts: &[Act]) -> Self {
        Self::with_tokens(acts, None)
    }

    pub fn with_tokens(acts: &[Act], tokens: Option<Tokens>) -> Self {
        let pointers = Pointers {
            key: "/part",
            event_id: "/id",
            event_time: "/at",
            event_version: None,
        };
        let contract = Arc::new(Contract::compile(SCHEMA, &pointers).expect("a contract"));
        let publisher = Arc::new(FakePublisher {
            acts: Mutex::new(acts.iter().cloned().collect()),
            published: watch::Sender::new(0),
            records: Mutex::default(),
        });
        let metrics = Metrics::default();
        let state = Arc::new(GatewayState::new(
            contract,
            publisher.clone(),
            tokens,
            LIMITS,
            GatewayMetrics::register(&metrics),
        ));
        Self {
            publisher,
            router: router(state.clone()),
            state,
            metrics,
        }
    }

    pub fn router(&self) -> Router {
        self.router.clone()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = crate::way::send(self.router(), request).await;
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer {
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    pub async fn post(&self, body: impl Into<Body>) -> Answer {
        self.post_as("application/json", body).await
    }

    pub async fn post_as(&self, content_type: &str, body: impl Into<Body>) -> Answer {
        self.send(request(content_type).body(body.into()).expect("a request"))
            .await
    }
}

pub fn request(content_type: &str) -> http::request::Builder {
    Request::post("/v1/events").header("content-type", content_type)
}
