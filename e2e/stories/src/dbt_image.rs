//! Lays a dbt project over the shop's image, as a team with a project of its own does. Writes into the stack's containerd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use medallion_crds::hex::hex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::stack::Stack;

const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// What differs from the shop's image.
pub enum Change<'a> {
    /// `/project` is this folder and nothing else.
    Project(&'a Path),
    /// One more file, or another text, below `/project`.
    File { path: &'a str, text: &'a str },
}

/// Makes an image named after what it is for; the same change is the same image.
pub async fn derive(stack: &Stack, base: &str, name: &str, change: &Change<'_>) -> Result<String> {
    let folder = stack.home().join("images").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let blobs = folder.join("image/blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let layer = layer(&folder, change).await?;

    let listed = ctr(stack, &["images", "list", &format!("name=={base}")]).await?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let digest = listed.split_whitespace().find(|word| word.starts_with("sha256:"));
    let digest = digest.with_context(|| format!("the stack has no image {base}"))?;
    let mut manifest: Value = serde_json::from_slice(&ctr(stack, &["content", "get", digest]).await?)?;
    let config = manifest["config"]["digest"]
        .as_str()
        .context("the manifest has no config")?
        .to_owned();
    let mut config: Value = serde_json::from_slice(&ctr(stack, &["content", "get", &config]).await?)?;

    push(&mut config["rootfs"]["diff_ids"], json!(sha256(&layer)))?;
    if config.get("history").is_some() {
        push(&mut config["history"], json!({"created_by": name}))?;
    }
    let config = serde_json::to_vec(&config)?;
    let is_docker = manifest["mediaType"]
        .as_str()
        .is_some_and(|kind| kind.contains("docker"));
    manifest["config"]["digest"] = json!(sha256(&config));
    manifest["config"]["size"] = json!(config.len());
    let media_type = if is_docker { DOCKER_LAYER } else { OCI_LAYER };
    push(
        &mut manifest["layers"],
        json!({"mediaType": media_type, "digest": sha256(&layer), "size": layer.len()}),
    )?;
    let media_type = manifest["mediaType"].clone();
    let manifest = serde_json::to_vec(&manifest)?;

    let tag = &sha256(&manifest)["sha256:".len().."sha256:".len() + 12];
    let reference = format!("localhost/medallion/{name}:{tag}");
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": media_type, "digest": sha256(&manifest), "size": manifest.len(),
            "annotations": {"io.containerd.image.name": reference},
        }],
    });
    let image = folder.join("image");
    fs::write(image.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    fs::write(image.join("index.json"), index.to_string())?;
    for blob in [&layer, &config, &manifest] {
        fs::write(blobs.join(&sha256(blob)["sha256:".len()..]), blob)?;
    }
    // The layers below are in the stack already: the archive holds only what is new.
    let archive = folder.join("image.tar");
    tar(&image, &archive, &["oci-layout", "index.json", "blobs"]).await?;
    ctr(stack, &["images", "import", "--local", &archive.to_string_lossy()]).await?;
    fs::remove_dir_all(&folder)?;
    Ok(reference)
}

fn push(list: &mut Value, value: Value) -> Result<()> {
    list.as_array_mut()
        .context("the image is not built as expected")?
        .push(value);
    Ok(())
}

/// The files of the change as a tar file.
async fn layer(folder: &Path, change: &Change<'_>) -> Result<Vec<u8>> {
    let root = folder.join("layer");
    let project = root.join("project");
    match change {
        Change::Project(from) => {
            copy(from, &project)?;
            // Nothing of the project below shows through.
            fs::write(project.join(".wh..wh..opq"), "")?;
        }
        Change::File { path, text } => {
            let file = project.join(path);
            fs::create_dir_all(file.parent().context("a path below the project")?)?;
            fs::write(file, text)?;
        }
    }
    let to = folder.join("layer.tar");
    tar(&root, &to, &["project"]).await?;
    Ok(fs::read(to)?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target: PathBuf = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

async fn tar(folder: &Path, to: &Path, names: &[&str]) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.args([
        "--create",
        "--format=ustar",
        "--owner=0",
        "--group=0",
        "--mtime=@0",
        "--sort=name",
    ]);
    tar.arg("--mode=a+rX")
        .arg("--file")
        .arg(to)
        .arg("--directory")
        .arg(folder)
        .args(names);
    run(tar).await.map(drop)
}

async fn ctr(stack: &Stack, arguments: &[&str]) -> Result<Vec<u8>> {
    let socket = stack.kubeconfig.with_file_name("run").join("containerd.sock");
    let mut ctr = Command::new(&stack.bin.ctr);
    ctr.arg("--address")
        .arg(socket)
        .args(["--namespace", "k8s.io"])
        .args(arguments);
    run(ctr).await
}

async fn run(mut command: Command) -> Result<Vec<u8>> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("{:?}", command.as_std()))?;
    if !output.status.success() {
        bail!(
            "{:?}: {}",
            command.as_std(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output.stdout)
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}
