//! Tests in a process of their own, because one environment is for all threads of a process. No network of its own.

use std::process::Command;

use anyhow::{Result, ensure};

/// What an ignored test of this very program says, with this environment and no other. An error if it fails.
pub fn alone<'e>(test: &str, environment: impl IntoIterator<Item = (&'e str, String)>) -> Result<String> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env_clear()
        .envs(environment)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{test}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Of a name that no test has, none would fail.
    ensure!(said.contains("1 passed"), "no test is called {test}: {said}");
    Ok(said)
}
