//! Asks cargo: what the workspace is made of, and what is compiled for whom. Touches the network only when a crate has to be fetched.

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;

use anyhow::Result;
use serde::Deserialize;
use tokio::process::Command;

use crate::context::Context;
use crate::run;

/// The cargo that runs us, or the one on the path.
pub fn command(context: &Context) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&context.layout.root);
    cargo
}

/// The workspace's own programs. There are no examples: asking for them makes cargo give every crate the features that the
/// tests want too, so that `demo` and `test` compile one and the same crates.
pub async fn build(context: &Context) -> Result<()> {
    let layout = &context.layout;
    context
        .progress
        .step("cargo build --release", |step| async move {
            let mut cargo = command(context);
            cargo.args(["build", "--release", "--workspace", "--bins"]);
            cargo.arg(if context.with_tests { "--tests" } else { "--examples" });
            run::logged(&cargo, &layout.build_log("cargo"), &step).await
        })
        .await
}

/// Picks the tests that need a running stack. Their targets say `test = false`, so that nothing else picks them; without
/// a feature of their own, since that would compile every crate a second time.
pub const STACK_TESTS: [&str; 2] = ["--test", "stack_*"];

/// Compiles the test programs that the selection picks: always of the whole workspace, so that its dependencies have the
/// features that they were compiled with before.
pub fn test_programs(context: &Context, selection: &[&str]) -> Command {
    let mut cargo = command(context);
    cargo
        .args(["test", "--release", "--workspace", "--no-run"])
        .args(selection);
    cargo
}

/// The tests that need a running stack, before somebody wants them.
pub async fn build_stack_tests(context: &Context) {
    let built = context.progress.step("cargo test --no-run", |step| async move {
        let log = context.layout.build_log("cargo-tests");
        run::logged(&test_programs(context, &STACK_TESTS), &log, &step).await
    });
    // Whoever runs them has them compiled again, and shows what is wrong with them.
    let _ = built.await;
}

/// `cargo tree`, which resolves a package's features by themselves whatever the user has configured.
fn tree(context: &Context) -> Command {
    let mut cargo = command(context);
    cargo.arg("tree").env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION");
    cargo
}

/// `cargo metadata`, as far as it interests us.
#[derive(Deserialize)]
pub struct Metadata {
    pub packages: Vec<Package>,
    pub workspace_members: BTreeSet<String>,
}

#[derive(Deserialize)]
pub struct Package {
    pub id: String,
    pub name: String,
    pub version: String,
    pub license: Option<String>,
    pub license_file: Option<String>,
    pub dependencies: Vec<Dependency>,
    pub targets: Vec<Target>,
}

/// A library, a program, a test.
#[derive(Deserialize)]
pub struct Target {
    pub name: String,
    pub kind: Vec<String>,
    /// Its first file.
    pub src_path: PathBuf,
}

#[derive(Deserialize)]
pub struct Dependency {
    pub name: String,
    /// None: a normal one.
    pub kind: Option<String>,
}

impl Metadata {
    pub async fn read(context: &Context) -> Result<Self> {
        let mut cargo = command(context);
        cargo.args([
            "metadata",
            "--format-version",
            "1",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ]);
        Ok(serde_json::from_str(&run::output(&mut cargo).await?)?)
    }

    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }
}

/// Names of the crates that are compiled for a package, by its own features and not by what others in the workspace add.
pub async fn compiled_for(context: &Context, package: &str) -> Result<BTreeSet<String>> {
    let mut cargo = tree(context);
    cargo.args([
        "--package",
        package,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    Ok(first_words(&run::output(&mut cargo).await?))
}

/// Names of the crates that use one directly, in any way; empty when it is not compiled.
pub async fn users_of(context: &Context, name: &str) -> Result<BTreeSet<String>> {
    let mut cargo = tree(context);
    cargo.args([
        "--workspace",
        "--invert",
        name,
        "--depth",
        "1",
        "--edges",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    let users = match run::output(&mut cargo).await {
        Ok(users) => users,
        // Cargo calls it an error when nothing of that name is even in the lock file.
        Err(error) if error.to_string().contains("did not match any packages") => String::new(),
        Err(error) => return Err(error),
    };
    let mut names = first_words(&users);
    names.remove(name);
    Ok(names)
}

fn first_words(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(ToOwned::to_owned)
        .collect()
}
