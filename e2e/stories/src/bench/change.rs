//! A change of a thousand rows at a short and at a hundred times longer history: what is rewritten and how long the runs take. Touches all of the stack.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::api::ListParams;
use medallion_crds::{Stage, StageRun};

use super::plan;
use super::table::Table;
use crate::event::Event;
use crate::reference::{GOLD, SILVER};
use crate::shop::Shop;
use crate::tests::many;
use crate::waiting::{Look, in_the_end};
use crate::world::World;

/// Days of the short history, lines of a day, and how much longer the long one is.
const DAYS: usize = 4;
const LINES: usize = 500;
const LONGER: usize = 100;
const CHANGED: usize = 1_000;
const LIMIT: Duration = Duration::from_hours(1);

pub async fn measure(world: &World, table: &mut Table) -> Result<()> {
    for (name, factor) in [("short", 1), ("long", LONGER)] {
        let shop = Shop::open_afresh(world, plan(name)?).await?;
        let days = DAYS * factor;
        let history = many("history", days * LINES, days)?;
        bring(&shop, &history, history.len()).await?;
        let before = snapshot(&shop).await?;
        // The first days of the history once more, two of them: new lines of days that both histories have.
        let change = many("change", CHANGED, 2)?;
        bring(&shop, &change, history.len() + change.len()).await?;
        let after = snapshot(&shop).await?;
        let title = format!("{CHANGED} new lines on {} lines of history", history.len());
        for stage in [Stage::Silver, Stage::Gold, Stage::Warehouse] {
            let seconds = newest_run_seconds(&shop, stage).await?;
            table.row(
                format!("{title}: {stage} run"),
                format!("{seconds:.1} s"),
                "must not grow with the history",
            );
        }
        for ((name, files), (_, files_after)) in before.iter().zip(&after) {
            let (old, new): (BTreeSet<_>, BTreeSet<_>) = (files.iter().collect(), files_after.iter().collect());
            let limit = if name == "customer_value" {
                "replaced whole"
            } else {
                "2 partitions touched"
            };
            let figure = format!("{} of {} files", old.difference(&new).count(), old.len());
            table.row(format!("{title}: {name} rewritten"), figure, limit);
        }
        shop.close().await?;
    }
    Ok(())
}

/// Posts events and waits until the warehouse has as many lines and every stage rests.
async fn bring(shop: &Shop<'_>, events: &[Event], lines: usize) -> Result<()> {
    let step = shop
        .world
        .progress
        .step(format!("{} events to the warehouse", events.len()));
    shop.gateway()
        .await?
        .deliver_all(events, 200, 8, LIMIT, |done| step.say(format!("{done} posted")))
        .await?;
    let warehouse = shop.world.warehouse().await?;
    let query = format!(
        "SELECT coalesce(sum(line_count), 0)::bigint FROM {}.orders",
        crate::warehouse::quoted(shop.schema())
    );
    in_the_end(&step, LIMIT, Duration::from_secs(1), async || {
        let there = warehouse.number(&query).await?;
        Ok(if there >= i64::try_from(lines)? {
            Look::Done(())
        } else {
            Look::Waiting(format!("{there} of {lines} lines in the warehouse"))
        })
    })
    .await?;
    shop.wait_until_idle(&step, LIMIT).await?;
    step.done("");
    Ok(())
}

async fn snapshot(shop: &Shop<'_>) -> Result<Vec<(String, Vec<String>)>> {
    let mut referee = shop.world.referee().await;
    let silver = SILVER.map(|table| (table, shop.silver(table)));
    let gold = GOLD.map(|table| (table, shop.gold(table)));
    let mut all = Vec::new();
    for (table, url) in silver.into_iter().chain(gold) {
        let files = referee
            .files(&url, None)
            .await?
            .files
            .into_iter()
            .map(|file| file.path)
            .collect();
        all.push((table.to_owned(), files));
    }
    Ok(all)
}

async fn newest_run_seconds(shop: &Shop<'_>, stage: Stage) -> Result<f64> {
    let runs = shop.runs().list(&ListParams::default()).await?;
    let of_stage = runs.items.iter().filter(|run| run.spec.stage == stage);
    let newest: &StageRun = of_stage
        .max_by_key(|run| run.metadata.name.clone())
        .with_context(|| format!("no run of {stage}"))?;
    let status = newest.status.as_ref().context("a run has a status")?;
    let (start, end) = (
        status.start_time.as_ref().context("it has begun")?,
        status.completion_time.as_ref().context("it has ended")?,
    );
    Ok((end.0 - start.0).total(jiff::Unit::Second)?)
}
