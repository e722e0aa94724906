//! A minute in which nothing happens, with as many pipelines as there are: what the operator writes in it, and what it costs. Asks the API server for its own counters.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;

use super::counters::Counters;
use super::plan::plan;
use super::table::{Goal, Table};
use crate::cluster::Cluster;
use crate::helm::{DEPLOYMENT, NAMESPACE};
use crate::kill::usage;
use crate::progress::Progress;
use crate::shop::Shop;
use crate::tests::many;
use crate::world::World;

const MINUTE: Duration = Duration::from_mins(1);
/// The kinds whose objects the operator writes, and those whose status it writes.
const OBJECTS: [&str; 8] = [
    "pipelines",
    "stageruns",
    "deployments",
    "jobs",
    "configmaps",
    "services",
    "serviceaccounts",
    "poddisruptionbudgets",
];
const STATUSES: [&str; 2] = ["pipelines", "stageruns"];

/// The operator with one pipeline, of which it says nothing new.
pub async fn measure(world: &World, table: &mut Table) -> Result<()> {
    let shop = Shop::open_afresh(world, plan("idle")?).await?;
    shop.gateway()
        .await?
        .deliver_all(&many("idle", 500, 3)?, 100, 4, MINUTE, |_| {})
        .await?;
    let step = world.progress.step("coming to rest");
    tokio::time::sleep(Duration::from_secs(15)).await;
    shop.wait_until_idle(&step, Duration::from_mins(5)).await?;
    // What has just ended is still reported for a moment.
    tokio::time::sleep(Duration::from_secs(15)).await;
    step.done("");
    let selector = ListParams::default().labels(&format!("app.kubernetes.io/name={DEPLOYMENT}"));
    let pods = world.cluster.api::<Pod>(NAMESPACE).list(&selector).await?;
    let operator = pods.items.first().context("no operator runs")?;
    watch(&world.cluster, &world.progress, table, "operator", || {
        usage(operator).map(|(_, cpu)| cpu)
    })
    .await?;
    let (resident, _) = usage(operator)?;
    let mebibytes = u32::try_from(resident >> 20).map_or(f64::INFINITY, f64::from);
    table.judge(
        "operator, resident memory",
        format!("{mebibytes:.0} MiB"),
        Goal::at_most(mebibytes, 60.0, "MiB"),
    );
    shop.close().await
}

/// Watches for a minute, once nothing is under way; `cpu` tells the CPU seconds of the operator so far.
pub async fn watch(
    cluster: &Cluster,
    progress: &Progress,
    table: &mut Table,
    whose: &str,
    cpu: impl Fn() -> Result<f64>,
) -> Result<()> {
    let step = progress.step(format!("watching {} s of nothing", MINUTE.as_secs()));
    let before = (writes(&counters(cluster).await?), cpu()?);
    tokio::time::sleep(MINUTE).await;
    let after = (writes(&counters(cluster).await?), cpu()?);
    step.done("");
    let written = after.0 - before.0;
    table.judge(
        format!("{whose}, writes in an idle minute, but for the Lease"),
        format!("{written:.0}"),
        Goal::at_most(written, 0.0, ""),
    );
    let share = (after.1 - before.1) / MINUTE.as_secs_f64() * 100.0;
    table.row(
        format!("{whose}, CPU in an idle minute"),
        format!("{share:.1} %"),
        "one core",
    );
    Ok(())
}

/// The API server's own counters.
pub async fn counters(cluster: &Cluster) -> Result<Counters> {
    let request = http::Request::get("/metrics").body(Vec::new())?;
    Ok(Counters::new(cluster.client.request_text(request).await?))
}

/// Status writes of the kinds whose status is the operator's.
pub fn status_writes(counters: &Counters) -> f64 {
    STATUSES.iter().map(|kind| counters.writes(kind, "status")).sum()
}

/// Everything that only the operator has a reason to write: Kubernetes itself keeps the status of a Deployment and of a Job.
fn writes(counters: &Counters) -> f64 {
    let objects: f64 = OBJECTS.iter().map(|kind| counters.writes(kind, "")).sum();
    objects + status_writes(counters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_those_that_only_the_operator_has_a_reason_to_make() {
        let series = |verb: &str, resource: &str, subresource: &str, dry_run: &str, count: u32| {
            format!(
                "apiserver_request_total{{code=\"200\",dry_run=\"{dry_run}\",resource=\"{resource}\",subresource=\"{subresource}\",verb=\"{verb}\"}} {count}\n"
            )
        };
        let counters = Counters::new(
            [
                series("APPLY", "deployments", "", "", 1),
                series("POST", "jobs", "", "", 2),
                series("PUT", "pipelines", "status", "", 4),
                series("PUT", "deployments", "status", "", 100),
                series("PUT", "leases", "", "", 200),
                series("APPLY", "configmaps", "", "All", 300),
                series("LIST", "pipelines", "", "", 400),
            ]
            .concat(),
        );
        assert!((writes(&counters) - 7.0).abs() < 0.1, "{}", writes(&counters));
        assert!((status_writes(&counters) - 4.0).abs() < 0.1);
    }
}
