//! The stories: one file each, in a namespace with a topic, a table, buckets and a schema of its own. Touches all of the stack.

pub mod api;
mod duplicates;
mod faults;
mod foreign;
mod kills;
mod late;
mod life;
mod other_contract;
mod purchases;
mod till;

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use futures::future::LocalBoxFuture;

use crate::world::World;

pub use till::many;

/// In the order in which they run: the one that kills comes last.
const STORIES: [&str; 7] = ["purchases", "duplicates", "late", "life", "contract", "faults", "kills"];

/// Runs the stories, or only those that are named; goes on after a failure and fails at the end.
pub async fn stories(world: &World, only: &[String], seed: Option<u64>) -> Result<()> {
    check_names(only, &STORIES)?;
    let (mut count, mut failed) = (0, Vec::new());
    for name in STORIES {
        if !only.is_empty() && !only.iter().any(|one| one == name) {
            continue;
        }
        world.progress.line(format!("story {name}"));
        let begun = Instant::now();
        let story: LocalBoxFuture<'_, Result<()>> = match name {
            "purchases" => Box::pin(purchases::run(world)),
            "duplicates" => Box::pin(duplicates::run(world)),
            "late" => Box::pin(late::run(world)),
            "life" => Box::pin(life::run(world)),
            "contract" => Box::pin(other_contract::run(world)),
            "faults" => Box::pin(faults::run(world)),
            _ => Box::pin(kills::run(world, seed)),
        };
        count += 1;
        let outcome = story.await;
        let seconds = begun.elapsed().as_secs();
        match outcome {
            Ok(()) => world.progress.line(format!("story {name}: holds ({seconds} s)")),
            Err(error) => {
                // What a failed story leaves is left for a look; its next run begins with wiping it.
                world
                    .progress
                    .line(format!("story {name}: FAILS ({seconds} s)\n  {error:#}"));
                failed.push(name);
            }
        }
    }
    conclude("stories", count, &failed)
}

/// The closing line that programs count, and the error that names what failed.
pub fn conclude(what: &str, count: usize, failed: &[&str]) -> Result<()> {
    println!("{} passed, {} failed", count - failed.len(), failed.len());
    ensure!(
        failed.is_empty(),
        "{} of the {what} fail: {}",
        failed.len(),
        failed.join(", ")
    );
    Ok(())
}

/// A misspelt name would otherwise test nothing and pass.
pub fn check_names(only: &[String], all: &[&str]) -> Result<()> {
    match only.iter().find(|name| !all.contains(&name.as_str())) {
        Some(unknown) => bail!("there is no `{unknown}`; there are {}", all.join(", ")),
        None => Ok(()),
    }
}
