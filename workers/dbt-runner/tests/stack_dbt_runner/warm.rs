//! What all tests begin with, made once: a Python process that every run is a fork of, and a lake with three days in it.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use dbt_runner::driver::Python;

use crate::shop::{project, python};

/// The warm process.
#[derive(Debug)]
pub struct Warm {
    /// How a run gets a fork of it.
    pub python: Python,
    /// A folder that is gone with it.
    pub folder: PathBuf,
    /// It ends with this, as this process does.
    _input: ChildStdin,
}

/// The warm process, started by whoever asks first.
pub fn warm() -> Result<&'static Warm> {
    static WARM: OnceLock<Result<Warm, String>> = OnceLock::new();
    WARM.get_or_init(|| start().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow::anyhow!("no warm python: {error}"))
}

fn start() -> Result<Warm> {
    let python = python()?;
    let folder = tempfile::tempdir()?.keep();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stack_dbt_runner/warm.py");
    let package = python.package.clone().unwrap_or_default();
    let mut child = Command::new(&python.interpreter)
        .arg(&script)
        .args([folder.as_path(), &project()])
        .env("PYTHONPATH", package)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HOME", &folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (input, output) = (
        child.stdin.take().context("stdin")?,
        child.stdout.take().context("stdout")?,
    );
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    ensure!(line.trim() == "ready", "it ended before it was ready");

    // Stands for the interpreter: whatever it is asked to run, it is the runner's package.
    let entry = folder.join("python");
    let (interpreter, script) = (python.interpreter.display(), script.display());
    std::fs::write(
        &entry,
        format!(
            "#!/bin/sh\nexec '{interpreter}' -I -S '{script}' --run '{}'\n",
            folder.display()
        ),
    )?;
    std::fs::set_permissions(&entry, PermissionsExt::from_mode(0o755))?;
    Ok(Warm {
        python: Python {
            interpreter: entry,
            package: python.package,
        },
        folder,
        _input: input,
    })
}
