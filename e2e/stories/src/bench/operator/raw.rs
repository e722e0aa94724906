//! The raw limit of the API server: writes of one small object each, as many as it takes. Talks to the API server.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::super::table::rate;
use crate::cluster::Cluster;

const NAMESPACE: &str = "bench-raw";
const AT_ONCE: usize = 32;
const TIME: Duration = Duration::from_secs(5);

/// Writes a second.
pub async fn writes(cluster: &Cluster) -> Result<f64> {
    cluster.make_namespace(NAMESPACE).await?;
    let api: Api<ConfigMap> = cluster.api(NAMESPACE);
    let begun = Instant::now();
    let lanes = stream::iter(0..AT_ONCE).map(|lane| lane_of_writes(cluster, &api, lane, begun));
    let written: usize = lanes
        .buffer_unordered(AT_ONCE)
        .try_fold(0, async |sum, one| Ok(sum + one))
        .await?;
    Ok(rate(written, begun.elapsed().as_secs_f64()))
}

async fn lane_of_writes(cluster: &Cluster, api: &Api<ConfigMap>, lane: usize, begun: Instant) -> Result<usize> {
    let name = format!("raw-{lane}");
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": &name}});
    cluster.apply(api, &name, &object).await?;
    let mut written = 1;
    while begun.elapsed() < TIME {
        let change = Patch::Merge(json!({"data": {"written": written.to_string()}}));
        api.patch(&name, &PatchParams::default(), &change).await?;
        written += 1;
    }
    Ok(written)
}
