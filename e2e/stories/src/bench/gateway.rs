//! The gateway: events a second in batches and as single posts, beside the broker's and HTTP's own. Posts over HTTP, puts into Kafka.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::StreamExt;
use futures::stream;

use super::plan::plan;
use super::table::{Table, rate};
use crate::event::Event;
use crate::gateway::Gateway;
use crate::shop::Shop;
use crate::tests::many;
use crate::visibility::quantile;
use crate::world::World;

const BATCHED: usize = 60_000;
const BATCH: usize = 100;
const BATCHES_IN_FLIGHT: usize = 16;
const SINGLE: usize = 12_000;
const CONNECTIONS: usize = 64;
const PATIENCE: Duration = Duration::from_mins(1);

pub async fn measure(world: &World, table: &mut Table) -> Result<()> {
    let mut wanted = plan("gateway")?;
    // Nothing behind the topic takes the processor away from what is measured.
    wanted.pipeline.spec.stages.bronze.flush.max_age_seconds = 60;
    wanted.pipeline.spec.suspend = true;
    let shop = Shop::open_afresh(world, wanted).await?;
    let gateway = shop.gateway().await?;
    gateway.deliver(&many("warm", 200, 1)?, PATIENCE).await?;

    let events = many("batch", BATCHED, 30)?;
    let step = world
        .progress
        .step(format!("raw: {BATCHED} records straight into Kafka"));
    let topic = &shop.plan.pipeline.spec.kafka.dead_letter_topic;
    let payloads: Vec<(&str, &str)> = events
        .iter()
        .map(|event| (event.identity.key.as_str(), event.text.as_str()))
        .collect();
    let raw = world.kafka.put_all(topic, &payloads).await?;
    step.done("");
    let step = world.progress.step(format!("{BATCHED} events in batches of {BATCH}"));
    let begun = Instant::now();
    let delivery = gateway
        .deliver_all(&events, BATCH, BATCHES_IN_FLIGHT, PATIENCE, |done| {
            step.say(done.to_string());
        })
        .await?;
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(delivery.accepted().count() == BATCHED, "not all were accepted");
    step.done("");
    table.row(
        format!("gateway, batches of {BATCH}"),
        format!("{:.0} events/s", rate(BATCHED, seconds)),
        format!("at least 5000; Kafka alone {:.0}", rate(BATCHED, raw.as_secs_f64())),
    );

    let events = many("single", SINGLE, 30)?;
    let nowhere = Gateway::new(gateway.url().replace("/v1/events", "/nowhere"), shop.token.clone());
    let (raw, _) = singles(&nowhere, &events, |status| status == 404).await?;
    let (seconds, latencies) = singles(&gateway, &events, |status| status == 200).await?;
    table.row(
        format!("gateway, single posts on {CONNECTIONS} connections"),
        format!("{:.0} events/s", rate(SINGLE, seconds)),
        format!("at least 1500; HTTP alone (404) {:.0}", rate(SINGLE, raw)),
    );
    table.row(
        "gateway, single posts, p50 / p99",
        format!(
            "{:.1} / {:.1} ms",
            quantile(&latencies, 0.5),
            quantile(&latencies, 0.99)
        ),
        "",
    );
    shop.close().await
}

/// One event a request; seconds in all and milliseconds of each, sorted.
async fn singles(gateway: &Gateway, events: &[Event], is_right: impl Fn(u16) -> bool) -> Result<(f64, Vec<f64>)> {
    let begun = Instant::now();
    let mut answers = stream::iter(events.iter().map(|event| async {
        let sent = Instant::now();
        let answer = gateway.post(event.text.clone()).await?;
        anyhow::Ok((answer.status, sent.elapsed().as_secs_f64() * 1000.0))
    }))
    .buffer_unordered(CONNECTIONS);
    let mut latencies = Vec::new();
    while let Some(answer) = answers.next().await {
        let (status, milliseconds) = answer?;
        ensure!(is_right(status), "the gateway answered {status}");
        latencies.push(milliseconds);
    }
    latencies.sort_by(f64::total_cmp);
    Ok((begun.elapsed().as_secs_f64(), latencies))
}
