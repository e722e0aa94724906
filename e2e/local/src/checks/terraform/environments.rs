//! The life of each environment without an account: plan, apply, nothing more to do, outputs, destroy. Touches no network.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::policies;
use super::report::Report;
use super::rights;
use super::workspace::{Workspace, folders, name};
use crate::cache;
use crate::context::Context;
use crate::fetch::terraform;
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
/// What the environments put out, for the tests of what reads it.
const RECORDED: &str = "operator/cli/tests/outputs";
/// The output that is read.
const OUTPUT: &str = "medallion";
/// The environments' own backend is tried where the locks are.
const LOCAL_STATE: &str = "terraform {\n  backend \"local\" {}\n}\n";

/// From nothing to nothing; what fails ends the life early.
pub async fn check(workspace: &Workspace, report: &Report<'_>, root: &Path, folder: &Path) {
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
        .check(format!("outputs of {name}"), outputs(workspace, root, folder))
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

/// Each output has a value, and the one that other programs read is what their tests read.
async fn outputs(workspace: &Workspace, root: &Path, folder: &Path) -> Result<()> {
    let outputs = workspace.json(folder, &["output", "-json"]).await?;
    let all = outputs.as_object().context("no outputs")?;
    ensure!(!all.is_empty(), "no outputs");
    for (name, output) in all {
        ensure!(output["value"] != Value::Null, "{name} has no value");
    }
    let written = fs::read_to_string(recorded(root, folder)).unwrap_or_default();
    ensure!(
        written == read_by_programs(&outputs)?,
        "{RECORDED}/{}.json is not what the environment puts out; `cargo local terraform outputs` writes it",
        name(folder)
    );
    Ok(())
}

/// Writes anew what each environment puts out for other programs.
pub async fn record(context: &Context) -> Result<()> {
    let tools = terraform::tools(&context.layout, &context.pins, &context.progress).await?;
    let workspace = Workspace::make(&context.layout, tools).await?;
    for folder in folders(&workspace.copy("applied")?.join("environments"))? {
        plan(&workspace, &folder).await?;
        workspace.done(&folder, &["apply", "-no-color", "made.plan"]).await?;
        let outputs = workspace.json(&folder, &["output", "-json"]).await?;
        let file = recorded(&context.layout.root, &folder);
        if let Some(place) = file.parent() {
            fs::create_dir_all(place)?;
        }
        fs::write(file, read_by_programs(&outputs)?)?;
    }
    cache::clear(&workspace.folder)
}

fn recorded(root: &Path, folder: &Path) -> PathBuf {
    root.join(RECORDED).join(format!("{}.json", name(folder)))
}

/// The one output that `medallion from-terraform` reads, as `output -json` has it.
fn read_by_programs(outputs: &Value) -> Result<String> {
    let read = json!({OUTPUT: {"value": outputs[OUTPUT]["value"]}});
    Ok(serde_json::to_string_pretty(&read)? + "\n")
}

async fn destroy(workspace: &Workspace, folder: &Path) -> Result<()> {
    workspace
        .done(folder, &["destroy", "-no-color", "-auto-approve"])
        .await?;
    let left = workspace.done(folder, &["state", "list", "-no-color"]).await?;
    ensure!(left.trim().is_empty(), "left over: {}", left.trim());
    Ok(())
}
