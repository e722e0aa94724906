//! The operator with one pipeline: memory, and what it writes while nothing happens. Asks the API server for its own counters.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;

use super::plan::plan;
use super::table::Table;
use crate::helm::{DEPLOYMENT, NAMESPACE};
use crate::kill::usage;
use crate::shop::Shop;
use crate::tests::many;
use crate::world::World;

const IDLE: Duration = Duration::from_mins(1);

pub async fn measure(world: &World, table: &mut Table) -> Result<()> {
    let shop = Shop::open_afresh(world, plan("idle")?).await?;
    shop.gateway()
        .await?
        .deliver_all(&many("idle", 500, 3)?, 100, 4, IDLE, |_| {})
        .await?;
    let step = world.progress.step("coming to rest");
    tokio::time::sleep(Duration::from_secs(15)).await;
    shop.wait_until_idle(&step, Duration::from_mins(5)).await?;
    // What has just ended is still reported for a moment.
    tokio::time::sleep(Duration::from_secs(15)).await;
    step.done("");
    let step = world.progress.step(format!("watching {} s of nothing", IDLE.as_secs()));
    let before = writes(world).await?;
    tokio::time::sleep(IDLE).await;
    let after = writes(world).await?;
    step.done("");
    let selector = ListParams::default().labels(&format!("app.kubernetes.io/name={DEPLOYMENT}"));
    let pods = world.cluster.api::<Pod>(NAMESPACE).list(&selector).await?;
    let (resident, _) = usage(pods.items.first().context("no operator runs")?)?;
    table.row(
        "operator, resident memory",
        format!("{} MiB", resident >> 20),
        "at most 60 MiB",
    );
    table.row("operator, writes in an idle minute", (after - before).to_string(), "0");
    shop.close().await
}

/// Requests that changed one of the kinds that the operator writes.
async fn writes(world: &World) -> Result<u64> {
    let request = http::Request::get("/metrics").body(Vec::new())?;
    let text = world.cluster.client.request_text(request).await?;
    let kinds = [
        "pipelines",
        "stageruns",
        "deployments",
        "jobs",
        "configmaps",
        "services",
        "serviceaccounts",
        "poddisruptionbudgets",
    ];
    let is_write = |line: &str| {
        line.starts_with("apiserver_request_total{")
            && ["POST", "PUT", "PATCH", "DELETE", "APPLY"].iter().any(|verb| line.contains(&format!("verb=\"{verb}\"")))
            && kinds.iter().any(|kind| line.contains(&format!("resource=\"{kind}\"")))
            // Kubernetes itself keeps a deployment's and a job's status; those stand still in an idle minute too.
            && !line.contains("dry_run=\"All\"")
    };
    let counts = text
        .lines()
        .filter(|line| is_write(line))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter")]
    Ok(counts.sum::<f64>() as u64)
}
