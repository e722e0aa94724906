//! The tiers that need a running stack. Touches the stack's network.

use std::io::IsTerminal;

use anyhow::{Result, bail};
use tokio::process::Command;

use super::categories::Names;
use super::rust;
use super::tally::Tally;
use crate::context::Context;
use crate::run;

/// A tier of the stories.
pub async fn stories(context: &Context, tally: &Tally, tier: &str, names: &Names) -> Result<()> {
    let mut stories = program(context)?;
    stories.args(["test", tier]);
    for name in names {
        stories.arg("--only").arg(name);
    }
    shown(&stories, tally).await
}

/// The bench, as far as it is through within minutes.
pub async fn performance(context: &Context, tally: &Tally) -> Result<()> {
    let mut bench = program(context)?;
    bench.args(["bench", "--short"]);
    shown(&bench, tally).await
}

/// The crates' own tests between real neighbours.
pub async fn worker(context: &Context, tally: &Tally, names: &Names) -> Result<()> {
    let stack = context.running()?;
    rust::worker(context, tally, names, &stack.json()).await
}

/// The program of the stories, on the running stack.
fn program(context: &Context) -> Result<Command> {
    let stack = context.running()?;
    let program = context.layout.binaries().join("stories");
    if !program.exists() {
        bail!("the workspace has no program `stories`");
    }
    let mut command = Command::new(program);
    command
        .env("MEDALLION_STACK", stack.json())
        .current_dir(&context.layout.root);
    Ok(command)
}

async fn shown(program: &Command, tally: &Tally) -> Result<()> {
    if std::io::stdout().is_terminal() {
        // Its bars want the terminal for themselves.
        run::shown(program).await
    } else {
        tally.count(program).await
    }
}
