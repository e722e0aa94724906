//! Reads the pinned versions in `e2e/parts`. Touches no network.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::layout::Layout;

/// `parts.toml`: what no lock file can say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    pub toolchains: Toolchains,
    pub maven: Maven,
    pub base_image: BaseImage,
    pub pause: Pause,
    pub debian: Vec<DebianPackage>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toolchains {
    pub jdk: String,
    pub maven: String,
    pub python: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maven {
    pub dependency_plugin: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseImage {
    pub suite: String,
    pub packages: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    pub tag: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebianPackage {
    pub package: String,
    /// Programs on the path, or files by absolute name.
    pub shows: Vec<String>,
}

impl Pins {
    pub fn read(layout: &Layout) -> Result<Self> {
        let path = layout.pins().join("parts.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not right", path.display()))
    }
}

/// The folder of the Go parts that share a `go.mod`.
pub const GO: &str = "go";

/// A `go.mod` of Go parts, as far as it interests us.
pub struct GoModule {
    pub folder: PathBuf,
    text: String,
}

impl GoModule {
    /// That of the parts in a folder of the pins.
    pub fn read(layout: &Layout, folder: &str) -> Result<Self> {
        let folder = layout.pins().join(folder);
        let path = folder.join("go.mod");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { folder, text })
    }

    /// The version required of a module, such as `v1.36.3`.
    pub fn version(&self, module: &str) -> Result<&str> {
        self.text
            .lines()
            .map(|line| line.trim().trim_start_matches("require "))
            .find_map(|line| line.strip_prefix(module)?.strip_prefix(' ')?.split_whitespace().next())
            .with_context(|| format!("{} does not require {module}", self.folder.join("go.mod").display()))
    }

    /// The oldest Go that builds it.
    pub fn go(&self) -> Result<&str> {
        self.text
            .lines()
            .find_map(|line| line.strip_prefix("go "))
            .with_context(|| format!("{} has no go line", self.folder.join("go.mod").display()))
    }
}

/// `1.26.8` as numbers, for comparing; what is not a number counts as zero.
pub fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

/// The version of a Maven artifact in a `pom.xml` of ours, one dependency per line.
pub fn maven_version(pom: &Path, artifact: &str) -> Result<String> {
    let text = fs::read_to_string(pom).with_context(|| format!("cannot read {}", pom.display()))?;
    let after = format!("<artifactId>{artifact}</artifactId><version>");
    text.split_once(&after)
        .and_then(|(_, rest)| rest.split_once('<'))
        .map(|(version, _)| version.to_owned())
        .with_context(|| format!("{} does not name {artifact}", pom.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_pins_are_read() {
        let layout = Layout::find().unwrap();
        let pins = Pins::read(&layout).unwrap();
        assert!(pins.debian.iter().any(|p| p.package == "runc"));
        let emulator = GoModule::read(&layout, "rie").unwrap();
        let version = emulator.version("github.com/aws/aws-lambda-runtime-interface-emulator");
        assert!(version.unwrap().starts_with("v0.0.0-"));
        for (folder, module) in [
            ("terraform", "github.com/opentofu/opentofu"),
            ("terraform", "github.com/hashicorp/terraform-plugin-go"),
            ("tflint", "github.com/terraform-linters/tflint"),
        ] {
            let locked = GoModule::read(&layout, folder).unwrap();
            assert!(locked.version(module).unwrap().starts_with('v'), "{module}");
        }
        let go = GoModule::read(&layout, GO).unwrap();
        assert!(go.version("k8s.io/kubernetes").unwrap().starts_with("v1."));
        assert!(numbers(go.go().unwrap()) >= vec![1, 26]);
        let kafka = maven_version(&layout.pins().join("kafka/pom.xml"), "kafka-server").unwrap();
        assert!(kafka.starts_with("4."));
    }
}
