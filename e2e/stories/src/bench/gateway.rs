//! The gateway: events a second in batches and as single posts, beside the broker's and HTTP's own. Posts over HTTP, puts into Kafka.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::StreamExt;
use futures::stream;

use super::plan::plan;
use super::sizes::Sizes;
use super::table::{Goal, Table, rate};
use crate::event::Event;
use crate::gateway::Gateway;
use crate::shop::Shop;
use crate::tests::many;
use crate::visibility::quantile;
use crate::world::World;

const BATCH: usize = 100;
const BATCHES_IN_FLIGHT: usize = 16;
const CONNECTIONS: usize = 64;
const PATIENCE: Duration = Duration::from_mins(1);

pub async fn measure(world: &World, table: &mut Table, sizes: &Sizes) -> Result<()> {
    let Sizes { batched, single, .. } = *sizes;
    let mut wanted = plan("gateway")?;
    // Nothing behind the topic takes the processor away from what is measured.
    wanted.pipeline.spec.stages.bronze.flush.max_age_seconds = 60;
    wanted.pipeline.spec.suspend = true;
    let shop = Shop::open_afresh(world, wanted).await?;
    let gateway = shop.gateway().await?;
    gateway.deliver(&many("warm", 200, 1)?, PATIENCE).await?;

    let events = many("batch", batched, 30)?;
    let step = world
        .progress
        .step(format!("raw: {batched} records straight into Kafka"));
    let topic = &shop.plan.pipeline.spec.kafka.dead_letter_topic;
    let payloads: Vec<(&str, &str)> = events
        .iter()
        .map(|event| (event.identity.key.as_str(), event.text.as_str()))
        .collect();
    let raw = world.kafka.put_all(topic, &payloads).await?;
    step.done("");
    let step = world.progress.step(format!("{batched} events in batches of {BATCH}"));
    let begun = Instant::now();
    let delivery = gateway
        .deliver_all(&events, BATCH, BATCHES_IN_FLIGHT, PATIENCE, |done| {
            step.say(done.to_string());
        })
        .await?;
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(delivery.accepted().count() == batched, "not all were accepted");
    step.done("");
    let speed = rate(batched, seconds);
    table.judge(
        format!("gateway, batches of {BATCH}"),
        format!("{speed:.0} events/s"),
        Goal::at_least(speed, 5000.0, "events/s")
            .beside(&format!("Kafka alone {:.0}", rate(batched, raw.as_secs_f64()))),
    );

    let events = many("single", single, 30)?;
    let nowhere = Gateway::new(gateway.url().replace("/v1/events", "/nowhere"), shop.token.clone());
    let (raw, _) = singles(&nowhere, &events, |status| status == 404).await?;
    let (seconds, latencies) = singles(&gateway, &events, |status| status == 200).await?;
    let speed = rate(single, seconds);
    table.judge(
        format!("gateway, single posts on {CONNECTIONS} connections"),
        format!("{speed:.0} events/s"),
        Goal::at_least(speed, 1500.0, "events/s").beside(&format!("HTTP alone (404) {:.0}", rate(single, raw))),
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
