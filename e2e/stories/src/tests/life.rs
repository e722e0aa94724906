//! Story 6: a pipeline is suspended, resumed, changed and deleted; what is outside the cluster stays, and applied again it goes on where it stopped.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use medallion_crds::pipeline::StageState;
use medallion_crds::{ADOPT_ANNOTATION, Stage, StageRun, labels};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::till::{Ledger, PATIENCE};
use super::{foreign, observed};
use crate::account::Account;
use crate::event::Event;
use crate::purchases::{Purchases, shipped};
use crate::shop::{Plan, Shop};
use crate::waiting::{Look, in_the_end, until};
use crate::world::World;

const DELETION: Duration = Duration::from_mins(1);

pub async fn run(world: &World) -> Result<Vec<Shop<'_>>> {
    let shop = Shop::open_afresh(world, Plan::named("life")?).await?;
    let purchases = Purchases::read(&shipped())?;
    let mut parts = purchases.events.chunks(150).step_by(9).map(<[Event]>::to_vec);
    let mut part = || parts.next().context("the file has enough lines");
    let mut ledger = Ledger::default();
    ledger.post(&shop, &part()?).await?;
    ledger.settle(&shop).await?;

    foreign::tables(&shop).await?;
    observed::metrics(&shop).await?;

    world.progress.line("suspended: Bronze goes on, no run starts");
    shop.change(json!({"spec": {"suspend": true}})).await?;
    let step = world.progress.step("the stages are suspended");
    shop.wait_for_stage(&step, Stage::Silver, PATIENCE, |stage| {
        stage.state == StageState::Suspended
    })
    .await?;
    step.done("");
    let runs = run_names(&shop).await?;
    ledger.post(&shop, &part()?).await?;
    wait_for_bronze(&shop, &ledger).await?;
    ensure!(
        run_names(&shop).await? == runs,
        "a run started while the pipeline was suspended"
    );

    world.progress.line("resumed: what has gathered is worked off");
    shop.change(json!({"spec": {"suspend": false}})).await?;
    ledger.settle(&shop).await?;

    world.progress.line("changed: two consumers, another flush");
    shop.change(json!({"spec": {"stages": {"persist": {"replicas": 2}, "bronze": {"flush": {"maxAgeSeconds": 2}}}}}))
        .await?;
    let step = world.progress.step("two consumers are ready");
    shop.wait_for_stage(&step, Stage::Persist, PATIENCE, |stage| stage.ready_replicas == Some(2))
        .await?;
    shop.wait_until_ready(&step).await?;
    step.done("");
    ledger.post(&shop, &part()?).await?;
    ledger.settle(&shop).await?;

    world.progress.line("deleted, with data under way");
    let stood_at = silver_version(&shop).await?;
    ledger.post(&shop, &part()?).await?;
    let step = world.progress.step("deletion");
    let took = world
        .cluster
        .delete(&step, &shop.pipelines(), &shop.name, DELETION)
        .await?;
    nothing_left(&shop, &step, DELETION.saturating_sub(took)).await?;
    step.done(format!("the Pipeline was gone after {:.1} s", took.as_secs_f64()));
    let spec = &shop.plan.pipeline.spec;
    ensure!(
        world.stores.has_table(&spec.table.name).await,
        "the table {} is gone",
        spec.table.name
    );
    ensure!(
        world.kafka.exists(&spec.kafka.topic).await?,
        "the topic {} is gone",
        spec.kafka.topic
    );
    for bucket in [
        &spec.lake.bronze.bucket,
        &spec.lake.silver.bucket,
        &spec.lake.gold.bucket,
    ] {
        ensure!(world.stores.has_bucket(bucket).await, "the bucket {bucket} is gone");
    }
    ensure!(
        world.warehouse().await?.has_table(shop.schema(), "orders").await?,
        "the warehouse's tables are gone"
    );

    world.progress.line("applied again: it goes on where it stopped");
    shop.apply().await?;
    let step = world.progress.step("ready again");
    shop.wait_until_ready(&step).await?;
    step.done("");
    ledger.post(&shop, &part()?).await?;
    ledger.settle(&shop).await?;
    let version = silver_version(&shop).await?;
    ensure!(
        version > stood_at,
        "Silver stands at version {version} and stood at {stood_at}: it was begun anew"
    );
    Box::pin(moved(shop, ledger, &part()?, version)).await
}

