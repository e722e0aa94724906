//! Story 5: what goes wrong is said in the status, with reason and fix, leaves others alone, and is over after the fix.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use medallion_crds::pipeline::{DependencyState, Management, Retry, StageState};
use medallion_crds::{REQUESTED_AT_ANNOTATION, Stage};
use serde_json::json;

use super::till::{Ledger, PATIENCE, Sale};
use crate::dbt_image::{Change, derive};
use crate::event::Event;
use crate::helm::PURCHASES;
use crate::progress::Step;
use crate::purchases::{Purchases, shipped};
use crate::shop::{Plan, Shop, in_words};
use crate::waiting::{Look, in_the_end};
use crate::world::World;

/// The shop's project with a model that cannot run, and with a test that some purchases fail.
const BROKEN: &str = "purchases-broken";
const STRICT: &str = "purchases-strict";
const BAD_SQL: &str = "select no_such_column from {{ ref('int_order_line_latest') }}\n";
const FORBIDDEN: &str = "FORBIDDEN";
const STRICT_TEST: &str = "select * from {{ ref('order_lines') }} where product_id = 'FORBIDDEN'\n";
const FAILURE: Duration = Duration::from_mins(3);

/// What the allow-list must have for it: the projects' names and images.
pub async fn projects(world: &World) -> Result<Vec<(String, String)>> {
    let base = world
        .stack
        .images
        .dbt_purchases
        .clone()
        .context("the stack has no dbt image")?;
    let bad_sql = Change::File {
        path: "models/marts/silver/order_lines.sql",
        text: BAD_SQL,
    };
    let strict = Change::File {
        path: "tests/nothing_forbidden_was_sold.sql",
        text: STRICT_TEST,
    };
    Ok(vec![
        (
            BROKEN.to_owned(),
            derive(&world.stack, &base, "dbt-purchases-broken", &bad_sql).await?,
        ),
        (
            STRICT.to_owned(),
            derive(&world.stack, &base, "dbt-purchases-strict", &strict).await?,
        ),
    ])
}

pub async fn run(world: &World) -> Result<Vec<Shop<'_>>> {
    let mut plan = Plan::named("faults")?;
    let spec = &mut plan.pipeline.spec;
    spec.dead_letters.max_count = 0;
    STRICT.clone_into(&mut spec.dbt.project);
    let quick = Retry {
        limit: 1,
        backoff_seconds: 1,
        max_backoff_seconds: 1,
    };
    spec.stages.silver.retry = quick.clone();
    spec.stages.gold.retry = quick.clone();
    if let Some(warehouse) = &mut spec.stages.warehouse {
        warehouse.retry = quick;
    }
    let shop = Shop::open_afresh(world, plan).await?;
    let mut ledger = Ledger::default();
    let purchases = Purchases::read(&shipped())?;
    let mut parts = purchases.events.chunks(60).step_by(20).map(<[Event]>::to_vec);
    ledger.post(&shop, &parts.next().context("lines")?).await?;

    poison(&shop, &mut ledger).await?;
    failing_test(&shop, &mut ledger).await?;
    bad_sql_in_a_model(&shop, &mut ledger, &parts.next().context("lines")?).await?;
    refusing_warehouse(&shop, &mut ledger, &parts.next().context("lines")?).await?;
    let other = missing_things(world, &shop).await?;
    Ok(vec![other, shop])
}

/// A record that can never succeed is dead-lettered once, is counted, and delays nobody, neither before nor behind it.
async fn poison(shop: &Shop<'_>, ledger: &mut Ledger) -> Result<()> {
    shop.world.progress.line("poison straight into Kafka");
    let topic = &shop.plan.pipeline.spec.kafka.topic;
    shop.world
        .kafka
        .put(topic, "poison", b"{ this is not JSON", &[])
        .await?;
    let sale = Sale {
        order: "900001",
        line: 1,
        event: "after-poison",
        product: "22111",
        quantity: 4,
        at: "2010-12-02T09:00:00Z",
    };
    ledger.post(shop, &[sale.event()?]).await?;
    let account = ledger.settle_with_dead_letters(shop, 1).await?;
    ensure!(
        account.dead_letters.len() == 1,
        "one record is one dead letter: {:?}",
        account.dead_letters
    );
    let step = shop.world.progress.step("the status counts it");
    let healthy = shop
        .wait_for(&step, "Healthy", "False", Some("DeadLettersOverBudget"), PATIENCE)
        .await?;
    let status = shop
        .pipeline()
        .await?
        .status
        .and_then(|status| status.dead_letters)
        .context("status.deadLetters is absent")?;
    let newest = status.newest.first().context("status.deadLetters.newest is empty")?;
    ensure!(
        status.count == 1 && newest.source.starts_with(topic.as_str()),
        "status says {status:?}"
    );
    step.done(format!("{}: {}", healthy.reason, newest.message));
    // The budget is the person's: raised, the pipeline is healthy again with the letter still there.
    shop.change(json!({"spec": {"deadLetters": {"maxCount": 10}}})).await?;
    let step = shop.world.progress.step("healthy with a larger budget");
    shop.wait_for(&step, "Healthy", "True", None, PATIENCE).await?;
    step.done("");
    Ok(())
}

