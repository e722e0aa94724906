//! What the command is told, and the command as it was typed. No network; reads files and standard input.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

/// What standard input is called in errors.
const STANDARD_INPUT: &str = "standard input";

/// Where to read, and where to write.
#[derive(Args, Clone, Debug)]
pub(crate) struct FromTerraformArguments {
    /// File with what `terraform output -json` printed; left out or -: standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(super) outputs: PathBuf,
    /// The Pipeline's manifest without what differs from one environment to the other: contract, stages, budgets; -: standard input
    #[arg(long, value_name = "FILE")]
    pub(super) pipeline: PathBuf,
    /// The dbt project's image: a tag or a digest (sha256:...) in the environment's repository, or a whole reference
    #[arg(long, value_name = "IMAGE")]
    pub(super) dbt_image: String,
    /// Folder to write values.yaml and pipeline.yaml into; left out: both are printed
    #[arg(long, value_name = "FOLDER")]
    pub(super) into: Option<PathBuf>,
    /// Overwrite files in the folder that hold another text
    #[arg(long, requires = "into")]
    pub(super) force: bool,
}

impl FromTerraformArguments {
    /// The command as it would be typed, but for where the files go.
    pub(super) fn command(&self) -> String {
        let (before, outputs) = if is_standard_input(&self.outputs) {
            ("terraform output -json | ", String::new())
        } else {
            ("", format!(" --outputs {}", quoted(&named(&self.outputs))))
        };
        let pipeline = if is_standard_input(&self.pipeline) {
            "-".to_owned()
        } else {
            quoted(&named(&self.pipeline))
        };
        let dbt_image = quoted(&self.dbt_image);
        format!("{before}medallion from-terraform{outputs} --pipeline {pipeline} --dbt-image {dbt_image}")
    }
}

/// Whether a file is no file but what is piped in.
pub(super) fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// A file as errors name it.
pub(super) fn named(path: &Path) -> String {
    if is_standard_input(path) {
        STANDARD_INPUT.to_owned()
    } else {
        path.display().to_string()
    }
}

/// All of a file's text.
pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    let read = if is_standard_input(path) {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    read.with_context(|| format!("cannot read {}", named(path)))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@+=,".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(quoted("base.yaml"), "base.yaml");
        assert_eq!(quoted("sha256:0a1b"), "sha256:0a1b");
        assert_eq!(quoted("my base.yaml"), "'my base.yaml'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
