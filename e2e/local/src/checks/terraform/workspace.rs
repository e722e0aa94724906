//! A copy of the Terraform files and what OpenTofu needs to work on it; nothing is ever written into the tree. Touches no network.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::cache;
use crate::fetch::terraform::Tools;
use crate::layout::Layout;
use crate::run::{self, Ended};

/// The folder of the Terraform files in the tree.
pub const TREE: &str = "terraform";
/// What a person's own use of the files leaves beside them.
const LEFTOVERS: [&str; 5] = [
    ".terraform",
    ".terraform.lock.hcl",
    ".tfstate",
    ".tfstate.backup",
    ".tfvars",
];

/// A folder of its own for the whole phase.
pub struct Workspace {
    pub folder: PathBuf,
    pub tools: Tools,
    /// The files as they are in the tree. Nobody works here.
    pub files: PathBuf,
}

impl Workspace {
    pub async fn make(layout: &Layout, tools: Tools) -> Result<Self> {
        let folder = layout
            .cache
            .join("making")
            // As the cache names what is being made, so that it is swept when we are killed.
            .join(format!("terraform-{}", std::process::id()));
        cache::clear(&folder)?;
        let files = folder.join(TREE);
        copy(&layout.root.join(TREE), &files)?;
        fs::write(folder.join("types"), types(&files)?)?;
        let workspace = Self { folder, tools, files };
        workspace.mirror().await?;
        Ok(workspace)
    }

    /// A copy to work in.
    pub fn copy(&self, name: &str) -> Result<PathBuf> {
        let to = self.folder.join("copies").join(name);
        copy(&self.files, &to)?;
        Ok(to)
    }

    /// `tofu` in a folder, with the stand-in as its only provider.
    pub fn tofu(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut tofu = Command::new(&self.tools.tofu);
        tofu.args(arguments)
            .current_dir(folder)
            // Nothing of whoever calls us: neither settings nor credentials.
            .env("HOME", &self.folder)
            .env_remove("TF_CLI_ARGS")
            .env_remove("TF_DATA_DIR")
            .env_remove("TF_WORKSPACE")
            .env("TF_CLI_CONFIG_FILE", self.folder.join("cli.hcl"))
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0")
            .env("CHECKPOINT_DISABLE", "1")
            // Go's garbage collector, of the provider too: memory is there, processors are not.
            .env("GOGC", "400")
            .env("AWS_STAND_IN_SCHEMAS", &self.tools.schemas)
            .env("AWS_STAND_IN_TYPES", self.folder.join("types"));
        tofu
    }

    /// What `tofu` prints; its error is all that it said.
    pub async fn done(&self, folder: &Path, arguments: &[&str]) -> Result<String> {
        let Ended { code, text } = run::ended(&mut self.tofu(folder, arguments)).await?;
        ensure!(code == Some(0), "tofu {}: {}", arguments.join(" "), text.trim());
        Ok(text)
    }

    /// What `tofu show -json` and the like print, without the words of the provider.
    pub async fn json(&self, folder: &Path, arguments: &[&str]) -> Result<Value> {
        let text = run::output(&mut self.tofu(folder, arguments)).await?;
        serde_json::from_str(&text).with_context(|| format!("tofu {} prints no JSON", arguments.join(" ")))
    }

    /// Puts the stand-in where the command line looks for the real provider.
    async fn mirror(&self) -> Result<()> {
        let settings = self.folder.join("cli.hcl");
        fs::write(&settings, "")?;
        let modules = folders(&self.files.join("modules"))?;
        let first = modules.first().context("there are no modules")?;
        let about = self.json(first, &["show", "-json", "-module=."]).await?;
        let name = about["provider_config"]["aws"]["full_name"]
            .as_str()
            .with_context(|| format!("{} does not use the AWS provider", first.display()))?;
        let version = &self.tools.provider_version;
        let mirror = self.folder.join("mirror");
        let place = mirror.join(name).join(version).join(platform());
        fs::create_dir_all(&place)?;
        fs::copy(
            &self.tools.provider,
            place.join(format!("terraform-provider-aws_v{version}")),
        )?;
        let text = format!(
            "provider_installation {{\n  filesystem_mirror {{\n    path    = \"{}\"\n    include = [\"*/*/*\"]\n  }}\n}}\n",
            mirror.display()
        );
        Ok(fs::write(settings, text)?)
    }
}

/// As Go names it.
fn platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}_{architecture}", std::env::consts::OS)
}

/// The folders in a folder, in order, without hidden ones.
pub fn folders(of: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(of).with_context(|| of.display().to_string())? {
        let path = entry?.path();
        let hidden = name(&path).starts_with('.');
        if path.is_dir() && !hidden {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The last part of a path.
pub fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Links stay links: the environments share files by them.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let what = entry.file_type()?;
        if LEFTOVERS.iter().any(|leftover| name(&source).ends_with(leftover)) {
            continue;
        }
        if what.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, target)?;
        } else if what.is_dir() {
            copy(&source, &target)?;
        } else {
            fs::copy(source, target)?;
        }
    }
    Ok(())
}

/// Every file below a folder whose name ends so; links are not followed.
pub fn files(below: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).with_context(|| below.display().to_string())? {
        let entry = entry?;
        let what = entry.file_type()?;
        if what.is_dir() {
            found.extend(files(&entry.path(), ending)?);
        } else if what.is_file() && name(&entry.path()).ends_with(ending) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The names of all types in use, a line each: a provider with all that there are takes seconds to start.
fn types(tree: &Path) -> Result<String> {
    let mut types = BTreeSet::new();
    for file in files(tree, ".tf")? {
        let text = fs::read_to_string(&file)?;
        let is_type = |word: &&str| {
            word.starts_with("aws_")
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        types.extend(text.split('"').filter(is_type).map(|word| format!("{word}\n")));
    }
    Ok(types.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_files_and_links_and_nothing_that_a_person_left() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let root = from.join("environments/dev");
        fs::create_dir_all(root.join(".terraform/providers")).unwrap();
        for file in [
            "main.tf",
            "terraform.tfstate",
            "mine.auto.tfvars",
            ".terraform.lock.hcl",
        ] {
            fs::write(
                root.join(file),
                "resource \"aws_s3_bucket\" \"this\" {\n  bucket = \"aws_is no type\"\n}\n",
            )
            .unwrap();
        }
        std::os::unix::fs::symlink("../variables.tf", root.join("variables.tf")).unwrap();
        copy(&from, &to).unwrap();
        let mut found: Vec<_> = fs::read_dir(to.join("environments/dev"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(found, ["main.tf", "variables.tf"]);
        assert!(to.join("environments/dev/variables.tf").is_symlink());
        assert_eq!(types(&to).unwrap(), "aws_s3_bucket\n");
    }
}
