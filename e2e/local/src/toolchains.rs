//! Checks first that everything needed is on the machine and says precisely what is not. Touches the network only when it installs Debian packages.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use tokio::process::Command;

use crate::layout::Layout;
use crate::pins::{self, GoModule, Pins};
use crate::progress::Progress;
use crate::run;

/// Debian's package of Python with what makes environments, and what shows that it is installed, whatever its Python.
const VENV: &str = "python3-venv";
const VENV_INSTALLED: &str = "/usr/share/doc/python3-venv";

/// What is missing and how to get it.
#[derive(Default)]
struct Missing {
    packages: Vec<String>,
    advice: Vec<String>,
}

/// Ends with one message about everything that is missing; as root on Debian the packages are installed.
pub async fn check(layout: &Layout, pins: &Pins, progress: &Progress) -> Result<()> {
    let mut missing = look(layout, pins).await?;
    if !missing.packages.is_empty() && nix::unistd::geteuid().is_root() && Path::new("/etc/debian_version").exists() {
        let line = missing.packages.join(" ");
        progress.line(format!(
            "missing Debian packages, installing them: apt-get install {line}"
        ));
        progress
            .step("apt-get install", |step| async move {
                let log = layout.build_log("apt");
                let apt = |first: &str| {
                    let mut command = Command::new("apt-get");
                    command.env("DEBIAN_FRONTEND", "noninteractive").arg(first);
                    command
                };
                run::logged(&apt("update"), &log, &step).await?;
                let packages = &missing.packages;
                run::logged(
                    apt("install").args(["-y", "--no-install-recommends"]).args(packages),
                    &log,
                    &step,
                )
                .await
            })
            .await?;
        missing = look(layout, pins).await?;
    }
    if !missing.packages.is_empty() {
        missing
            .advice
            .push(format!("apt-get install {}", missing.packages.join(" ")));
    }
    if !missing.advice.is_empty() {
        bail!("the machine lacks something:\n  - {}", missing.advice.join("\n  - "));
    }
    Ok(())
}

/// What a minimal Rust toolchain leaves out.
pub async fn check_components(rustfmt: bool, clippy: bool) -> Result<()> {
    let asked = [("rustfmt", "fmt", rustfmt), ("clippy", "clippy", clippy)];
    let mut missing = Vec::new();
    for (component, subcommand, _) in asked.into_iter().filter(|(_, _, wanted)| *wanted) {
        if first_line("cargo", &[subcommand, "--version"]).await.is_none() {
            missing.push(component);
        }
    }
    if !missing.is_empty() {
        bail!(
            "the Rust toolchain lacks {0}: rustup component add {0}",
            missing.join(" ")
        );
    }
    Ok(())
}

/// The cluster needs namespaces, mounts and cgroups.
pub fn check_root() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the local cluster needs root on Linux: run this as root");
    }
    Ok(())
}

async fn look(layout: &Layout, pins: &Pins) -> Result<Missing> {
    let mut missing = Missing::default();
    for entry in &pins.debian {
        if !entry.shows.iter().all(|shown| is_there(shown)) {
            missing.packages.push(entry.package.clone());
        }
    }
    let wanted_rust = rust_floor(layout)?;
    let rust = first_line("cargo", &["--version"]).await;
    at_least(
        &mut missing,
        "Rust",
        rust.as_deref(),
        &wanted_rust,
        "install it with rustup, https://rustup.rs",
    );
    let wanted_go = GoModule::read(layout, pins::GO)?.go()?.to_owned();
    let go = first_line("go", &["env", "GOVERSION"]).await;
    at_least(
        &mut missing,
        "Go",
        go.as_deref(),
        &wanted_go,
        "install it from https://go.dev/dl",
    );
    if !missing
        .packages
        .iter()
        .any(|package| package == "maven" || package.contains("jdk"))
    {
        let java = first_line("java", &["--version"]).await;
        at_least(
            &mut missing,
            "a JDK",
            java.as_deref(),
            &pins.toolchains.jdk,
            "Debian: default-jdk-headless",
        );
        let maven = first_line("mvn", &["--batch-mode", "--version"]).await;
        at_least(
            &mut missing,
            "Maven",
            maven.as_deref(),
            &pins.toolchains.maven,
            "Debian: maven",
        );
    }
    if python(pins).await.is_err() {
        // Only what is not installed can help: another Debian's package brings another Python.
        if Path::new(VENV_INSTALLED).exists() {
            missing.advice.push(format!(
                "Python {0} with venv is needed, exactly that version: Debian 12 has it, elsewhere put a python{0} on the path",
                pins.toolchains.python
            ));
        } else {
            missing.packages.push(VENV.to_owned());
        }
    }
    Ok(missing)
}

