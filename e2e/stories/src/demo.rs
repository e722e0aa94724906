//! `stories demo`: the purchases of a file from HTTP to the warehouse, watched, and a true account of them at the end. Touches all of the stack.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::{Timestamp, Unit};
use serde_json::Value;

use crate::account::Account;
use crate::gateway::Delivery;
use crate::helm::Installation;
use crate::purchases::Purchases;
use crate::reference;
use crate::shop::{Plan, Shop, in_words};
use crate::visibility::{PERIOD, Sampler, quantile};
use crate::waiting::{Look, in_the_end};
use crate::world::World;

const BATCH: usize = 100;
const CONCURRENCY: usize = 4;
const PATIENCE: Duration = Duration::from_mins(2);
const ARRIVAL: Duration = Duration::from_mins(10);

/// How the purchases of a file went through a pipeline.
pub struct Passage {
    pub delivery: Delivery,
    pub account: Account,
    /// Rows of the lake's and the warehouse's tables.
    pub rows: Vec<(String, i64)>,
    /// Seconds from the gateway's answer to the warehouse, sorted; empty when nothing was new.
    pub delays: Vec<f64>,
    pub first_post: Timestamp,
    pub last_row: Option<Timestamp>,
    /// What is not as it should be.
    pub faults: Vec<String>,
}

pub async fn demo(world: &World, file: &Path) -> Result<()> {
    world.install(Installation::default()).await?;
    let shop = Shop::open(world, Plan::example()?).await?;
    let step = world
        .progress
        .step(format!("pipeline {}/{} becomes ready", shop.namespace, shop.name));
    shop.wait_until_ready(&step).await?;
    step.done("");
    let purchases = Purchases::read(file)?;
    let passage = pass(&shop, &purchases).await?;
    print_account(&shop, &purchases, &passage);
    print_surroundings(&shop).await?;
    if !passage.faults.is_empty() {
        bail!(
            "the stores are not as they should be:\n  {}",
            passage.faults.join("\n  ")
        );
    }
    Ok(())
}

/// Posts a file's purchases, waits until all of them have arrived, and reads the stores.
pub async fn pass(shop: &Shop<'_>, purchases: &Purchases) -> Result<Passage> {
    let world = shop.world;
    let folder = world.stack.home().join(&shop.namespace);
    std::fs::create_dir_all(&folder)?;
    let (lines_wanted, order_of) = {
        let mut referee = world.referee().await;
        reference::expect_file(&mut referee, purchases).await?;
        (
            referee.number("SELECT count(*) FROM purchase_lines").await?,
            orders_of_lines(&mut referee).await?,
        )
    };
    let sampler = Sampler::start(&world.stack, shop.schema()).await?;

    let step = world
        .progress
        .step(format!("posting {} purchase lines", purchases.events.len()));
    let total = purchases.events.len();
    let gateway = shop.gateway().await?;
    let first_post = Timestamp::now();
    let delivery = gateway
        .deliver_all(&purchases.events, BATCH, CONCURRENCY, PATIENCE, |done| {
            step.say(format!("{done} of {total}"));
        })
        .await?;
    let (accepted, refused) = (delivery.accepted().count(), delivery.refused().count());
    step.done(format!(
        "{accepted} accepted, {refused} refused, {} requests repeated",
        delivery.repeats
    ));

    let step = world.progress.step("from Kafka to the warehouse");
    let arrival = in_the_end(&step, ARRIVAL, PERIOD, async || {
        let lines = sampler.lines();
        let pipeline = shop.pipeline().await?;
        Ok(if lines >= lines_wanted {
            Look::Done(())
        } else {
            Look::Waiting(format!(
                "{lines} of {lines_wanted} lines in the warehouse; {}",
                in_words(&pipeline)
            ))
        })
    });
    arrival
        .await
        .context("not everything that was accepted has reached the warehouse")?;
    step.done(format!("{lines_wanted} lines"));

    let step = world.progress.step("the stages come to rest");
    shop.wait_until_idle(&step, ARRIVAL).await?;
    step.done("");

    let step = world.progress.step("reading the stores");
    let account = Account::take(shop).await?;
    let mut faults = account.faults();
    faults.extend(account.faults_of(&delivery));
    let mut referee = world.referee().await;
    if account.of_others(&delivery).is_empty() {
        faults.extend(reference::compare_all(&mut referee, shop, &folder).await?);
        faults.extend(refusals_that_differ(
            &reference::refused(&mut referee).await?,
            &delivery,
        ));
    } else {
        // Purchases of the reader's own stand among them: Gold can only be compared with the warehouse.
        reference::load(&mut referee, shop).await?;
        faults.extend(reference::compare_warehouse(&mut referee, shop, &folder).await?);
    }
    let mut rows = vec![("bronze".to_owned(), account.bronze.values().sum())];
    rows.extend(reference::load(&mut referee, shop).await?);
    for table in shop.warehouse_tables() {
        let name = format!("warehouse_{table}");
        let count = referee.number(&format!("SELECT count(*) FROM {name}")).await?;
        rows.push((name, count));
    }
    step.done("");

    let mut accepted: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    for (identity, at) in delivery.accepted() {
        if let Some(order) = order_of.get(&identity.id) {
            accepted.entry(order.clone()).or_default().push(at);
        }
    }
    let (delays, last_row) = sampler.delays(&accepted);
    Ok(Passage {
        delivery,
        account,
        rows,
        delays,
        first_post,
        last_row,
        faults,
    })
}

