//! `down`: ends the stack and wipes what its parts remember, all together; whatever state it is in, and twice. Touches the network only to remove the link.

use std::fs;

use anyhow::{Result, bail};

use crate::cache;
use crate::context::Context;
use crate::stack::{self, namespaces};
use crate::toolchains;

/// What outlasts the stack, to look at: its logs.
const KEPT: &str = "logs";

pub fn down(context: &Context, all: bool) -> Result<()> {
    toolchains::check_root()?;
    if !all {
        return end(context);
    }
    let Ok(stacks) = fs::read_dir(&context.layout.state) else {
        return Ok(());
    };
    let mut failed = Vec::new();
    for entry in stacks.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // Locks lie beside the stacks' folders.
        if !entry.path().is_dir() || stack::check_name(&name).is_err() {
            continue;
        }
        if let Err(error) = Context::new(&name).and_then(|context| end(&context)) {
            failed.push(format!("stack `{name}`: {error:#}"));
        }
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    Ok(())
}

fn end(context: &Context) -> Result<()> {
    clear(context)?;
    context.progress.line(format!("stack `{}` is down", context.name));
    Ok(())
}

/// Ends the stack if it runs and removes everything but its logs.
pub fn clear(context: &Context) -> Result<()> {
    let home = context.home();
    namespaces::stop(&home, &context.name)?;
    let Ok(entries) = fs::read_dir(&home) else {
        return Ok(());
    };
    for entry in entries.flatten().filter(|entry| entry.file_name() != KEPT) {
        cache::clear(&entry.path())?;
    }
    Ok(())
}