/// The Python of the locked version.
pub async fn python(pins: &Pins) -> Result<PathBuf> {
    let wanted = &pins.toolchains.python;
    for name in [format!("python{wanted}"), "python3".to_owned()] {
        let Some(path) = on_path(&name) else { continue };
        let prints = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])";
        if let Ok(version) = run::output(Command::new(&path).args(["-c", prints])).await
            && version.trim() == wanted
        {
            return Ok(path);
        }
    }
    bail!("Python {wanted} with venv is not on the path")
}

/// A program in the folders of `PATH`, or in those of root that a login may leave out.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn is_there(shown: &str) -> bool {
    if shown.starts_with('/') {
        Path::new(shown).exists()
    } else {
        on_path(shown).is_some()
    }
}

fn rust_floor(layout: &Layout) -> Result<String> {
    let manifest: toml::Table = toml::from_str(&fs::read_to_string(layout.root.join("Cargo.toml"))?)?;
    let floor = manifest
        .get("workspace")
        .and_then(|table| table.get("package"))
        .and_then(|table| table.get("rust-version"))
        .and_then(toml::Value::as_str);
    Ok(floor.unwrap_or("1").to_owned())
}

async fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let said = run::output(Command::new(on_path(program)?).args(arguments))
        .await
        .ok()?;
    said.lines().next().map(ToOwned::to_owned)
}

/// Compares the first thing that looks like a version in `said`.
fn at_least(missing: &mut Missing, what: &str, said: Option<&str>, wanted: &str, how: &str) {
    match said.and_then(version_in) {
        None => missing
            .advice
            .push(format!("{what} {wanted} or newer is not on the path; {how}")),
        Some(found) if pins::numbers(found) < pins::numbers(wanted) => {
            missing
                .advice
                .push(format!("{what} {wanted} or newer is needed, found {found}; {how}"));
        }
        Some(_) => {}
    }
}

fn version_in(line: &str) -> Option<&str> {
    // Maven colours its first line: the digits of an escape sequence are no version.
    let plain = line.split('\u{1b}').map(|piece| {
        if piece.starts_with('[') {
            piece.split_once('m').map_or("", |(_, rest)| rest)
        } else {
            piece
        }
    });
    plain
        .flat_map(|piece| piece.split(|c: char| !(c.is_ascii_digit() || c == '.')))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .map(|word| word.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_tools_print() {
        assert_eq!(version_in("go1.26.8"), Some("1.26.8"));
        assert_eq!(version_in("cargo 1.95.0 (f2d3ce0bd 2026-03-21)"), Some("1.95.0"));
        assert_eq!(version_in("openjdk 17.0.15 2025-04-15"), Some("17.0.15"));
        assert_eq!(version_in("\u{1b}[0mApache Maven 3.8.7\u{1b}[m"), Some("3.8.7"));
        assert_eq!(version_in("nothing"), None);
    }

    #[test]
    fn an_old_tool_and_a_missing_one_are_named() {
        let mut missing = Missing::default();
        at_least(&mut missing, "Go", Some("go1.9.1"), "1.26.0", "get it");
        at_least(&mut missing, "Rust", None, "1.94", "get it");
        at_least(&mut missing, "Maven", Some("Apache Maven 3.8.7"), "3.8", "get it");
        assert_eq!(missing.advice.len(), 2);
        assert!(missing.advice[0].contains("found 1.9.1"));
        assert!(missing.advice[1].contains("not on the path"));
    }
}
