//! Has the stack start Kubernetes' garbage collector, and waits until it works. Touches a file of the stack and the API server.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::cluster::Cluster;
use crate::progress::Step;
use crate::stack::Stack;
use crate::waiting::{Look, in_the_end};

const NAMESPACE: &str = "bench-collected";
/// Collected by whoever knows that its owner is not there.
const ORPHAN: &str = "orphan";
const LIMIT: Duration = Duration::from_mins(10);

/// It has to know every object there is before it removes any.
pub async fn start(stack: &Stack, cluster: &Cluster, step: &Step) -> Result<()> {
    let switch = stack
        .garbage_collector
        .as_ref()
        .context("the stack has no garbage collector that can be started")?;
    std::fs::write(switch, "")?;
    cluster.make_namespace(NAMESPACE).await?;
    let api: Api<ConfigMap> = cluster.api(NAMESPACE);
    let orphan = serde_json::from_value(json!({"metadata": {
        "name": ORPHAN,
        "ownerReferences": [{
            "apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": "00000000-0000-0000-0000-000000000000",
        }],
    }}))?;
    api.create(&PostParams::default(), &orphan).await?;
    in_the_end(step, LIMIT, Duration::from_millis(500), async || {
        Ok(match api.get_metadata_opt(ORPHAN).await? {
            None => Look::Done(()),
            Some(_) => Look::Waiting("it does not know everything yet".to_owned()),
        })
    })
    .await
}
