//! The phases that cargo does. Touches the network only when a crate has to be fetched, and the stack's in the tests that want one.

use std::env;
use std::path::Path;

use anyhow::Result;

use super::tally::Tally;
use crate::cargo::command;
use crate::context::Context;
use crate::run;

/// Picks the tests that need a running stack. Their targets say `test = false`, so that nothing else picks them; without
/// a feature of their own, since that would compile every crate a second time.
pub const STACK_TESTS: [&str; 2] = ["--test", "stack_*"];

/// `--deny warnings`, as `cargo clippy` hands its arguments on to its driver.
const DENIED: &str = "--deny__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__";

pub async fn fmt(context: &Context) -> Result<()> {
    let mut cargo = command(context);
    cargo.args(["fmt", "--all", "--check"]);
    run::shown(&cargo).await
}

/// What `cargo clippy` finds, without compiling the dependencies for it alone.
pub async fn clippy(context: &Context) -> Result<()> {
    let linter = env::current_exe()?;
    for targets in [["--all-targets"].as_slice(), &STACK_TESTS] {
        let mut cargo = command(context);
        cargo
            .args(["build", "--release", "--workspace", "--keep-going"])
            .args(targets)
            .env("RUSTC_WORKSPACE_WRAPPER", &linter)
            .env("CLIPPY_ARGS", DENIED);
        run::shown(&cargo).await?;
    }
    Ok(())
}

/// Always the whole workspace, so that its dependencies have the features that they were compiled with before.
pub async fn unit(context: &Context, tally: &Tally) -> Result<()> {
    let mut cargo = command(context);
    cargo.args(["test", "--release", "--workspace", "--no-fail-fast", "--tests"]);
    tally.count(&cargo).await
}

/// As `unit`, for the tests that need a running stack.
pub async fn worker(context: &Context, tally: &Tally, stack: &Path) -> Result<()> {
    let mut cargo = command(context);
    cargo
        .args(["test", "--release", "--workspace", "--no-fail-fast"])
        .args(STACK_TESTS)
        .env("MEDALLION_STACK", stack);
    tally.count(&cargo).await
}
