//! A part of story 3: the password in a running pipeline's Secret is mistyped, then the Secret names another user: told within the minute, no pod ends, nothing is lost. Touches all of the stack.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use medallion_crds::pipeline::StageStatus;
use medallion_crds::{Reason, Stage, labels};

use super::till::{Ledger, PATIENCE};
use crate::entrance::{CREDENTIALS, NEXT_USER, password, put_credentials, user};
use crate::event::Event;
use crate::shop::Shop;

/// A worker names what is wrong within half a minute of its mounted files; the stack's kubelet brings those within the other half.
const TOLD_WITHIN: Duration = Duration::from_mins(1);
/// Not the password of anybody.
const MISTYPED: &str = "a-mistyped-password";

/// Posts `events` while nobody is let in; settles with the one dead letter that the story has made before.
pub async fn change(shop: &Shop<'_>, ledger: &mut Ledger, events: &[Event]) -> Result<()> {
    let (world, namespace) = (shop.world, &shop.namespace);
    let before = pods(shop).await?;
    ensure!(before.len() >= 2, "the pods that have Kafka's password are {before:?}");

    world.progress.line("the password in the Secret is mistyped");
    put_credentials(&world.cluster, namespace, &user(NEXT_USER, MISTYPED)).await?;
    for stage in [Stage::Ingest, Stage::Persist] {
        let step = world.progress.step(format!("{stage} names it"));
        let status = shop.wait_for_stage(&step, stage, TOLD_WITHIN, is_refused).await?;
        let message = status.message.unwrap_or_default();
        ensure!(
            message.contains("spec.kafka.authentication") && !message.contains(MISTYPED),
            "{stage} says: {message}"
        );
        step.done(message);
    }
    let step = world.progress.step("Healthy follows");
    shop.wait_for(&step, "Healthy", "False", None, TOLD_WITHIN).await?;
    step.done("");

    world
        .progress
        .line("another user takes over, while a client keeps trying");
    let mended = async {
        let right = user(NEXT_USER, password(&world.stack, NEXT_USER)?);
        put_credentials(&world.cluster, namespace, &right).await?;
        let step = world.progress.step("Healthy again");
        shop.wait_for(&step, "Healthy", "True", None, PATIENCE).await?;
        step.done("");
        anyhow::Ok(())
    };
    let (delivery, mended) = tokio::join!(ledger.post(shop, events), mended);
    mended?;
    let refused = delivery?.refused().count();
    ensure!(refused == 0, "{refused} events were refused for good");
    ledger.settle_with_dead_letters(shop, 1).await?;
    let after = pods(shop).await?;
    ensure!(after == before, "pods were {before:?} and are {after:?}");
    Ok(())
}

fn is_refused(status: &StageStatus) -> bool {
    status.reason == Some(Reason::KafkaCredentialsRefused)
}

/// Restarts by name and UID of the pods that mount the user and the password.
async fn pods(shop: &Shop<'_>) -> Result<BTreeMap<(String, String), i32>> {
    let api: Api<Pod> = shop.world.cluster.api(&shop.namespace);
    let all = api.list(&ListParams::default().labels(labels::PIPELINE)).await?;
    let mounts = |pod: &Pod| {
        let spec = serde_json::to_string(&pod.spec).unwrap_or_default();
        spec.contains(&format!("\"{CREDENTIALS}\""))
    };
    let is_over = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    };
    all.items
        .iter()
        .filter(|pod| mounts(pod) && !is_over(pod))
        .map(|pod| {
            let uid = pod.uid().context("a pod without UID")?;
            let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter());
            let restarts = statuses.flatten().map(|one| one.restart_count).sum();
            Ok(((pod.name_any(), uid), restarts))
        })
        .collect()
}
