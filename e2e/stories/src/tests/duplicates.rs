//! Story 3: the same file twice, a client that repeats after a lost answer, an event id used again: each event counts once. Then its Kafka user changes under running pods, and none of its secrets has got out on the way.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::credentials;
use super::till::{Ledger, altered, come_to_rest};
use crate::doors::SHARED_SECRET;
use crate::entrance::{CREDENTIALS, Entrance};
use crate::event::Event;
use crate::leaks;
use crate::purchases::{Purchases, shipped};
use crate::shop::{Plan, Shop};
use crate::world::World;

/// Enough for several batches and partitions.
const LINES: usize = 600;
/// What its pods are given, by Secret and key: it has one of each kind.
const SECRETS: [(&str, &str); 3] = [
    (CREDENTIALS, "password"),
    (SHARED_SECRET, "AWS_SECRET_ACCESS_KEY"),
    ("shop-gateway", "tokens"),
];

pub async fn run(world: &World) -> Result<Vec<Shop<'_>>> {
    let shop = Shop::open_afresh(world, Plan::named("duplicates")?.by(Entrance::Scram)).await?;
    let purchases = Purchases::read(&shipped())?;
    let lines: Vec<Event> = purchases.events.iter().step_by(12).take(LINES).cloned().collect();
    let mut ledger = Ledger::default();
    ledger.post(&shop, &lines).await?;
    let first = ledger.settle(&shop).await?;
    ensure!(
        first.duplicates() == 0,
        "{} duplicates before anything was repeated",
        first.duplicates()
    );
    // A run that is still under way may commit without rows, and is no duplicate's doing.
    come_to_rest(&shop).await?;
    let before = versions(&shop).await?;

    world.progress.line("the same lines again");
    ledger.post(&shop, &lines).await?;
    let second = wait_for_records(&shop, &ledger, first.topic.len() * 2).await?;
    let repeated = i64::try_from(first.topic.len())?;
    ensure!(
        second.duplicates() == repeated,
        "{} duplicates instead of {repeated}",
        second.duplicates()
    );
    ensure!(second.bronze == first.bronze, "Bronze has changed by duplicates alone");
    ensure!(
        versions(&shop).await? == before,
        "duplicates made a layer commit: {before:?} is now {:?}",
        versions(&shop).await?
    );

    world.progress.line("a client loses the answer and sends again");
    let fresh: Vec<Event> = purchases.events.iter().skip(1).step_by(120).take(40).cloned().collect();
    post_without_reading(&shop, &fresh).await?;
    let delivery = ledger.post(&shop, &fresh).await?;
    let new = i64::try_from(delivery.accepted().count())?;
    let third = ledger.settle(&shop).await?;
    let rows: i64 = third.bronze.values().sum();
    ensure!(
        rows == second.bronze.values().sum::<i64>() + new,
        "{rows} rows in Bronze"
    );

    world.progress.line("an event id is used again with another payload");
    let reused = altered(&lines[0], &[("quantity", json!(4711)), ("total_amount", json!(1.5))])?;
    ledger.post(&shop, &[reused]).await?;
    let fourth = ledger.settle_with_dead_letters(&shop, 1).await?;
    ensure!(
        fourth.dead_letter_classes() == [("EventIdReused".to_owned(), 1)].into(),
        "dead letters are {:?}",
        fourth.dead_letters
    );
    ensure!(fourth.bronze == third.bronze, "the first payload stays");
    // A dead letter stays what it was: it is settled with it from now on.
    let more: Vec<Event> = purchases.events.iter().skip(2).step_by(120).take(40).cloned().collect();
    credentials::change(&shop, &mut ledger, &more).await?;
    leaks::search(&shop, &SECRETS).await?;
    Ok(vec![shop])
}

/// Versions of Bronze and of the tables that a repetition must not touch.
async fn versions(shop: &Shop<'_>) -> Result<Vec<i64>> {
    let mut referee = shop.world.referee().await;
    let mut versions = Vec::new();
    for url in [
        shop.silver("order_lines"),
        shop.gold("orders"),
        shop.gold("customer_value"),
    ] {
        let state = referee.table("version_of", &url, None).await?;
        versions.push(state.with_context(|| format!("there is no table at {url}"))?.version);
    }
    Ok(versions)
}

/// A record that changes nothing leaves no trace behind Kafka: the consumer's lag says when it is through.
async fn wait_for_records(shop: &Shop<'_>, ledger: &Ledger, records: usize) -> Result<crate::account::Account> {
    let step = shop.world.progress.step("the consumer reads the repetition");
    shop.wait_until_idle(&step, super::till::PATIENCE).await?;
    step.done("");
    let account = ledger.settle(shop).await?;
    ensure!(
        account.topic.len() >= records,
        "the topic has {} records instead of {records}",
        account.topic.len()
    );
    Ok(account)
}

/// Sends a whole request, reads nothing and goes away.
async fn post_without_reading(shop: &Shop<'_>, events: &[Event]) -> Result<()> {
    let url = shop.gateway().await?.url().to_owned();
    let address = url
        .trim_start_matches("http://")
        .split('/')
        .next()
        .context("an address")?;
    let body = events
        .iter()
        .map(|event| event.text.as_str())
        .collect::<Vec<_>>()
        .join("\n");
    let request = format!(
        "POST /v1/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n{body}",
        shop.token,
        body.len(),
    );
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(request.as_bytes()).await?;
    connection.flush().await?;
    // Closing at once could cut the request off before it is read; its end is announced, the answer is not awaited.
    Ok(connection.shutdown().await?)
}
