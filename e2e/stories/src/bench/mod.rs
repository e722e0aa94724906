//! `stories bench`: figures of the running product, each beside the raw limit of what is below it. Touches all of the stack.

mod change;
mod counters;
mod functions;
mod gateway;
mod idle;
pub mod operator;
mod plan;
pub mod sizes;
mod table;
mod workers;

use anyhow::{Context, Result, ensure};
use futures::future::LocalBoxFuture;

use crate::demo::pass;
use crate::helm::Installation;
use crate::purchases::{Purchases, shipped};
use crate::shop::Shop;
use crate::tests::check_names;
use crate::tests::conclusion::conclude;
use crate::visibility::quantile;
use crate::world::World;

use plan::plan;
use sizes::{PARTS, Sizes};
use table::{Goal, Table};

/// Measures the parts that are named, or those of the sizes; fails if a goal is missed.
pub async fn bench(world: &World, only: &[String], sizes: &Sizes) -> Result<()> {
    check_names(only, &PARTS)?;
    world.install(Installation::default()).await?;
    let mut table = Table::default();
    for part in PARTS {
        let is_wanted = if only.is_empty() {
            sizes.parts.contains(&part)
        } else {
            only.iter().any(|one| one == part)
        };
        if !is_wanted {
            continue;
        }
        world.progress.line(format!("bench {part}"));
        let measurement: LocalBoxFuture<'_, Result<()>> = match part {
            "passage" => Box::pin(passage(world, &mut table)),
            "gateway" => Box::pin(gateway::measure(world, &mut table, sizes)),
            "functions" => Box::pin(functions::measure(world, &mut table)),
            "workers" => Box::pin(workers::measure(world, &mut table)),
            "idle" => Box::pin(idle::measure(world, &mut table)),
            _ => Box::pin(change::measure(world, &mut table)),
        };
        measurement.await?;
    }
    println!("\n{table}");
    conclude("goals", table.goals(), table.missed())
}

/// The demo's lines, the way a user sees them.
async fn passage(world: &World, table: &mut Table) -> Result<()> {
    let shop = Shop::open_afresh(world, plan("passage")?).await?;
    let purchases = Purchases::read(&shipped())?;
    let passage = pass(&shop, &purchases).await?;
    ensure!(
        passage.faults.is_empty(),
        "the stores are not as they should be: {}",
        passage.faults.join("; ")
    );
    let last = passage.last_row.context("nothing has reached the warehouse")?;
    let seconds = (last - passage.first_post).total(jiff::Unit::Second)?;
    table.judge(
        "7,419 lines, first POST to last warehouse row",
        format!("{seconds:.1} s"),
        Goal::at_most(seconds, 90.0, "s"),
    );
    let (half, most) = (quantile(&passage.delays, 0.5), quantile(&passage.delays, 0.95));
    table.row(
        "accepted to visible in the warehouse, p50 / p95",
        format!("{half:.1} / {most:.1} s"),
        "flush at 5 s",
    );
    shop.close().await
}
