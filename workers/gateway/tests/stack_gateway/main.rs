//! The gateway on a real broker: every success stands in the topic; `MEDALLION_STACK` names the file with its address.

#[path = "../../../kafka/tests/stack_kafka/acl.rs"]
mod acl;
#[path = "../http/living.rs"]
mod living;
mod secure;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::body::Body;
use gateway::{GatewayMetrics, GatewayState, KafkaPublisher, Limits, router};
use http::Request;
use http_body_util::BodyExt;
use kafka_client::Brokers;
use medallion_contract::{Contract, Pointers};
use medallion_crds::launch::KafkaSettings;
use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::Value;
use tower::ServiceExt;
use worker_kit::Metrics;

const SCHEMA: &str = r#"{"type":"object","required":["id","part","at"],"properties":{
    "id":{"type":"string"},"part":{"type":"integer"},"at":{"type":"string","format":"date-time"}}}"#;
const LIMITS: Limits = Limits {
    body_bytes: 1 << 20,
    events_per_request: 1000,
    buffer_bytes: 32 << 20,
    request: Duration::from_secs(30),
    drain: Duration::ZERO,
};
const REQUESTS: usize = 50;
const EVENTS: usize = 100;

fn event(number: usize) -> String {
    format!(
        r#"{{"id":"e{number}","part":{},"at":"2024-01-02T03:04:05Z"}}"#,
        number % 97
    )
}

fn document() -> Result<Value> {
    let path = std::env::var("MEDALLION_STACK").context("MEDALLION_STACK must name the stack's file")?;
    Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
}

fn bootstrap_servers() -> Result<String> {
    Ok(document()?["kafka"]["bootstrapServers"]
        .as_str()
        .context("kafka.bootstrapServers")?
        .to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_event_stands_in_the_topic_once_and_in_its_keys_partition() -> Result<()> {
    let servers = bootstrap_servers()?;
    let topic = format!("gateway-{}", std::process::id());
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", &servers).create()?;
    let new_topic = NewTopic::new(&topic, 3, TopicReplication::Fixed(1));
    admin.create_topics(&[new_topic], &AdminOptions::new()).await?;

    let settings = KafkaSettings {
        bootstrap_servers: vec![servers.clone()],
        topic: topic.clone(),
        dead_letter_topic: format!("dlq.{topic}"),
        ..KafkaSettings::default()
    };
    let pointers = Pointers {
        key: "/part",
        event_id: "/id",
        event_time: "/at",
        event_version: None,
    };
    let contract = Contract::compile(SCHEMA, &pointers)?;
    let publisher = KafkaPublisher::new(
        Brokers::without_tokens(&settings),
        contract.digest(),
        Duration::from_secs(20),
        LIMITS.buffer_bytes,
    );
    publisher.probe(Duration::from_secs(20))?;
    let metrics = GatewayMetrics::register(&Metrics::default());
    let state = GatewayState::new(Arc::new(contract), Arc::new(publisher), None, LIMITS, metrics);
    let router = router(Arc::new(state));

    let begun = Instant::now();
    let requests = (0..REQUESTS).map(|request| {
        let events: Vec<String> = (0..EVENTS).map(|number| event(request * EVENTS + number)).collect();
        let body = Body::from(events.join("\n"));
        let request = Request::post("/v1/events")
            .header("content-type", "application/x-ndjson")
            .body(body);
        let router = router.clone();
        tokio::spawn(async move { anyhow::Ok(router.oneshot(request?).await?.into_body().collect().await?.to_bytes()) })
    });
    let mut accepted = BTreeSet::new();
    for answer in futures::future::join_all(requests).await {
        let answer: Value = serde_json::from_slice(&answer??)?;
        for result in answer["results"].as_array().context("results")? {
            ensure!(result["status"] == "accepted", "{result}");
            accepted.insert(result["event_id"].as_str().context("an id")?.to_owned());
        }
    }
    let elapsed = begun.elapsed();
    println!("{} events in {elapsed:?}", accepted.len());
    ensure!(accepted.len() == REQUESTS * EVENTS);

    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &servers)
        .set("group.id", &topic)
        .set("auto.offset.reset", "earliest")
        .create()?;
    reader.subscribe(&[&topic])?;
    let mut read = BTreeSet::new();
    let mut partitions: BTreeMap<Vec<u8>, i32> = BTreeMap::new();
    let begun = Instant::now();
    while read.len() < accepted.len() {
        ensure!(begun.elapsed() < Duration::from_mins(1), "records in vain");
        // A poll also ends without a record when the group has news.
        let Some(message) = reader.poll(Duration::from_secs(1)) else {
            continue;
        };
        let message = message?;
        let value: Value = serde_json::from_slice(message.payload().context("a value")?)?;
        ensure!(
            read.insert(value["id"].as_str().context("an id")?.to_owned()),
            "{value} stands there twice"
        );
        let key = message.key().context("a key")?.to_vec();
        ensure!(
            *partitions.entry(key).or_insert(message.partition()) == message.partition(),
            "a key has one partition"
        );
    }
    ensure!(read == accepted);
    ensure!(reader.poll(Duration::from_secs(1)).is_none(), "and nothing more");
    admin.delete_topics(&[&topic], &AdminOptions::new()).await?;
    Ok(())
}