/// Event id to order number, for the lines that the table of orders counts.
async fn orders_of_lines(referee: &mut crate::referee::Referee) -> Result<BTreeMap<String, String>> {
    let rows = referee.sql("SELECT event_id, order_number FROM purchase_lines").await?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(rows.iter().map(|row| (text(row.first()), text(row.get(1)))).collect())
}

/// What the gateway refused against what the reference says it must refuse.
fn refusals_that_differ(wanted: &[(crate::event::Identity, String)], delivery: &Delivery) -> Vec<String> {
    let refused: BTreeMap<_, _> = delivery.refused().collect();
    let wanted: BTreeMap<_, _> = wanted.iter().map(|(identity, reason)| (identity, reason)).collect();
    let too_many = refused.iter().filter(|(identity, _)| !wanted.contains_key(*identity));
    let too_few = wanted.iter().filter(|(identity, _)| !refused.contains_key(*identity));
    too_many
        .map(|(identity, reason)| format!("{identity} was refused ({reason}), which the reference does not expect"))
        .chain(too_few.map(|(identity, reason)| format!("{identity} was not refused, though it has {reason}")))
        .take(10)
        .collect()
}

fn print_account(shop: &Shop<'_>, purchases: &Purchases, passage: &Passage) {
    let Passage {
        delivery,
        account,
        rows,
        ..
    } = passage;
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for (_, reason) in delivery.refused() {
        *refused.entry(reason).or_default() += 1;
    }
    let others = account.of_others(delivery).len();
    println!(
        "\nThe account, from the stores of {}/{} themselves",
        shop.namespace, shop.name
    );
    line(
        "lines read",
        purchases.events.len(),
        &purchases.path.file_name().unwrap_or_default().to_string_lossy(),
    );
    line("refused by the contract", delivery.refused().count(), &listed(&refused));
    line(
        "records in the topic",
        account.topic.len(),
        &if others > 0 {
            format!("{others} of them not from this file")
        } else {
            String::new()
        },
    );
    line(
        "dead-lettered",
        account.dead_letters.len(),
        &listed(&account.dead_letter_classes()),
    );
    line(
        "duplicates",
        account.duplicates(),
        "records in the topic less dead letters and Bronze",
    );
    for (table, count) in rows {
        line(&format!("rows in {}", table.replacen('_', " ", 1)), count, "");
    }
    line("unaccounted", account.unaccounted(delivery).len(), "");
    let (Some(last), false) = (passage.last_row, passage.delays.is_empty()) else {
        println!("  {:<34} every line was there already", "first POST to last row");
        return;
    };
    let seconds = (last - passage.first_post).total(Unit::Second).unwrap_or_default();
    println!("  {:<34} {seconds:>7.1} s", "first POST to last row");
    let (half, most) = (quantile(&passage.delays, 0.5), quantile(&passage.delays, 0.95));
    let lag = PERIOD.as_secs_f64();
    println!(
        "  {:<34} {half:>7.1} s p50, {most:.1} s p95   seen {lag} s late at most",
        "accepted to visible in the warehouse"
    );
}

fn line(what: &str, count: impl std::fmt::Display, note: &str) {
    println!("  {}", format!("{what:<34} {count:>7}   {note}").trim_end());
}

fn listed(counts: &BTreeMap<String, usize>) -> String {
    counts
        .iter()
        .map(|(what, count)| format!("{count} {what}"))
        .collect::<Vec<_>>()
        .join(", ")
}

async fn print_surroundings(shop: &Shop<'_>) -> Result<()> {
    let stack = &shop.world.stack;
    let kubeconfig = stack.kubeconfig.display();
    let kubectl = stack.bin.kubectl.display();
    let mut get = tokio::process::Command::new(&stack.bin.kubectl);
    get.args(["get", "mpl,srun", "--namespace", &shop.namespace])
        .env("KUBECONFIG", &stack.kubeconfig)
        .env("HOME", stack.home());
    let shown = get.output().await?;
    println!(
        "\n$ kubectl get mpl,srun --namespace {}\n{}",
        shop.namespace,
        String::from_utf8_lossy(&shown.stdout)
    );
    println!("Everything is left running. Look around:");
    println!("  export KUBECONFIG={kubeconfig}        # kubectl is {kubectl}");
    println!("  kubectl get mpl --namespace {} --watch", shop.namespace);
    println!("  kubectl describe mpl {} --namespace {}", shop.name, shop.namespace);
    println!(
        "  psql {} --command 'SELECT * FROM {}.daily_sales ORDER BY 1'",
        stack.postgres.url,
        shop.schema()
    );
    println!(
        "  S3: {} (path style, {} / {}), buckets {}, {}, {}",
        stack.s3.endpoint,
        stack.aws.access_key_id,
        stack.aws.secret_access_key,
        shop.plan.pipeline.spec.lake.bronze.bucket,
        shop.plan.pipeline.spec.lake.silver.bucket,
        shop.plan.pipeline.spec.lake.gold.bucket,
    );
    println!("A purchase of your own, and where it arrives a few seconds later:");
    println!(
        "  curl --header 'Authorization: Bearer {}' --json '{{\"event_id\":\"mine-1\",\"order_id\":\"MINE-1\",\"line_number\":1,\
         \"product_id\":\"85123A\",\"description\":\"WHITE HANGING HEART T-LIGHT HOLDER\",\"quantity\":2,\"unit_price\":2.55,\
         \"total_amount\":5.10,\"country\":\"United Kingdom\",\"ordered_at\":\"2010-12-03T12:00:00Z\"}}' {}",
        shop.token,
        shop.gateway().await?.url(),
    );
    println!(
        "  psql {} --command \"SELECT * FROM {}.orders WHERE order_number = 'MINE'\"",
        stack.postgres.url,
        shop.schema()
    );
    Ok(())
}
