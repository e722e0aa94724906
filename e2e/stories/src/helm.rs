//! Installs the product as a user does: by its two charts. Touches the API server through Helm.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use medallion_crds::launch::environment::HOLD_POINT;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::doors::{Doors, SHARED_SECRET};
use crate::stack::Stack;

/// Where the operator lives.
pub const NAMESPACE: &str = "medallion";
pub const DEPLOYMENT: &str = "medallion-operator";
/// The shop's dbt project on the allow-list.
pub const PURCHASES: &str = "purchases";

/// What differs from one installation to the next.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Installation {
    /// Images of dbt projects beside the shop's own.
    pub dbt_projects: BTreeMap<String, String>,
    /// Workers, each with the name of the point at which it waits to be killed.
    pub hold: Vec<(&'static str, &'static str)>,
}

pub fn charts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts")
}

/// Whether Helm waits until what it has installed runs.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Wait {
    Yes,
    No,
}

/// Installs or upgrades both charts and waits until the operator runs.
pub async fn install(stack: &Stack, doors: &Doors, installation: &Installation) -> Result<()> {
    apply(stack, &values(stack, doors, installation)?, Wait::Yes).await
}

/// Installs or upgrades both charts, the operator's with these values.
pub async fn apply(stack: &Stack, values: &Value, wait: Wait) -> Result<()> {
    upgrade(stack, "medallion-crds", "default", None, Wait::Yes).await?;
    let file = stack.home().join("values.json");
    std::fs::create_dir_all(stack.home())?;
    std::fs::write(&file, values.to_string())?;
    upgrade(stack, "medallion-operator", NAMESPACE, Some(&file), wait).await
}

fn values(stack: &Stack, doors: &Doors, installation: &Installation) -> Result<Value> {
    let missing = "the stack has no images; `cargo local up` builds them";
    let image = stack.images.medallion.as_deref().context(missing)?;
    let (name, tag) = image.rsplit_once(':').context("an image reference has a tag")?;
    let mut projects = installation.dbt_projects.clone();
    projects.insert(
        PURCHASES.to_owned(),
        stack.images.dbt_purchases.clone().context(missing)?,
    );
    let mut workers = json!({
        "environment": {
            "AWS_ENDPOINT_URL_S3": doors.s3,
            "AWS_ENDPOINT_URL_DYNAMODB": doors.dynamodb,
            "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": doors.dynamodb,
            "AWS_ENDPOINT_URL_REDSHIFT_DATA": doors.redshift()?,
            "AWS_ENDPOINT_URL_GLUE": doors.glue,
            "MEDALLION_S3_PATH_STYLE": "true",
        },
        "awsCredentialsSecret": SHARED_SECRET,
    });
    for (worker, secret) in doors.own_secrets() {
        workers[worker]["awsCredentialsSecret"] = json!(secret);
    }
    for (worker, point) in &installation.hold {
        workers[*worker]["environment"] = json!({HOLD_POINT: point});
    }
    Ok(json!({
        "image": {"repository": name, "tag": tag},
        "dbtProjects": projects,
        "workers": workers,
        "metrics": {"cloudWatch": {"enabled": true}},
    }))
}

/// Takes the operator away and waits until its pod is gone: one that lives on would work on whatever comes next on this cluster.
/// The definitions stay, as they do for users.
pub async fn uninstall(stack: &Stack) -> Result<()> {
    let mut command = helm(stack);
    command
        .args(["uninstall", &release(DEPLOYMENT), "--namespace", NAMESPACE])
        .args([
            "--ignore-not-found",
            "--cascade",
            "foreground",
            "--wait",
            "--timeout",
            "120s",
        ]);
    done(command, "helm uninstall").await
}

/// What the chart itself checks of an installation.
pub async fn test(stack: &Stack) -> Result<()> {
    let mut command = helm(stack);
    command.args([
        "test",
        &release(DEPLOYMENT),
        "--namespace",
        NAMESPACE,
        "--timeout",
        "120s",
        "--logs",
    ]);
    done(command, "helm test").await
}

/// Whether the operator's chart would be installed with the values of this file; nothing is.
pub async fn would_install(stack: &Stack, values: &Path) -> Result<()> {
    let mut command = helm(stack);
    command
        .args(["upgrade", "--install", &release(DEPLOYMENT)])
        .arg(charts().join(DEPLOYMENT));
    command
        .args(["--namespace", NAMESPACE, "--dry-run=server", "--values"])
        .arg(values);
    done(command, "helm upgrade --dry-run=server").await
}

/// What the operator's chart makes of its own values, its test included.
pub async fn rendered(stack: &Stack) -> Result<String> {
    let mut command = helm(stack);
    command
        .args(["template", &release(DEPLOYMENT)])
        .arg(charts().join(DEPLOYMENT))
        .args(["--namespace", NAMESPACE]);
    let output = command.output().await.context("cannot start helm")?;
    ensure!(
        output.status.success(),
        "helm template: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}

async fn upgrade(stack: &Stack, chart: &str, namespace: &str, values: Option<&Path>, wait: Wait) -> Result<()> {
    let release = release(chart);
    let mut command = helm(stack);
    command
        .args(["upgrade", "--install", &release])
        .arg(charts().join(chart));
    command.args(["--namespace", namespace, "--create-namespace"]);
    if wait == Wait::Yes {
        command.args(["--wait", "--timeout", "120s"]);
    }
    if let Some(values) = values {
        command.arg("--values").arg(values);
    }
    done(command, &format!("helm upgrade --install {release}")).await
}

/// Releases are named so that the operator's objects are called medallion-operator.
fn release(chart: &str) -> String {
    chart.trim_end_matches("-operator").to_owned()
}

fn helm(stack: &Stack) -> Command {
    let mut command = Command::new(&stack.bin.helm);
    command
        .env("KUBECONFIG", &stack.kubeconfig)
        .env("HOME", stack.home())
        .stdin(Stdio::null());
    command
}

async fn done(mut command: Command, what: &str) -> Result<()> {
    let output = command.output().await.context("cannot start helm")?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!("{what}: {}", String::from_utf8_lossy(&said).trim());
    }
    Ok(())
}
