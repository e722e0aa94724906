//! Renews the lock files of Maven and Python after a version was changed by hand. Touches the network through `mvn` and `pip`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use tokio::process::Command;

use super::maven;
use crate::cache;
use crate::layout::Layout;
use crate::pins::Pins;
use crate::progress::Progress;
use crate::run;
use crate::toolchains;

#[derive(Deserialize)]
struct Report {
    install: Vec<Install>,
}

#[derive(Deserialize)]
struct Install {
    metadata: Metadata,
    download_info: DownloadInfo,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct DownloadInfo {
    archive_info: ArchiveInfo,
}

#[derive(Deserialize)]
struct ArchiveInfo {
    hashes: BTreeMap<String, String>,
}

/// Version and SHA-256 by distribution.
type Locked = BTreeMap<String, (String, String)>;

/// Writes `jars.sha256` and `python/*.txt` anew.
pub async fn renew(layout: &Layout, pins: &Pins, progress: &Progress) -> Result<()> {
    for part in ["kafka", "dynamodb", "postgres"] {
        progress
            .step(format!("lock {part}"), |step| async move {
                let to = layout.cache.join("making").join(format!("lock-{part}"));
                cache::clear(&to)?;
                fs::create_dir_all(&to)?;
                maven::copy_dependencies(layout, pins, part, &to, &step).await?;
                let text = maven::digests(&to)?
                    .iter()
                    .fold(String::new(), |mut text, (name, sum)| {
                        let _ = writeln!(text, "{sum}  {name}");
                        text
                    });
                fs::write(layout.pins().join(part).join("jars.sha256"), text)?;
                cache::clear(&to)
            })
            .await?;
    }
    progress
        .step("lock Python", |_| async move {
            let folder = layout.pins().join("python");
            let image = resolve(pins, &[&folder.join("dbt.in")]).await?;
            let mut others = resolve(pins, &[&folder.join("dbt.in"), &folder.join("referee.in")]).await?;
            others.retain(|name, _| !image.contains_key(name));
            fs::write(folder.join("dbt.txt"), text("dbt.in", &image))?;
            fs::write(folder.join("referee.txt"), text("referee.in", &others))?;
            for name in ["lambda", "terraform"] {
                let source = format!("{name}.in");
                let locked = resolve(pins, &[&folder.join(&source)]).await?;
                fs::write(folder.join(format!("{name}.txt")), text(&source, &locked))?;
            }
            // Never installed, so that what it would need is of no interest.
            let mut bindings = resolve(pins, &[&folder.join("aws-bindings.in")]).await?;
            bindings.retain(|name, _| name == "cdktn-provider-aws");
            fs::write(folder.join("aws-bindings.txt"), text("aws-bindings.in", &bindings))?;
            Ok(())
        })
        .await
}

async fn resolve(pins: &Pins, inputs: &[&Path]) -> Result<Locked> {
    let mut pip = Command::new(toolchains::python(pins).await?);
    pip.args([
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--ignore-installed",
        "--only-binary",
        ":all:",
    ])
    .args(["--quiet", "--disable-pip-version-check", "--no-input", "--report", "-"]);
    for input in inputs {
        pip.arg("--requirement").arg(input);
    }
    let report: Report = serde_json::from_str(&run::output(&mut pip).await?).context("pip's report is not readable")?;
    report
        .install
        .into_iter()
        .map(|one| {
            let name = one.metadata.name.to_lowercase().replace('_', "-");
            let sum = one
                .download_info
                .archive_info
                .hashes
                .get("sha256")
                .context("pip reports no sha256")?;
            Ok((name, (one.metadata.version, sum.clone())))
        })
        .collect()
}

fn text(source: &str, locked: &Locked) -> String {
    let head = format!("# Made from {source} by `cargo local lock`.\n");
    locked.iter().fold(head, |mut text, (name, (version, sum))| {
        let _ = writeln!(text, "{name}=={version} \\\n    --hash=sha256:{sum}");
        text
    })
}
