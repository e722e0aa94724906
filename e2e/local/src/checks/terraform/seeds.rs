//! Mistakes put into the files on purpose, a line each; every one must be refused, and in words that name it. Touches no network.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use super::modules;
use super::workspace::Workspace;
use super::{environments, policies};

/// What refuses a mistake.
enum Judge {
    Validation,
    /// The module's own tests.
    Tests,
    Checkov,
    /// The plan of the environment.
    Plan,
}

/// One mistake.
pub struct Seed {
    pub name: &'static str,
    /// The folder that is judged, and the file in it that has the line.
    folder: &'static str,
    file: &'static str,
    /// The first line that is this, whatever the spaces.
    line: &'static str,
    becomes: &'static str,
    judge: Judge,
    words: &'static str,
}

pub static SEEDS: [Seed; 13] = [
    Seed {
        name: "a misspelt argument",
        folder: "modules/dynamodb_table",
        file: "main.tf",
        line: r#"stream_view_type = "NEW_IMAGE""#,
        becomes: r#"stream_veiw_type = "NEW_IMAGE""#,
        judge: Judge::Validation,
        words: r#"An argument named "stream_veiw_type" is not expected here. Did you mean "stream_view_type"?"#,
    },
    Seed {
        name: "a required argument left out",
        folder: "modules/kafka_infra",
        file: "main.tf",
        line: "cluster_name = var.name",
        becomes: "",
        judge: Judge::Validation,
        words: r#"The argument "cluster_name" is required, but no definition was found."#,
    },
    Seed {
        name: "a value of the wrong type",
        folder: "modules/s3_bucket",
        file: "main.tf",
        line: "block_public_acls = true",
        becomes: r#"block_public_acls = ["yes"]"#,
        judge: Judge::Validation,
        words: r#"Inappropriate value for attribute "block_public_acls": bool required"#,
    },
    Seed {
        name: "a resource that does not exist",
        folder: "modules/notifications",
        file: "main.tf",
        line: r#"resource "aws_sns_topic" "alerts" {"#,
        becomes: r#"resource "aws_sns_topics" "alerts" {"#,
        judge: Judge::Validation,
        words: r#"does not support resource type "aws_sns_topics". Did you mean "aws_sns_topic"?"#,
    },
    Seed {
        name: "a value that AWS alone sets",
        folder: "modules/dynamodb_table",
        file: "main.tf",
        line: "stream_enabled = true",
        becomes: r#"stream_arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/1""#,
        judge: Judge::Validation,
        words: "AWS decides on stream_arn; no configuration can.",
    },
    Seed {
        name: "a bucket open to policies for everybody",
        folder: "modules/s3_bucket",
        file: "main.tf",
        line: "block_public_policy = true",
        becomes: "block_public_policy = false",
        judge: Judge::Checkov,
        words: "CKV_AWS_54",
    },
    Seed {
        name: "a topic without encryption",
        folder: "modules/notifications",
        file: "main.tf",
        line: "kms_master_key_id = module.key.arn",
        becomes: "",
        judge: Judge::Checkov,
        words: "CKV_AWS_26",
    },
    Seed {
        name: "a warehouse without encryption",
        folder: "modules/redshift_cluster",
        file: "cluster.tf",
        line: "encrypted = true",
        becomes: "encrypted = false",
        judge: Judge::Checkov,
        words: "CKV_AWS_64",
    },
    Seed {
        name: "a warehouse that the internet reaches",
        folder: "modules/redshift_cluster",
        file: "cluster.tf",
        line: "publicly_accessible = false",
        becomes: "publicly_accessible = true",
        judge: Judge::Checkov,
        words: "CKV_AWS_87",
    },
    Seed {
        name: "a bucket that takes plain HTTP",
        folder: "modules/s3_bucket",
        file: "main.tf",
        line: r#"Condition = { Bool = { "aws:SecureTransport" = "false" } }"#,
        becomes: "Condition = {}",
        judge: Judge::Tests,
        words: r#"in run "refuses_what_is_not_tls""#,
    },
    Seed {
        name: "every action on the table",
        folder: "modules/iam_roles",
        file: "table.tf",
        line: r#"[{ Sid = "Put", Effect = "Allow", Action = ["dynamodb:PutItem"], Resource = [var.table.arn] }],"#,
        becomes: r#"[{ Sid = "Put", Effect = "Allow", Action = ["*"], Resource = [var.table.arn] }],"#,
        judge: Judge::Tests,
        words: "no action has a star",
    },
    Seed {
        name: "a key that is never rotated",
        folder: "modules/kms_key",
        file: "main.tf",
        line: "enable_key_rotation = true",
        becomes: "enable_key_rotation = false",
        judge: Judge::Checkov,
        words: "CKV_AWS_7",
    },
    Seed {
        name: "a name over its limit",
        folder: "environments/prod",
        file: "../variables.tf",
        line: r#"default = "shop""#,
        becomes: r#"default = "a-shop-whose-name-is-longer-than-any-bucket-can-be-called-by""#,
        judge: Judge::Plan,
        words: "name: use 2 to 16 lower-case letters and digits",
    },
];

impl Seed {
    pub async fn refused(&self, workspace: &Workspace) -> Result<()> {
        let tree = workspace.copy(&self.name.replace(' ', "-"))?;
        let folder = tree.join(self.folder);
        self.sow(&folder.join(self.file))?;
        let judged = match self.judge {
            Judge::Validation => modules::validate(workspace, &folder).await,
            Judge::Tests => own_tests(workspace, &folder).await,
            Judge::Checkov => policies::module(workspace, &tree, self.folder).await,
            Judge::Plan => environments::plan(workspace, &folder).await,
        };
        let Err(error) = judged else {
            bail!("nobody refuses it");
        };
        let said = unwrapped(&format!("{error:#}"));
        ensure!(
            said.contains(self.words),
            "refused, but not with `{}`: {said}",
            self.words
        );
        Ok(())
    }

    fn sow(&self, file: &Path) -> Result<()> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let mut found = false;
        let lines = text.lines().map(|line| {
            let is_it = !found && line.split_whitespace().eq(self.line.split_whitespace());
            found |= is_it;
            if is_it { self.becomes } else { line }
        });
        let text = lines.flat_map(|line| [line, "\n"]).collect::<String>();
        ensure!(found, "{} has no line `{}` any more", file.display(), self.line);
        Ok(fs::write(file, text)?)
    }
}

async fn own_tests(workspace: &Workspace, folder: &Path) -> Result<()> {
    workspace.done(folder, &["init", "-backend=false", "-no-color"]).await?;
    workspace.done(folder, &["test", "-no-color"]).await.map(drop)
}

/// Messages are broken into lines as wide as a terminal, some with a bar before each.
fn unwrapped(text: &str) -> String {
    text.split_whitespace()
        .filter(|word| *word != "│")
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_changes_whatever_its_spaces_and_a_line_that_is_gone_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(
            file.path(),
            "  hash_key   = \"key\"\n  stream_view_type  = \"NEW_IMAGE\"\n",
        )
        .unwrap();
        let seed = &SEEDS[0];
        seed.sow(file.path()).unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        assert_eq!(text, "  hash_key   = \"key\"\nstream_veiw_type = \"NEW_IMAGE\"\n");
        let error = seed.sow(file.path()).unwrap_err().to_string();
        assert!(error.contains("has no line `stream_view_type"), "{error}");
    }

    #[test]
    fn a_message_is_read_over_its_line_breaks() {
        assert_eq!(
            unwrapped("│ An argument named\n│ \"x\" is\n"),
            "An argument named \"x\" is"
        );
    }
}
