//! A change of a thousand rows at a short and at a hundred times longer history: what is rewritten and how long the runs take. Touches all of the stack.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use medallion_crds::{Stage, StageRun};
use serde_json::{Value, json};

use super::plan::plan;
use super::table::Table;
use crate::event::Event;
use crate::reference::{GOLD, SILVER};
use crate::shop::Shop;
use crate::tests::many;
use crate::waiting::{Look, in_the_end};
use crate::world::World;

/// Days of the short history, lines of a day, and how much longer the long one is.
const DAYS: usize = 4;
const LINES: usize = 125;
const LONGER: usize = 100;
const CHANGED: usize = 1_000;
/// The table of the shop's project that a run replaces whole.
const WHOLE: &str = "customer_value";
/// The model of all its rows, and the view of those that the run does not touch.
const WHOLE_FROM: &str = "int_customer_days_all";
const WHOLE_KEPT: &str = "gold.customer_days_kept";
const REPLACED_WHOLE: &str = "replaced whole";
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
            let run = newest_run(&shop, stage).await?;
            let all = seconds(&run)?;
            let (look_up, whole) = apart(&shop, &run).await?;
            table.row(
                format!("{title}: {stage} run"),
                format!("{:.1} s", all - look_up - whole),
                "must not grow with the history",
            );
            for (what, took) in [("looking up where keys live", look_up), (REPLACED_WHOLE, whole)] {
                if took > 0.0 {
                    let name = format!("{title}: {stage} run, beside that {what}");
                    table.row(name, format!("{took:.1} s"), "may grow");
                }
            }
        }
        for ((name, files), (_, files_after)) in before.iter().zip(&after) {
            let (old, new): (BTreeSet<_>, BTreeSet<_>) = (files.iter().collect(), files_after.iter().collect());
            let limit = if name == WHOLE {
                REPLACED_WHOLE
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

/// Posts events while no run starts, lets each stage take them in one run, and waits until every stage rests.
async fn bring(shop: &Shop<'_>, events: &[Event], lines: usize) -> Result<()> {
    let wanted = i64::try_from(lines)?;
    shop.change(json!({"spec": {"suspend": true}})).await?;
    let step = shop.world.progress.step(format!("{} events to Bronze", events.len()));
    shop.gateway()
        .await?
        .deliver_all(events, 200, 8, LIMIT, |done| step.say(format!("{done} posted")))
        .await?;
    in_the_end(&step, LIMIT, Duration::from_secs(2), async || {
        let bronze = shop.world.referee().await.table("bronze", &shop.bronze(), None).await?;
        let rows = bronze.map_or(0, |bronze| bronze.rows);
        Ok(if rows >= wanted {
            Look::Done(())
        } else {
            Look::Waiting(format!("{rows} of {wanted} rows in Bronze"))
        })
    })
    .await?;
    // Else a run would begin with a part of it, and another take the rest.
    shop.wait_until_bronze_is_known(&step, LIMIT).await?;
    step.done("");
    shop.change(json!({"spec": {"suspend": false}})).await?;
    let step = shop.world.progress.step("from Bronze to the warehouse");
    let warehouse = shop.world.warehouse().await?;
    let query = format!(
        "SELECT coalesce(sum(line_count), 0)::bigint FROM {}.orders",
        crate::warehouse::quoted(shop.schema())
    );
    in_the_end(&step, LIMIT, Duration::from_secs(1), async || {
        let there = warehouse.number(&query).await?;
        Ok(if there >= wanted {
            Look::Done(())
        } else {
            Look::Waiting(format!("{there} of {wanted} lines in the warehouse"))
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

async fn newest_run(shop: &Shop<'_>, stage: Stage) -> Result<StageRun> {
    let of_stage = shop
        .all_runs()
        .await?
        .into_iter()
        .filter(|run| run.spec.stage == Some(stage));
    of_stage
        .max_by_key(|run| run.metadata.name.clone())
        .with_context(|| format!("no run of {stage}"))
}

fn seconds(run: &StageRun) -> Result<f64> {
    let status = run.status.as_ref().context("a run has a status")?;
    let (start, end) = (
        status.start_time.as_ref().context("it has begun")?,
        status.completion_time.as_ref().context("it has ended")?,
    );
    Ok((end.0 - start.0).total(jiff::Unit::Second)?)
}

/// Seconds of a dbt run that looked up where keys live, and that made tables that are replaced whole, as the run itself
/// has measured them and kept beside the tables; nothing for a load.
async fn apart(shop: &Shop<'_>, run: &StageRun) -> Result<(f64, f64)> {
    let folder = match run.spec.stage {
        Some(Stage::Silver) => shop.silver("_runs"),
        Some(Stage::Gold) => shop.gold("_runs"),
        _ => return Ok((0.0, 0.0)),
    };
    let uid = run.metadata.uid.as_deref().context("a run has a UID")?;
    let file = format!("{folder}/{uid}/*/steps.json");
    let look_up = "step.name LIKE 'looking up the keys of %'";
    let whole = format!(
        "step.name IN ('node {WHOLE}', 'writing {WHOLE}', 'committing {WHOLE}', 'node {WHOLE_FROM}', 'view {WHOLE_KEPT}')"
    );
    Ok((
        steps_took(shop, &file, look_up).await?,
        steps_took(shop, &file, &whole).await?,
    ))
}

async fn steps_took(shop: &Shop<'_>, file: &str, condition: &str) -> Result<f64> {
    let query = format!(
        "SELECT coalesce(sum(step.seconds), 0)::DOUBLE
         FROM (SELECT unnest(steps) AS step FROM read_json('{file}')) WHERE {condition}"
    );
    let rows = shop.world.referee().await.sql(&query).await?;
    let seconds = rows.first().and_then(|row| row.first()).and_then(Value::as_f64);
    seconds.with_context(|| format!("{file} has no times"))
}
