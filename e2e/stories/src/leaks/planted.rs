//! Lets a secret out on purpose, by the ways on which one could be: a pod's arguments, what a program says of them, and a file in the
//! lake. Touches the API server and S3.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::Api;
use rand::distr::{Alphanumeric, SampleString};
use serde_json::json;

use super::places::Kind;
use crate::progress::Step;
use crate::shop::Shop;
use crate::waiting::{Look, until};

const NAME: &str = "let-out-on-purpose";
pub const SECRET_AND_KEY: (&str, &str) = (NAME, "password");
/// Where it must be found, and nowhere else: the pod has ended when it is looked for.
pub const WHERE: [Kind; 3] = [Kind::Objects, Kind::Logs, Kind::Files];

pub async fn let_out(shop: &Shop<'_>, step: &Step, patience: Duration) -> Result<()> {
    let (cluster, stack) = (&shop.world.cluster, &shop.world.stack);
    let value = Alphanumeric.sample_string(&mut rand::rng(), 32);
    let secrets: Api<Secret> = cluster.api(&shop.namespace);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME}, "stringData": {SECRET_AND_KEY.1: value},
    });
    cluster.apply(&secrets, NAME, &secret).await?;

    let bucket = &shop.plan.pipeline.spec.lake.gold.bucket;
    shop.world.stores.put(bucket, NAME, &value).await?;

    // The operator's program says which of its arguments it does not know.
    let image = stack.images.medallion.as_deref().context("the stack has no image")?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME},
        "spec": {
            "restartPolicy": "Never", "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "says-it", "image": image, "imagePullPolicy": "IfNotPresent",
                "command": ["/usr/local/bin/medallion-operator"], "args": [format!("--{value}")],
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    });
    let pods: Api<Pod> = cluster.api(&shop.namespace);
    cluster.apply(&pods, NAME, &pod).await?;
    until(step, patience, Duration::from_millis(300), async || {
        let status = pods.get(NAME).await?.status;
        let phase = status.and_then(|status| status.phase).unwrap_or_default();
        Ok(if matches!(phase.as_str(), "Succeeded" | "Failed") {
            Look::Done(())
        } else {
            Look::Waiting(format!("pod {NAME} is {phase}"))
        })
    })
    .await
}