/// What does not pass the project's tests is not published; a correction of the data heals it.
async fn failing_test(shop: &Shop<'_>, ledger: &mut Ledger) -> Result<()> {
    shop.world.progress.line("a dbt test fails");
    let silver = shop.silver("order_lines");
    let before = shop.version_of(&silver).await?;
    let sale = Sale {
        order: "900002",
        line: 1,
        event: "forbidden",
        product: FORBIDDEN,
        quantity: 1,
        at: "2010-12-02T09:00:00Z",
    };
    ledger.post(shop, &[sale.event()?]).await?;
    let step = shop.world.progress.step("Silver says which test");
    let failed = shop
        .wait_for_stage(&step, Stage::Silver, FAILURE, |stage| stage.state == StageState::Failed)
        .await?;
    let words = failed.message.clone().unwrap_or_default();
    ensure!(
        words.contains("nothing_forbidden_was_sold"),
        "the message should name the test: {words}"
    );
    ensure!(
        shop.version_of(&silver).await? == before,
        "Silver was published although a test failed"
    );
    says_unhealthy(shop, &step).await?;
    step.done(words);
    let sale = Sale {
        event: "allowed",
        product: "22111",
        at: "2010-12-02T10:00:00Z",
        ..sale
    };
    ledger.post(shop, &[sale.event()?]).await?;
    ledger.settle(shop).await.map(drop)
}

/// A model that cannot run is named; the project that was good before heals it.
async fn bad_sql_in_a_model(shop: &Shop<'_>, ledger: &mut Ledger, lines: &[Event]) -> Result<()> {
    shop.world.progress.line("a model has bad SQL");
    shop.change(json!({"spec": {"dbt": {"project": BROKEN}}})).await?;
    ledger.post(shop, lines).await?;
    let step = shop.world.progress.step("Silver says which model and why");
    let failed = shop
        .wait_for_stage(&step, Stage::Silver, FAILURE, |stage| stage.state == StageState::Failed)
        .await?;
    let words = failed.message.clone().unwrap_or_default();
    ensure!(
        words.contains("order_lines") && words.contains("no_such_column"),
        "the message should name model and column: {words}"
    );
    step.done(words);
    shop.change(json!({"spec": {"dbt": {"project": PURCHASES}}})).await?;
    ledger.settle(shop).await.map(drop)
}

/// A warehouse that refuses holds nothing up before it; one request after the fix is enough.
async fn refusing_warehouse(shop: &Shop<'_>, ledger: &mut Ledger, lines: &[Event]) -> Result<()> {
    shop.world.progress.line("the warehouse refuses");
    let schema = shop.schema().to_owned();
    let fault = json!({"target": "COPY", "action": "fail", "count": 100, "contains": schema, "message": "disk full by order of the test"});
    faults(shop, http::Method::POST, &fault.to_string()).await?;
    let outcome = refused_by_the_warehouse(shop, ledger, lines).await;
    faults(shop, http::Method::DELETE, "").await?;
    outcome?;
    request_runs(shop).await?;
    ledger.settle(shop).await.map(drop)
}

async fn refused_by_the_warehouse(shop: &Shop<'_>, ledger: &mut Ledger, lines: &[Event]) -> Result<()> {
    ledger.post(shop, lines).await?;
    let step = shop.world.progress.step("the warehouse stage says why");
    let failed = shop
        .wait_for_stage(&step, Stage::Warehouse, FAILURE, |stage| {
            stage.state == StageState::Failed
        })
        .await?;
    let words = failed.message.clone().unwrap_or_default();
    ensure!(
        words.contains("disk full by order of the test"),
        "the message should be the warehouse's: {words}"
    );
    step.done(words);
    let step = shop.world.progress.step("Gold is not held up");
    shop.wait_for_stage(&step, Stage::Gold, PATIENCE, |stage| {
        stage.state == StageState::Idle && stage.oldest_pending_time.is_none()
    })
    .await?;
    step.done("");
    Ok(())
}

