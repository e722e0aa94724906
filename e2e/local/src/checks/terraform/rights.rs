//! Who may do what on AWS, decided from the environments' applied states. Touches no network.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use medallion_policies::Expected;
use medallion_policies::check::Check;

use super::report::Report;
use super::workspace::{Workspace, name};

/// Beside an environment's files.
const STATE: &str = "applied.json";

/// Keeps an environment's state for the time when all of them are there.
pub async fn keep(workspace: &Workspace, folder: &Path) -> Result<()> {
    let state = workspace.json(folder, &["show", "-json"]).await?;
    Ok(fs::write(folder.join(STATE), state.to_string())?)
}

/// Holds what was kept against what the workspace expects of it.
pub async fn check(report: &Report<'_>, root: &Path, environments: &[PathBuf]) {
    let judged = async { judge(root, environments) };
    let Some(checks) = report.check("the policies can be judged", judged).await else {
        return;
    };
    let (right, wrong): (Vec<_>, Vec<_>) = checks.into_iter().partition(|check| check.wrong.is_empty());
    let wrong = wrong.into_iter().map(|check| (check.name, check.wrong.join("; ")));
    report.checked("who may do what", right.len() as u64, wrong.collect());
}

fn judge(root: &Path, environments: &[PathBuf]) -> Result<Vec<Check>> {
    let expected = Expected::read(root)?;
    let states = environments.iter().map(|folder| {
        let state = fs::read(folder.join(STATE)).with_context(|| format!("{} was not applied", name(folder)))?;
        Ok((name(folder), serde_json::from_slice(&state)?))
    });
    medallion_policies::check(&states.collect::<Result<Vec<_>>>()?, &expected)
}