/// Another namespace takes the pipeline's data over, by the name of the owner that it displaces, and goes on with it.
async fn moved<'w>(shop: Shop<'w>, mut ledger: Ledger, part: &[Event], stood_at: i64) -> Result<Vec<Shop<'w>>> {
    let world = shop.world;
    world
        .progress
        .line("moved to another namespace: it adopts by name and goes on");
    let step = world.progress.step("deletion");
    world
        .cluster
        .delete(&step, &shop.pipelines(), &shop.name, DELETION)
        .await?;
    step.done("");
    let mut plan = Plan::named("life")?;
    let metadata = &mut plan.pipeline.metadata;
    metadata.namespace = Some(format!("{}-moved", shop.namespace));
    metadata
        .annotations
        .get_or_insert_default()
        .insert(ADOPT_ANNOTATION.to_owned(), shop.owner().await?.to_string());
    let moved = Shop::open(world, plan).await?;
    let step = world.progress.step("ready in its new namespace");
    moved.wait_until_ready(&step).await?;
    step.done("");
    ledger.post(&moved, part).await?;
    ledger.settle(&moved).await?;
    let version = silver_version(&moved).await?;
    ensure!(
        version > stood_at,
        "Silver stands at version {version} and stood at {stood_at}: it was begun anew"
    );
    Ok(vec![moved, shop])
}

async fn silver_version(shop: &Shop<'_>) -> Result<i64> {
    let version = shop.version_of(&shop.silver("order_lines")).await?;
    version.context("there is no Silver table")
}

async fn run_names(shop: &Shop<'_>) -> Result<Vec<String>> {
    let mut names: Vec<String> = shop.all_runs().await?.iter().map(ResourceExt::name_any).collect();
    names.sort();
    Ok(names)
}

async fn wait_for_bronze(shop: &Shop<'_>, ledger: &Ledger) -> Result<()> {
    let step = shop.world.progress.step("Bronze has everything");
    in_the_end(&step, PATIENCE, Duration::from_secs(1), async || {
        let open = Account::take(shop).await?.unaccounted(&ledger.delivery).len();
        Ok(if open == 0 {
            Look::Done(())
        } else {
            Look::Waiting(format!("{open} events are missing"))
        })
    })
    .await?;
    shop.wait_until_bronze_is_known(&step, PATIENCE).await?;
    step.done("");
    Ok(())
}

/// Whatever carries the pipeline's label is gone, of every kind that the operator makes.
async fn nothing_left(shop: &Shop<'_>, step: &crate::progress::Step, limit: Duration) -> Result<()> {
    until(step, limit, Duration::from_millis(500), async || {
        let mut left = Vec::new();
        left.extend(named::<Deployment>(shop).await?);
        left.extend(named::<Job>(shop).await?);
        left.extend(named::<Pod>(shop).await?);
        left.extend(named::<ConfigMap>(shop).await?);
        left.extend(named::<Service>(shop).await?);
        left.extend(named::<ServiceAccount>(shop).await?);
        left.extend(named::<PodDisruptionBudget>(shop).await?);
        left.extend(named::<StageRun>(shop).await?);
        Ok(if left.is_empty() {
            Look::Done(())
        } else {
            Look::Waiting(format!("left: {}", left.join(", ")))
        })
    })
    .await
    .context("the deletion leaves something behind")
}

async fn named<K>(shop: &Shop<'_>) -> Result<Vec<String>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<K> = shop.world.cluster.api(&shop.namespace);
    let selector = ListParams::default().labels(&format!("{}={}", labels::PIPELINE, shop.name));
    let objects = api.list(&selector).await?;
    Ok(objects
        .items
        .iter()
        .map(|object| format!("{} {}", K::kind(&()), object.name_any()))
        .collect())
}
