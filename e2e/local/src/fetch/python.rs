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
/// Lock of what packages functions for AWS Lambda: cargo-lambda, Zig as its linker, `CMake`.
const LAMBDA_LOCK: &str = "lambda.txt";

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
    let lock = layout.pins().join("python").join(LAMBDA_LOCK);
    let python = toolchains::python(pins).await?;
    let digest = Digester::default()
        .file(&lock)?
        .text(&fs::canonicalize(&python)?.to_string_lossy())
        .short();
    cache::once_in_place(layout, "lambda-tools", &digest, |place| async move {
        progress
            .step("cargo-lambda, Zig, CMake (PyPI)", |step| async move {
                let log = layout.build_log("lambda-tools");
                run::logged(Command::new(&python).args(["-m", "venv"]).arg(&place), &log, &step).await?;
                let mut pip = Command::new(place.join("bin/python"));
                pip.args(["-m", "pip", "install", "--require-hashes", "--only-binary", ":all:"])
                    .args(["--no-deps", "--disable-pip-version-check", "--no-input"])
                    .arg("--requirement")
                    .arg(&lock);
                run::logged(&pip, &log, &step).await
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
