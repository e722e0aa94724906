//! The stories: one file each, in a namespace with a topic, a table, buckets and a schema of its own. Touches all of the stack.

pub mod api;
mod catalog;
pub mod conclusion;
mod credentials;
mod duplicates;
mod faults;
mod foreign;
mod functions;
mod kills;
mod late;
mod life;
mod observed;
mod other_contract;
mod pods;
mod purchases;
mod rights;
mod serverless;
mod terraform;
mod till;

use std::time::Instant;

use anyhow::{Result, bail};
use futures::future::{LocalBoxFuture, join_all};
use tokio::sync::Semaphore;

use crate::helm::Installation;
use crate::shop::Shop;
use crate::world::World;

use conclusion::{Failed, conclude};
pub use till::many;

/// Go on beside each other, the longest first. Each has a pipeline of its own, and all have one installation.
const TOGETHER: [&str; 7] = [
    "life",
    "faults",
    "serverless",
    "late",
    "purchases",
    "duplicates",
    "contract",
];
/// Then one after the other: they stop or kill what all of them need, and the last changes the installation.
const ALONE: [&str; 2] = ["test_api_gateway_to_dynamodb", "kills"];
/// Beside the stories: that each call of AWS is one that the policies were judged by.
const CALLS: &str = "calls of AWS";
/// A run of dbt takes one processor from its beginning to its end; two stories keep two.
const AT_ONCE: usize = 2;

/// Runs the stories, or only those that are named; goes on after a failure and fails at the end.
pub async fn stories(world: &World, only: &[String], seed: Option<u64>) -> Result<()> {
    check_names(only, &[&TOGETHER[..], &ALONE[..]].concat())?;
    let is_wanted = |name: &str| only.is_empty() || only.iter().any(|one| one == name);
    let together: Vec<&str> = TOGETHER.into_iter().filter(|name| is_wanted(name)).collect();
    world.install(installation(world, &together).await?).await?;
    let places = Semaphore::new(AT_ONCE);
    let mut outcomes = join_all(together.into_iter().map(|name| holds(world, name, &places, seed))).await;
    for name in ALONE.into_iter().filter(|name| is_wanted(name)) {
        outcomes.push(holds(world, name, &places, seed).await);
    }
    outcomes.push(calls_are_known(world));
    let count = outcomes.len();
    let failed: Vec<Failed> = outcomes.into_iter().flatten().collect();
    conclude("stories", count, &failed)
}

/// Fails where the workers asked AWS for what does not stand in the workspace's files.
fn calls_are_known(world: &World) -> Option<Failed> {
    let error = world.compare_calls().err()?;
    world.progress.line(format!("{CALLS}: FAILS\n  {error:#}"));
    Some(Failed::new(CALLS, &error))
}

/// What these stories want to be installed, all at once: an upgrade in between would be one in the middle of the others.
async fn installation(world: &World, names: &[&str]) -> Result<Installation> {
    let mut wanted = Installation::default();
    for name in names {
        wanted.dbt_projects.extend(match *name {
            "faults" => faults::projects(world).await?,
            "contract" => other_contract::projects(world).await?,
            _ => Vec::new(),
        });
    }
    Ok(wanted)
}

/// Runs a story once there is room for it, and says why it does not hold.
async fn holds(world: &World, name: &'static str, places: &Semaphore, seed: Option<u64>) -> Option<Failed> {
    match tell(world, name, places, seed).await {
        Ok(seconds) => {
            world.progress.line(format!("story {name}: holds ({seconds} s)"));
            None
        }
        // What a failed story leaves is left for a look; its next run begins with wiping it.
        Err(error) => {
            world.progress.line(format!("story {name}: FAILS\n  {error:#}"));
            Some(Failed::new(name, &error))
        }
    }
}

/// A story from its beginning until what it leaves is gone; how many seconds that took.
async fn tell(world: &World, name: &str, places: &Semaphore, seed: Option<u64>) -> Result<u64> {
    let place = places.acquire().await?;
    world.progress.line(format!("story {name}"));
    let begun = Instant::now();
    let own = world.beside_others(name)?;
    let story: LocalBoxFuture<'_, Result<Vec<Shop<'_>>>> = match name {
        "purchases" => Box::pin(purchases::run(&own)),
        "duplicates" => Box::pin(duplicates::run(&own)),
        "late" => Box::pin(late::run(&own)),
        "life" => Box::pin(life::run(&own)),
        "contract" => Box::pin(other_contract::run(&own)),
        "faults" => Box::pin(faults::run(&own)),
        "serverless" => Box::pin(serverless::run(&own)),
        "test_api_gateway_to_dynamodb" => Box::pin(functions::test_api_gateway_to_dynamodb(&own)),
        _ => Box::pin(kills::run(&own, seed)),
    };
    let left = story.await?;
    // Wiping is waiting: the next story need not wait along.
    drop(place);
    for shop in left {
        shop.close().await?;
    }
    Ok(begun.elapsed().as_secs())
}

/// A misspelt name would otherwise test nothing and pass.
pub fn check_names(only: &[String], all: &[&str]) -> Result<()> {
    match only.iter().find(|name| !all.contains(&name.as_str())) {
        Some(unknown) => bail!("there is no `{unknown}`; there are {}", all.join(", ")),
        None => Ok(()),
    }
}
