//! What `medallion from-terraform` makes of an environment's outputs is what the API server and the charts take. Touches the API server.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use kube::api::Api;
use medallion_crds::Pipeline;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::helm;
use crate::stack::Stack;
use crate::world::World;

/// Beside the stories' own program.
const MEDALLION: &str = "medallion";
const OUTPUTS: &str = include_str!("../../../../operator/cli/tests/data/outputs.json");
const BASE: &str = include_str!("../../../../operator/cli/tests/data/base.yaml");

/// An environment's files, made by the documented command: `kubectl apply` takes the Pipeline, strictly and once, Helm the values.
pub async fn applied(world: &World, namespace: &str) -> Result<()> {
    let folder = world.stack.home().join("from-terraform");
    let mut outputs: Value = serde_json::from_str(OUTPUTS)?;
    let value = &mut outputs["medallion"]["value"];
    value["cluster"]["namespace"] = json!(namespace);
    value["pipeline"]["namespace"] = json!(namespace);
    let name = value["pipeline"]["name"].as_str().context("a name")?.to_owned();
    let bucket = value["lake"]["gold"].as_str().context("a bucket")?.to_owned();
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("outputs.json"), outputs.to_string())?;
    // A contract that is nowhere, so that no pod starts for brokers that are nowhere either.
    fs::write(
        folder.join("base.yaml"),
        BASE.replace("purchase-contract-v1", "no-contract"),
    )?;
    from_terraform(&folder).await?;

    let pipeline = folder.join("dev/pipeline.yaml");
    kubectl_apply(&world.stack, &pipeline).await?;
    let pipelines: Api<Pipeline> = world.cluster.api(namespace);
    let stored = pipelines.get(&name).await?;
    ensure!(
        stored.spec.lake.gold.bucket == bucket,
        "Gold is in {} and should be in {bucket}",
        stored.spec.lake.gold.bucket
    );
    from_terraform(&folder).await?;
    let said = kubectl_apply(&world.stack, &pipeline).await?;
    ensure!(
        said.contains("unchanged"),
        "the same outputs changed the Pipeline: {said}"
    );
    helm::would_install(&world.stack, &folder.join("dev/values.yaml")).await
}

async fn from_terraform(folder: &Path) -> Result<()> {
    let program = std::env::current_exe()?.with_file_name(MEDALLION);
    let mut command = Command::new(&program);
    command
        .args(["from-terraform", "--outputs", "outputs.json", "--pipeline", "base.yaml"])
        .args(["--dbt-image", "1.0.0", "--into", "dev", "--force"])
        .current_dir(folder);
    done(command, "medallion from-terraform").await.map(drop)
}

/// What kubectl says.
async fn kubectl_apply(stack: &Stack, file: &Path) -> Result<String> {
    let mut command = Command::new(&stack.bin.kubectl);
    command
        .args(["apply", "--validate=strict", "--filename"])
        .arg(file)
        .env("KUBECONFIG", &stack.kubeconfig)
        .env("HOME", stack.home());
    done(command, "kubectl apply").await
}

async fn done(mut command: Command, what: &str) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().await.context(what.to_owned())?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "{what}: {said}");
    Ok(said)
}
