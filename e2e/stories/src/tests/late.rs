//! Story 4: late events, updates, an order that moves to another day: the latest wins, Gold follows, and only the touched days are rewritten.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::till::{Ledger, altered, come_to_rest, field};
use crate::entrance::Entrance;
use crate::event::Event;
use crate::purchases::{Purchases, shipped};
use crate::shop::{Plan, Shop};
use crate::world::World;

const FIRST_DAY: &str = "2010-12-01";
const SECOND_DAY: &str = "2010-12-02";
const THIRD_DAY: &str = "2010-12-03";

/// Files by partition, for each table that is replaced by partitions.
type Files = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

pub async fn run(world: &World) -> Result<Vec<Shop<'_>>> {
    let shop = Shop::open_afresh(world, Plan::named("late")?.by(Entrance::MutualTls)).await?;
    let purchases = Purchases::read(&shipped())?;
    let lines: Vec<Event> = purchases.events.iter().step_by(15).cloned().collect();
    let mut ledger = Ledger::default();
    let delivery = ledger.post(&shop, &lines).await?;
    let before = settled(&ledger, &shop).await?;
    let accepted: BTreeSet<_> = delivery.accepted().map(|(identity, _)| identity.clone()).collect();
    let of_day = |day: &str| -> Result<Vec<&Event>> {
        let mut found = Vec::new();
        for line in lines.iter().filter(|line| accepted.contains(&line.identity)) {
            if field(line, "ordered_at")?
                .as_str()
                .is_some_and(|time| time.starts_with(day))
            {
                found.push(line);
            }
        }
        Ok(found)
    };
    let (first, second) = (of_day(FIRST_DAY)?, of_day(SECOND_DAY)?);
    ensure!(
        first.len() > 3 && second.len() > 3,
        "the slice has lines on the first two days"
    );

    world
        .progress
        .line("events of the past come late: nothing that is newer changes");
    let late = altered(
        first[0],
        &[
            ("event_id", json!("late")),
            ("quantity", json!(1000)),
            ("ordered_at", json!("2010-12-01T00:30:00Z")),
        ],
    )?;
    let forgotten = altered(
        first[1],
        &[
            ("event_id", json!("old")),
            ("order_id", json!("000001-1")),
            ("ordered_at", json!("2010-12-01T00:10:00Z")),
        ],
    )?;
    ledger.post(&shop, &[late, forgotten]).await?;
    let after_late = settled(&ledger, &shop).await?;
    only(&before, &after_late, &[FIRST_DAY])?;

    world.progress.line("a line is corrected on its day");
    let corrected = altered(
        second[0],
        &[
            ("event_id", json!("corrected")),
            ("quantity", json!(3)),
            ("ordered_at", json!("2010-12-02T23:00:00Z")),
        ],
    )?;
    ledger.post(&shop, &[corrected]).await?;
    let after_correction = settled(&ledger, &shop).await?;
    only(&after_late, &after_correction, &[SECOND_DAY])?;

    world
        .progress
        .line("a line moves to another day, its newest event arriving first");
    let moved = altered(
        first[2],
        &[
            ("event_id", json!("moved")),
            ("ordered_at", json!("2010-12-02T10:00:00Z")),
        ],
    )?;
    let between = altered(
        first[2],
        &[
            ("event_id", json!("between")),
            ("ordered_at", json!("2010-12-01T23:30:00Z")),
        ],
    )?;
    ledger.post(&shop, &[moved]).await?;
    ledger.settle(&shop).await?;
    ledger.post(&shop, &[between]).await?;
    only(
        &after_correction,
        &settled(&ledger, &shop).await?,
        &[FIRST_DAY, SECOND_DAY],
    )?;
    Ok(vec![shop])
}

/// The files once everything has arrived and nothing is under way. An event that changes no row leaves the tables as they are expected to
/// be before Silver has taken it, and the run that takes it rewrites its day still.
async fn settled(ledger: &Ledger, shop: &Shop<'_>) -> Result<Files> {
    ledger.settle(shop).await?;
    come_to_rest(shop).await?;
    files(shop).await
}

async fn files(shop: &Shop<'_>) -> Result<Files> {
    let mut referee = shop.world.referee().await;
    let tables = [
        ("silver", "order_lines"),
        ("gold", "orders"),
        ("gold", "daily_sales"),
        ("gold", "product_sales"),
        ("gold", "customer_days"),
    ];
    let mut all = Files::new();
    for (layer, table) in tables {
        let url = if layer == "silver" {
            shop.silver(table)
        } else {
            shop.gold(table)
        };
        let partitions: &mut BTreeMap<_, BTreeSet<_>> = all.entry(table.to_owned()).or_default();
        for file in referee.files(&url, None).await.context(table)?.files {
            partitions.entry(file.partition).or_default().insert(file.path);
        }
    }
    Ok(all)
}

/// Every file of a partition that was not touched is the one that was there before.
fn only(before: &Files, after: &Files, touched: &[&str]) -> Result<()> {
    for (table, partitions) in before {
        ensure!(
            partitions.contains_key(THIRD_DAY),
            "{table} has no rows on {THIRD_DAY}: {:?}",
            partitions.keys()
        );
        let now = after.get(table).with_context(|| format!("{table} is gone"))?;
        for (partition, files) in partitions {
            let same = now.get(partition) == Some(files);
            let may_change = touched.contains(&partition.as_str());
            ensure!(
                same || may_change,
                "{table}: partition {partition} was rewritten, though only {touched:?} were touched"
            );
        }
    }
    // What was touched must have changed somewhere, or the comparison above shows nothing.
    for day in touched {
        let changed = before.iter().any(|(table, partitions)| {
            after
                .get(table)
                .is_some_and(|now| now.get(*day) != partitions.get(*day))
        });
        ensure!(changed, "nothing was rewritten on {day}");
    }
    Ok(())
}
