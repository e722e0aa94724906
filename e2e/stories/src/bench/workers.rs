//! Consumer and exporter: events a second, processor time and memory, beside the store's own speed. Touches Kafka, DynamoDB and the lake.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;

use super::plan::plan;
use super::table::{Table, rate};
use crate::account::Account;
use crate::kill::usage;
use crate::shop::Shop;
use crate::tests::many;
use crate::waiting::{Look, in_the_end};
use crate::world::World;

const EVENTS: usize = 20_000;
const PUTS: usize = 5_000;
const LIMIT: Duration = Duration::from_mins(10);

pub async fn measure(world: &World, table: &mut Table) -> Result<()> {
    let mut wanted = plan("workers")?;
    wanted.pipeline.spec.suspend = true;
    let shop = Shop::open_afresh(world, wanted).await?;
    let step = world
        .progress
        .step(format!("raw: {PUTS} conditional puts into DynamoDB"));
    let raw = world.stores.puts(PUTS, 64).await?;
    step.done("");

    let before = (pod_usage(&shop, "consumer").await?, pod_usage(&shop, "exporter").await?);
    let events = many("work", EVENTS, 30)?;
    let begun = Instant::now();
    let delivery = shop
        .gateway()
        .await?
        .deliver_all(&events, 100, 16, LIMIT, |_| {})
        .await?;
    wait_until_consumed(&shop).await?;
    let consumed = begun.elapsed().as_secs_f64();
    let step = world.progress.step("the exporter works it off");
    in_the_end(&step, LIMIT, Duration::from_millis(500), async || {
        let open = Account::take(&shop).await?.unaccounted(&delivery).len();
        Ok(if open == 0 {
            Look::Done(())
        } else {
            Look::Waiting(format!("{open} events"))
        })
    })
    .await?;
    let exported = begun.elapsed().as_secs_f64();
    step.done("");

    let after = (pod_usage(&shop, "consumer").await?, pod_usage(&shop, "exporter").await?);
    let step = world.progress.step("raw: the stream read alone");
    let read = world
        .stores
        .read_stream(&shop.plan.pipeline.spec.table.name, EVENTS)
        .await?;
    step.done("");
    let rows = [
        (
            "consumer",
            before.0,
            after.0,
            consumed,
            format!("DynamoDB Local alone {:.0} puts/s", rate(PUTS, raw.as_secs_f64())),
        ),
        (
            "exporter",
            before.1,
            after.1,
            exported,
            format!(
                "behind the consumer, flush at 5 s; the stream alone {:.0} records/s",
                rate(EVENTS, read.as_secs_f64())
            ),
        ),
    ];
    for (worker, before, after, seconds, limit) in rows {
        table.row(
            format!("{worker}, {EVENTS} events"),
            format!("{:.0} events/s", rate(EVENTS, seconds)),
            limit,
        );
        let per_million = (after.1 - before.1) / rate(EVENTS, 1.0) * 1e6;
        table.row(
            format!("{worker}, CPU seconds per million events"),
            format!("{per_million:.0}"),
            "",
        );
        table.row(
            format!("{worker}, resident memory"),
            format!("{} MiB", after.0 >> 20),
            "",
        );
    }
    shop.close().await
}

/// Waits until the consumer has worked off what stands in the topic.
pub async fn wait_until_consumed(shop: &Shop<'_>) -> Result<()> {
    let (kafka, topic) = (&shop.world.kafka, &shop.plan.pipeline.spec.kafka.topic);
    let group = shop.consumer_group().await?;
    let step = shop.world.progress.step("the consumer works it off");
    in_the_end(&step, LIMIT, Duration::from_millis(250), async || {
        let open = kafka.lag(topic, &group).await?;
        Ok(if open == 0 {
            Look::Done(())
        } else {
            Look::Waiting(format!("{open} records"))
        })
    })
    .await?;
    step.done("");
    Ok(())
}

async fn pod_usage(shop: &Shop<'_>, worker: &str) -> Result<(u64, f64)> {
    let pods: Vec<Pod> = shop.world.cluster.pods(&shop.namespace, &shop.name, worker).await?;
    usage(pods.first().with_context(|| format!("no {worker} runs"))?)
}
