//! `stories demo | test | bench`: started by `cargo local` on a running stack. Touches all of the stack.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use medallion_stories::bench::sizes;
use medallion_stories::world::World;
use medallion_stories::{bench, demo, purchases, tests};

#[derive(Parser)]
#[command(about = "The demo, the stories and the bench on the running stack", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Real purchases from HTTP to the warehouse, and a true account of them
    Demo {
        /// Another file of purchases with the same columns, packed by gzip or not
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Shows that promises are kept; fails with what differs
    Test {
        tier: Tier,
        /// Only the story or case of this name
        #[arg(long)]
        only: Vec<String>,
        /// Seed of the random kills; printed in any case
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Figures beside the raw limits
    Bench {
        /// Only the part of this name
        #[arg(long)]
        only: Vec<String>,
        /// Only parts with a goal, in sizes that are through within minutes
        #[arg(long)]
        short: bool,
        #[command(subcommand)]
        alone: Option<Alone>,
    },
}

/// Measurements that want a stack of their own.
#[derive(Subcommand)]
enum Alone {
    /// The operator on one core before a real API server, with simulated pods
    Operator {
        /// Numbers of pipelines, growing
        #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1000])]
        pipelines: Vec<usize>,
        /// Folder for profiles of the API server at each size
        #[arg(long)]
        profile: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Tier {
    /// What the API server accepts and refuses
    Api,
    /// What a user was promised, on the whole stack
    Story,
}

#[tokio::main]
async fn main() -> ExitCode {
    match act(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn act(command: Command) -> Result<()> {
    if let Command::Bench {
        alone: Some(Alone::Operator { pipelines, profile }),
        ..
    } = command
    {
        return Box::pin(bench::operator::bench(&pipelines, profile)).await;
    }
    let world = World::connect().await?;
    match command {
        Command::Demo { file } => demo::demo(&world, &file.unwrap_or_else(purchases::shipped)).await,
        Command::Test {
            tier: Tier::Api, only, ..
        } => tests::api::all(&world, &only).await,
        Command::Test {
            tier: Tier::Story,
            only,
            seed,
        } => tests::stories(&world.recorded().await?, &only, seed).await,
        Command::Bench { only, short, .. } => {
            let sizes = if short { &sizes::SHORT } else { &sizes::FULL };
            bench::bench(&world, &only, sizes).await
        }
    }
}
