//! What belongs to others is left alone: an object of the name that a child would have, and tables that another pipeline writes. Touches all of the stack.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::Api;
use medallion_crds::{ADOPT_ANNOTATION, Pipeline};
use serde_json::{Value, json};

use crate::progress::Step;
use crate::shop::{CONTRACT, Plan, Shop, in_words};
use crate::waiting::{Look, in_the_end};
use crate::world::World;

const LIMIT: Duration = Duration::from_mins(1);

/// An object of somebody else's with the name of a child stays as it is, and the pipeline says that it is in the way.
pub async fn object(world: &World, namespace: &str, pipeline: &Value) -> Result<()> {
    let name = pipeline["metadata"]["name"].as_str().context("a pipeline has a name")?;
    let reference = &pipeline["spec"]["contract"]["versions"][0]["schemaRef"];
    let said = |field: &str| reference[field].as_str().unwrap_or_default().to_owned();
    let contract = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": said("name")}, "data": {said("key"): CONTRACT},
    });
    let maps: Api<ConfigMap> = world.cluster.api(namespace);
    world.cluster.apply(&maps, &said("name"), &contract).await?;

    let taken = format!("{name}-provisioner");
    let object = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": &taken, "labels": {"team": "another"}},
    });
    let accounts: Api<ServiceAccount> = world.cluster.api(namespace);
    let before = world.cluster.apply(&accounts, &taken, &object).await?;
    let pipelines: Api<Pipeline> = world.cluster.api(namespace);
    world.cluster.apply(&pipelines, name, pipeline).await?;
    let step = world.progress.step("the object in the way is named");
    says(&step, &pipelines, name, &["not this Pipeline's", &taken]).await?;
    step.done("");
    let after = accounts.get(&taken).await?;
    ensure!(
        after.metadata.resource_version == before.metadata.resource_version,
        "ServiceAccount {taken} of somebody else was written"
    );
    Ok(())
}

/// A second pipeline on the tables of this one does not start, and says whom it would have to displace.
pub async fn tables(shop: &Shop<'_>) -> Result<()> {
    let mut plan = Plan::named("life")?;
    let namespace = format!("{}-second", shop.namespace);
    plan.pipeline.metadata.namespace = Some(namespace);
    let second = Shop::open(shop.world, plan).await?;
    let owner = shop.owner().await?;
    let step = shop
        .world
        .progress
        .step("a second pipeline on the same tables is refused");
    let adopt = format!("{ADOPT_ANNOTATION}: {owner}");
    says(&step, &second.pipelines(), &second.name, &[&adopt]).await?;
    // What is outside the cluster is the first one's.
    second.leave(&step).await?;
    step.done("");
    Ok(())
}

async fn says(step: &Step, pipelines: &Api<Pipeline>, name: &str, wanted: &[&str]) -> Result<()> {
    in_the_end(step, LIMIT, Duration::from_millis(300), async || {
        let said = in_words(&pipelines.get(name).await?);
        Ok(if wanted.iter().all(|words| said.contains(words)) {
            Look::Done(())
        } else {
            Look::Waiting(said)
        })
    })
    .await
    .with_context(|| format!("waiting for {}", wanted.join(", ")))
}
