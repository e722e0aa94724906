//! The life of each environment without an account: plan, apply, nothing more to do, outputs, destroy. Touches no network.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::policies;
use super::report::Report;
use super::rights;
use super::workspace::{Workspace, name};
use crate::run::{self, Ended};

/// What a team writes down for its environment. The functions are in the place of pods in one of them.
const VALUES: &str = r#"account_id          = "123456789012"
alarm_pages         = "https://example.org/docs/alarms.md"
emails              = ["on-call@example.org"]
public_access_cidrs = ["192.0.2.0/24"]
"#;
const FUNCTIONS: &str = r#"functions = {
  gateway  = { package = "package.zip", authorization = "AWS_IAM" }
  exporter = { package = "package.zip" }
}
"#;
const WITH_FUNCTIONS: &str = "dev";
/// The environments' own backend is tried where the locks are.
const LOCAL_STATE: &str = "terraform {\n  backend \"local\" {}\n}\n";

/// From nothing to nothing; what fails ends the life early.
pub async fn check(workspace: &Workspace, report: &Report<'_>, folder: &Path) {
    let name = name(folder);
    let json = folder.join("plan.json");
    let planned = report.check(format!("plan of {name}"), plan_and_show(workspace, folder, &json));
    if planned.await.is_none() {
        return;
    }
    let judged = policies::plan(workspace, folder, &json);
    report.check(format!("checkov on the plan of {name}"), judged).await;
    let applied = workspace.done(folder, &["apply", "-no-color", "made.plan"]);
    if report.check(format!("apply of {name}"), applied).await.is_none() {
        return;
    }
    let kept = rights::keep(workspace, folder);
    report.check(format!("state of {name}"), kept).await;
    let again = unchanged(workspace, folder);
    report
        .check(format!("second plan of {name} without changes"), again)
        .await;
    report
        .check(format!("outputs of {name}"), outputs(workspace, folder))
        .await;
    let destroyed = destroy(workspace, folder);
    report.check(format!("destroy of {name}"), destroyed).await;
}

/// Writes an environment's values, and a package for its functions, beside its files.
pub fn values(folder: &Path) -> Result<()> {
    let functions = if name(folder) == WITH_FUNCTIONS { FUNCTIONS } else { "" };
    fs::write(folder.join("values.auto.tfvars"), format!("{VALUES}{functions}"))?;
    Ok(fs::write(
        folder.join("package.zip"),
        "what is uploaded is AWS's business",
    )?)
}

/// A plan of everything, in `made.plan`.
pub async fn plan(workspace: &Workspace, folder: &Path) -> Result<()> {
    values(folder)?;
    fs::write(folder.join("local_override.tf"), LOCAL_STATE)?;
    workspace.done(folder, &["init", "-no-color"]).await?;
    let arguments = ["plan", "-no-color", "-out=made.plan"];
    workspace.done(folder, &arguments).await.map(drop)
}

async fn plan_and_show(workspace: &Workspace, folder: &Path, json: &Path) -> Result<()> {
    plan(workspace, folder).await?;
    let plan = workspace.json(folder, &["show", "-json", "made.plan"]).await?;
    Ok(fs::write(json, plan.to_string())?)
}

async fn unchanged(workspace: &Workspace, folder: &Path) -> Result<()> {
    let mut plan = workspace.tofu(folder, &["plan", "-no-color", "-detailed-exitcode"]);
    let Ended { code, text } = run::ended(&mut plan).await?;
    match code {
        Some(0) => Ok(()),
        Some(2) => bail!("what was just applied would be changed: {}", text.trim()),
        _ => bail!("{}", text.trim()),
    }
}

/// Each output has a value.
async fn outputs(workspace: &Workspace, folder: &Path) -> Result<()> {
    let outputs = workspace.json(folder, &["output", "-json"]).await?;
    let outputs = outputs.as_object().context("no outputs")?;
    ensure!(!outputs.is_empty(), "no outputs");
    for (name, output) in outputs {
        ensure!(output["value"] != Value::Null, "{name} has no value");
    }
    Ok(())
}

async fn destroy(workspace: &Workspace, folder: &Path) -> Result<()> {
    workspace
        .done(folder, &["destroy", "-no-color", "-auto-approve"])
        .await?;
    let left = workspace.done(folder, &["state", "list", "-no-color"]).await?;
    ensure!(left.trim().is_empty(), "left over: {}", left.trim());
    Ok(())
}