/// Nothing is there that another team should have made, and the gateway's Secret is missing too.
async fn missing_things<'w>(world: &'w World, other: &Shop<'_>) -> Result<Shop<'w>> {
    world.progress.line("topic, table, buckets and Secret are missing");
    let mut plan = Plan::named("missing")?;
    plan.pipeline.spec.management = Management::External;
    let shop = Shop::prepare_afresh(world, plan).await?;
    let secrets: Api<Secret> = world.cluster.api(&shop.namespace);
    secrets.delete("shop-gateway", &DeleteParams::default()).await?;
    shop.apply().await?;
    let step = world.progress.step("Ready says what is missing");
    let ready = shop
        .wait_for(&step, "Ready", "False", Some("DependenciesMissing"), PATIENCE)
        .await?;
    let topic = &shop.plan.pipeline.spec.kafka.topic;
    let dependencies = shop
        .pipeline()
        .await?
        .status
        .map(|status| status.dependencies)
        .unwrap_or_default();
    for name in [
        topic,
        &shop.plan.pipeline.spec.table.name,
        &shop.plan.pipeline.spec.lake.gold.bucket,
    ] {
        let found = dependencies.iter().find(|one| one.name.ends_with(&format!("/{name}")));
        let found = found.with_context(|| format!("status.dependencies does not have {name}: {dependencies:?}"))?;
        ensure!(
            found.state == DependencyState::Missing && found.message.is_some(),
            "{found:?} should be missing, with the fix"
        );
    }
    step.done(ready.message);

    shop.change(json!({"spec": {"management": "Managed"}})).await?;
    let step = world
        .progress
        .step("made by the provisioner; the Secret is missed next");
    let seen = in_the_end(&step, PATIENCE, Duration::from_millis(500), async || {
        let pipeline = shop.pipeline().await?;
        let words = in_words(&pipeline);
        Ok(if words.contains("shop-gateway") {
            Look::Done(words)
        } else {
            Look::Waiting(words)
        })
    });
    let words = seen.await.context("the status should name the missing Secret")?;
    step.done(words);
    shop.put_tokens().await?;
    let step = world.progress.step("heals by itself");
    shop.wait_until_ready(&step).await?;
    let neighbour = crate::shop::condition(&other.pipeline().await?, "Ready");
    ensure!(
        neighbour.is_some_and(|ready| ready.status == "True"),
        "the other pipeline suffered"
    );
    step.done("");
    Ok(shop)
}

async fn says_unhealthy(shop: &Shop<'_>, step: &Step) -> Result<()> {
    shop.wait_for(step, "Healthy", "False", None, PATIENCE).await.map(drop)
}

/// Runs of the batch stages now, one of each at most.
async fn request_runs(shop: &Shop<'_>) -> Result<()> {
    let before: BTreeSet<_> = shop.all_runs().await?.iter().map(ResourceExt::name_any).collect();
    let now = jiff::Timestamp::now().to_string();
    shop.change(json!({"metadata": {"annotations": {REQUESTED_AT_ANNOTATION: now}}}))
        .await?;
    let step = shop.world.progress.step("requested-at is handled");
    in_the_end(&step, PATIENCE, Duration::from_millis(500), async || {
        let handled = shop
            .pipeline()
            .await?
            .status
            .and_then(|status| status.last_handled_requested_at);
        Ok(if handled.as_ref() == Some(&now) {
            Look::Done(())
        } else {
            Look::Waiting(format!("status says {handled:?}"))
        })
    })
    .await?;
    let mut new = shop.all_runs().await?;
    new.retain(|run| !before.contains(&run.name_any()));
    let names: Vec<_> = new.iter().map(ResourceExt::name_any).collect();
    let stages: BTreeSet<_> = new.iter().map(|run| run.spec.stage).collect();
    ensure!(
        stages.len() == new.len(),
        "a stage ran more than once for one request: {names:?}"
    );
    step.done("");
    Ok(())
}

/// Tells the stand-in of the warehouse what to refuse.
async fn faults(shop: &Shop<'_>, method: http::Method, body: &str) -> Result<()> {
    let url = format!("{}/faults", shop.world.stack.redshift()?.endpoint);
    let request = http::Request::builder()
        .method(method)
        .uri(url)
        .header("content-type", "application/json");
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let response = client
        .request(request.body(Full::new(Bytes::from(body.to_owned())))?)
        .await?;
    let status = response.status();
    let text = response.into_body().collect().await?.to_bytes();
    ensure!(
        status.is_success(),
        "the stand-in answers {status}: {}",
        String::from_utf8_lossy(&text)
    );
    Ok(())
}
