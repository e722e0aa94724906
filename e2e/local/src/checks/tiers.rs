//! The tiers that need a running stack. Touches the stack's network.

use anyhow::{Result, bail};
use tokio::process::Command;

use super::cargo;
use crate::commands::Context;

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
    let mut command = cargo::command(context);
    command
        .args(["test", "--release", "--workspace", "--no-fail-fast"])
        .args(cargo::STACK_TESTS)
        .env("MEDALLION_STACK", stack.json());
    cargo::shown_command(command).await
}
