//! The tiers that need a running stack. Touches the stack's network.

use anyhow::{Result, bail};
use tokio::process::Command;

use super::cargo::{self, Metadata};
use crate::commands::Context;

/// Marks crates with integration tests against the stack, in `tests/stack_*.rs`.
const FEATURE: &str = "stack-tests";

/// Runs the program of the stories.
pub async fn stories(context: &Context, tier: &str) -> Result<()> {
    let stack = context.running()?;
    let program = context.layout.binaries().join("stories");
    if !program.exists() {
        bail!("the workspace has no program `stories`");
    }
    let mut stories = Command::new(program);
    stories
        .args(["test", tier])
        .env("MEDALLION_STACK", stack.json())
        .current_dir(&context.layout.root);
    cargo::shown_command(stories).await
}

/// The crates' own tests between real neighbours.
pub async fn worker(context: &Context) -> Result<()> {
    let stack = context.running()?;
    let metadata = Metadata::read(context).await?;
    let crates = metadata
        .members()
        .filter(|package| package.features.contains_key(FEATURE))
        .map(|package| package.name.as_str())
        .collect::<Vec<_>>();
    if crates.is_empty() {
        bail!("no crate has the feature {FEATURE}");
    }
    let mut command = cargo::command(context);
    command
        // The whole workspace, so that dependencies have the features they were compiled with before.
        .args([
            "test",
            "--release",
            "--workspace",
            "--no-fail-fast",
            "--test",
            "stack_*",
        ])
        .env("MEDALLION_STACK", stack.json());
    let features = crates
        .iter()
        .map(|name| format!("{name}/{FEATURE}"))
        .collect::<Vec<_>>();
    command.args(["--features", &features.join(",")]);
    cargo::shown_command(command).await
}
