//! What was deleted from a bucket with versions comes back by the runbook's own commands, and a reader without any code of the product agrees.
//! Touches loopback alone, but for missing parts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::moto::Moto;
use super::report::Report;
use super::workspace::Workspace;
use crate::context::Context;
use crate::fetch::python;
use crate::run::{self, Ended};

const RUNBOOKS: &str = "docs/runbooks.md";
const SECTION: &str = "\n## Bringing back what was deleted\n";
const AWS: &str = include_str!("recovery/aws.py");
const READER: &str = include_str!("recovery/reader.py");
const BUCKET: &str = "shop-gold";
const TABLE: &str = "orders";
/// The newest two of the versions that the reader writes.
const NEWEST: [u8; 2] = [2, 3];
const IN_REGION: &str = "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                         <LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
const VERSIONED: &str = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                         <Status>Enabled</Status></VersioningConfiguration>";

/// A data file and two entries of a table's log.
pub async fn check(context: &Context, workspace: &Workspace, report: &Report<'_>) {
    let name = "what was deleted comes back by the runbook's commands";
    report.check(name, recovered(context, workspace)).await;
}

async fn recovered(context: &Context, workspace: &Workspace) -> Result<()> {
    let place = Place::make(context, workspace).await?;
    let moto = &place.moto;
    moto.s3("PUT", &format!("/{BUCKET}"), IN_REGION).await?;
    moto.s3("PUT", &format!("/{BUCKET}?versioning"), VERSIONED).await?;
    let Ended { code, text: before } = place.reader("write").await?;
    ensure!(code == Some(0), "the table could not be written: {before}");
    let file = before.lines().nth(1).context("the reader names no file")?.to_owned();
    let entries = NEWEST.map(|version| format!("_delta_log/{version:020}.json"));
    for key in entries.iter().chain([&file]) {
        moto.s3("DELETE", &format!("/{BUCKET}/{TABLE}/{key}"), "").await?;
    }
    let Ended { code, text: without } = place.reader("read").await?;
    ensure!(
        code != Some(0),
        "nothing is missing, although files were deleted: {without}"
    );

    let page = fs::read_to_string(context.layout.root.join(RUNBOOKS))?;
    let commands = commands(&page)?.replace("BUCKET", BUCKET).replace("TABLE", TABLE);
    let said = place.shell(&commands).await?;
    let Ended { code, text: after } = place.reader("read").await?;
    ensure!(
        code == Some(0) && after == before,
        "the table does not read as before: {after}, before {before}; the commands said {said}"
    );
    Ok(())
}

/// An S3 with versions, and those who speak to it.
struct Place {
    moto: Moto,
    folder: PathBuf,
    /// Of the commands that the runbook names.
    boto: PathBuf,
    /// Of the reader.
    deltalake: PathBuf,
}

impl Place {
    async fn make(context: &Context, workspace: &Workspace) -> Result<Self> {
        let folder = workspace.folder.join("recovery");
        fs::create_dir_all(&folder)?;
        for (name, program) in [("aws.py", AWS), ("reader.py", READER)] {
            fs::write(folder.join(name), program)?;
        }
        let (layout, pins, progress) = (&context.layout, &context.pins, &context.progress);
        let wheels = python::wheels(layout, pins, progress).await?;
        let environment = python::environment(layout, pins, progress, &wheels).await?;
        Ok(Self {
            moto: Moto::start(&workspace.tools.moto, &folder).await?,
            boto: workspace.tools.moto.with_file_name("python"),
            deltalake: environment.join("bin/python"),
            folder,
        })
    }

    async fn reader(&self, what: &str) -> Result<Ended> {
        let mut reader = self.told(&self.deltalake);
        reader.arg("reader.py").args([what, &format!("s3://{BUCKET}/{TABLE}")]);
        run::ended(&mut reader).await
    }

    /// What the commands say; how they end is seen by the reader.
    async fn shell(&self, commands: &str) -> Result<String> {
        let mut shell = self.told(Path::new("bash"));
        let aws = format!("aws() {{ '{}' aws.py \"$@\"; }}", self.boto.display());
        shell.args(["-c", &format!("{aws}\n{commands}")]);
        Ok(run::ended(&mut shell).await?.text)
    }

    /// In the folder, and by nobody's own settings and credentials.
    fn told(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.folder)
            .env("HOME", &self.folder)
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.moto.address))
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_DEFAULT_REGION", "eu-west-1");
        command
    }
}

/// All commands of the runbook's section, one after the other.
fn commands(page: &str) -> Result<String> {
    let (_, section) = page
        .split_once(SECTION)
        .with_context(|| format!("{RUNBOOKS} has no section{SECTION}"))?;
    let blocks: Vec<_> = section
        .split("```sh\n")
        .skip(1)
        .filter_map(|block| block.split_once("```"))
        .map(|(block, _)| block)
        .collect();
    ensure!(!blocks.is_empty(), "{RUNBOOKS}: the section has no commands");
    Ok(blocks.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_the_section_are_taken_and_no_others() {
        let page = "```sh\nnot this\n```\n\n## Bringing back what was deleted\n\n1. See:\n   ```sh\n   first\n   ```\n2. Do:\n   ```sh\n   second\n   ```\n";
        let lines: Vec<_> = commands(page)
            .unwrap()
            .lines()
            .map(|line| line.trim().to_owned())
            .collect();
        assert_eq!(lines, ["first", "second", ""]);
        assert!(commands("nothing").is_err());
        assert!(commands("\n## Bringing back what was deleted\n\nnothing\n").is_err());
    }
}
