//! The phases that cargo does. Touches the network only when a crate has to be fetched, and the stack's in the tests that want one.

use std::env;
use std::path::Path;

use anyhow::Result;

use super::categories::Names;
use super::programs;
use super::tally::Tally;
use crate::cargo::{STACK_TESTS, command};
use crate::context::Context;
use crate::run;

/// Unit tests that take long, longest first.
const LONG: [&str; 1] = ["plan lives"];
/// Tests on the stack that take long, longest first.
const LONG_ON_THE_STACK: [&str; 5] = [
    "dbt-runner stack_dbt_runner",
    "kafka stack_kafka",
    "consumer stack_consumer",
    "gateway stack_gateway",
    "exporter stack_exporter",
];

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

/// What needs no stack.
pub async fn unit(context: &Context, tally: &Tally, names: &Names) -> Result<()> {
    let programs = programs::picked(programs::compile(context, &["--tests"]).await?, names)?;
    programs::together(&context.progress, tally, programs, &LONG, None).await
}

/// As `unit`, for the tests that need a running stack.
pub async fn worker(context: &Context, tally: &Tally, names: &Names, stack: &Path) -> Result<()> {
    let programs = programs::picked(programs::compile(context, &STACK_TESTS).await?, names)?;
    programs::together(&context.progress, tally, programs, &LONG_ON_THE_STACK, Some(stack)).await
}
