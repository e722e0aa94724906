//! The tiers that need a running stack. Touches the stack's network.

use std::io::IsTerminal;

use anyhow::{Result, bail};
use tokio::process::Command;

use super::rust;
use super::tally::Tally;
use crate::context::Context;
use crate::run;

/// Runs the program of the stories.
pub async fn stories(context: &Context, tally: &Tally, tier: &str) -> Result<()> {
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
    if std::io::stdout().is_terminal() {
        // Its bars want the terminal for themselves.
        run::shown(&stories).await
    } else {
        tally.count(&stories).await
    }
}

/// The crates' own tests between real neighbours.
pub async fn worker(context: &Context, tally: &Tally) -> Result<()> {
    let stack = context.running()?;
    rust::worker(context, tally, &stack.json()).await
}
