//! `demo` and `bench`: the stack, then the program of the stories on it. Touches the stack's network.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{down, up};
use crate::context::Context;
use crate::stack::Extent;

/// Becomes the program, so that its exit code and its signals are ours.
pub async fn run(context: &Context, what: &str, arguments: &[String]) -> Result<()> {
    if context.extent == Extent::ControlPlane {
        // What an earlier measurement left would be measured too.
        down::clear(context)?;
    }
    let stack = up::up(context).await?;
    let program = context.layout.binaries().join("stories");
    if !program.exists() {
        bail!("the workspace has no program `stories`");
    }
    let error = Command::new(program)
        .arg(what)
        .args(arguments)
        .env("MEDALLION_STACK", stack.json())
        .current_dir(&context.layout.root)
        .exec();
    Err(error).context("cannot become the stories")
}
