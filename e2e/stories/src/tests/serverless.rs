//! Both functions in the place of their pods, from an HTTP event to the warehouse; then Bronze goes to the pod and back, with both at work. Touches all of the stack.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use medallion_crds::Stage;
use medallion_crds::pipeline::{IngestAuthentication, IngestAuthenticationType, RunsOn};
use serde_json::{Value, json};
use stand_ins::mapping::{Answer, Mapping};
use tokio::sync::watch;

use super::till::{Ledger, PATIENCE, many};
use crate::event::Event;
use crate::function::{Function, aws, http_event, package};
use crate::gateway::{Delivery, Fate};
use crate::shop::{Plan, Shop};
use crate::world::World;

const TIMEOUT: Duration = Duration::from_secs(20);
/// Most records of a batch.
const BATCH: usize = 100;
/// Lambda asks a shard about so often.
const POLL: Duration = Duration::from_millis(250);

pub async fn run(world: &World) -> Result<Vec<Shop<'_>>> {
    let mut plan = Plan::named("serverless")?;
    let stages = &mut plan.pipeline.spec.stages;
    let ingest = stages.ingest.as_mut().context("the example has ingest")?;
    (ingest.runs_on, ingest.replicas) = (RunsOn::Lambda, None);
    ingest.authentication = IngestAuthentication {
        kind: IngestAuthenticationType::None,
        bearer_tokens: None,
    };
    stages.bronze.runs_on = RunsOn::Lambda;
    let shop = Shop::open_afresh(world, plan).await?;
    held_by(&shop, RunsOn::Lambda).await?;

    let functions = &world.stack.functions;
    let gateway = start(&shop, "ingest", functions.gateway.as_ref()).await?;
    let exporter = start(&shop, "bronze", functions.exporter.as_ref()).await?;
    let table = &shop.plan.pipeline.spec.table.name;
    let stream = world.stores.stream(table).await?;
    let mut mapping = Mapping::begin(world.stores.streams().clone(), stream).await?;
    let (ending, is_ending) = watch::channel(false);
    let invoking = async {
        // Invocations that failed, by the function's own word for why.
        let mut failed = BTreeMap::<String, usize>::new();
        while !*is_ending.borrow() {
            for batch in mapping.round(BATCH).await? {
                let answer = Answer::of(&exporter.invoke(&batch).await?)?;
                if let Answer::Failed(reason, _) = &answer {
                    *failed.entry(reason.clone()).or_default() += 1;
                }
                mapping.answered(&batch, &answer)?;
            }
            tokio::time::sleep(POLL).await;
        }
        anyhow::Ok(failed)
    };
    let story = async {
        let outcome = story(&shop, &gateway).await;
        ending.send_replace(true);
        outcome
    };
    let (outcome, invoked) = tokio::join!(story, invoking);
    outcome?;
    let failed = invoked.with_context(|| format!("the mapping; the function's log: {}", exporter.log()))?;
    let refused = failed.get("StreamHeldElsewhere").copied().unwrap_or_default();
    ensure!(
        refused > 0,
        "the function was never refused, so the two were not at work at once: {failed:?}"
    );
    let others: Vec<_> = failed
        .keys()
        .filter(|reason| *reason != "StreamHeldElsewhere")
        .collect();
    ensure!(
        others.is_empty(),
        "invocations failed by {others:?}; {}",
        exporter.log()
    );
    exporter.stop().await?;
    gateway.stop().await?;
    Ok(vec![shop])
}

async fn story(shop: &Shop<'_>, gateway: &Function) -> Result<()> {
    let world = shop.world;
    let mut ledger = Ledger::default();
    world
        .progress
        .line("by functions: from the HTTP event to the warehouse");
    sold(shop, gateway, &mut ledger, "first").await?;
    ledger.settle(shop).await?;

    // There and back while events come all the time; the mapping never stops.
    for (name, holder) in [("pod", RunsOn::Cluster), ("function", RunsOn::Lambda)] {
        world.progress.line(format!("Bronze goes to the {name}, under load"));
        let (moved, sold) = tokio::join!(goes_to(shop, holder), load(shop, gateway, name));
        moved?;
        for events in sold? {
            ledger.keep(&events, accepted(&events));
        }
        ledger.settle(shop).await?;
    }
    Ok(())
}

async fn goes_to(shop: &Shop<'_>, holder: RunsOn) -> Result<()> {
    // Some events are under way.
    tokio::time::sleep(Duration::from_secs(2)).await;
    shop.change(json!({"spec": {"stages": {"bronze": {"runsOn": holder}}}}))
        .await?;
    held_by(shop, holder).await
}

async fn held_by(shop: &Shop<'_>, holder: RunsOn) -> Result<()> {
    let step = shop.world.progress.step(format!("{holder} holds the stream"));
    shop.wait_for_stage(&step, Stage::Bronze, PATIENCE, |stage| stage.held_by == Some(holder))
        .await?;
    step.done("");
    Ok(())
}

/// Sells for longer than a hand-over takes.
async fn load(shop: &Shop<'_>, gateway: &Function, name: &str) -> Result<Vec<Vec<Event>>> {
    let mut all = Vec::new();
    for number in 0..40 {
        let events = many(&format!("{name}-{number}-"), 20, 3)?;
        post(gateway, &events).await?;
        all.push(events);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let count: usize = all.iter().map(Vec::len).sum();
    shop.world
        .progress
        .line(format!("{count} events were accepted meanwhile"));
    Ok(all)
}

async fn sold(shop: &Shop<'_>, gateway: &Function, ledger: &mut Ledger, name: &str) -> Result<()> {
    let step = shop.world.progress.step("posting events to API Gateway");
    let events = many(&format!("{name}-"), 200, 5)?;
    for part in events.chunks(50) {
        post(gateway, part).await?;
        ledger.keep(part, accepted(part));
    }
    step.done(format!("{} accepted", events.len()));
    Ok(())
}

/// As API Gateway gives a client's request to the function; every event must be accepted.
async fn post(gateway: &Function, events: &[Event]) -> Result<()> {
    let lines: Vec<&str> = events.iter().map(|event| event.text.as_str()).collect();
    let fields = json!({"headers": {"content-type": "application/x-ndjson"}, "body": lines.join("\n")});
    let answer = gateway.invoke(&http_event(&fields)).await?;
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default();
    let results = body["results"].as_array().cloned().unwrap_or_default();
    ensure!(
        results.len() == events.len() && results.iter().all(|result| result["status"] == "accepted"),
        "{answer}; {}",
        gateway.log()
    );
    Ok(())
}

fn accepted(events: &[Event]) -> Delivery {
    let now = Timestamp::now();
    let fate = |event: &Event| (event.identity.clone(), Fate::Accepted { at: now });
    Delivery {
        fates: events.iter().map(fate).collect(),
        ..Delivery::default()
    }
}

async fn start(shop: &Shop<'_>, stage: &str, program: Option<&PathBuf>) -> Result<Function> {
    let program =
        program.with_context(|| format!("the workspace has no function for {stage}; `cargo local up` builds it"))?;
    let zip = package(shop, stage, program).await?;
    let size = std::fs::metadata(&zip)?.len();
    shop.world
        .progress
        .line(format!("function for {stage}: {size} bytes zipped"));
    let worker = if stage == "bronze" { "exporter" } else { "gateway" };
    let (stack, environment) = (&shop.world.stack, aws(shop.world, worker));
    Function::start(stack, &format!("serverless-{stage}"), &zip, TIMEOUT, &environment).await
}
