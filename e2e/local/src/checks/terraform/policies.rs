//! checkov and tflint on the Terraform files and on plans, and that nothing is skipped without a reason. Touches no network.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::workspace::{Workspace, files, folders};
use crate::run::{self, Ended};

/// What is skipped everywhere, a reason behind each: in the files as they are written, and in plans.
const OF_FILES: &str = ".checkov.yaml";
const OF_PLANS: &str = ".checkov-plan.yaml";
/// What skips a check at one resource: `#checkov:skip=ID:reason`.
const SKIP: &str = "checkov:skip=";
/// Shorter than this nobody gives a reason.
const REASON: usize = 15;

/// All modules as they are written.
pub async fn source(workspace: &Workspace) -> Result<()> {
    module(workspace, &workspace.files, "modules").await
}

/// What lies in a folder of a tree, as it is written. Fails with the id and the place of each check that failed.
pub async fn module(workspace: &Workspace, tree: &Path, folder: &str) -> Result<()> {
    let arguments = ["--directory", folder, "--framework", "terraform"];
    judge(workspace, tree, OF_FILES, &arguments).await
}

/// What a plan would make, by the stand-in's answers; skips are read from the files that it was made from.
pub async fn plan(workspace: &Workspace, folder: &Path, plan: &Path) -> Result<()> {
    let (plan, folder) = (plan.to_string_lossy(), folder.to_string_lossy());
    let arguments = [
        "--file",
        &plan,
        "--framework",
        "terraform_plan",
        "--repo-root-for-plan-enrichment",
        &folder,
    ];
    judge(workspace, &workspace.files, OF_PLANS, &arguments).await
}

async fn judge(workspace: &Workspace, tree: &Path, settings: &str, arguments: &[&str]) -> Result<()> {
    let mut checkov = Command::new(&workspace.tools.checkov);
    checkov
        .current_dir(tree)
        .env("HOME", &workspace.folder)
        // It would ask its makers for more.
        .arg("--skip-download")
        .args(["--config-file", settings, "--output", "json", "--compact", "--quiet"])
        .args(arguments);
    let Ended { text, .. } = run::ended(&mut checkov).await?;
    verdict(&text)
}

fn verdict(text: &str) -> Result<()> {
    let from = text.find(['{', '[']).with_context(|| format!("checkov says: {text}"))?;
    let mut read = serde_json::Deserializer::from_str(&text[from..]).into_iter::<Value>();
    let said = read
        .next()
        .with_context(|| format!("checkov says: {text}"))?
        .with_context(|| format!("checkov says: {text}"))?;
    let reports = match said {
        Value::Array(reports) => reports,
        one => vec![one],
    };
    let (mut passed, mut failed) = (0, Vec::new());
    for report in &reports {
        passed += report["summary"]["passed"].as_u64().unwrap_or_default();
        let unread = report["summary"]["parsing_errors"].as_u64();
        ensure!(unread.unwrap_or_default() == 0, "checkov cannot read all files: {text}");
        let found = report["results"]["failed_checks"].as_array();
        for check in found.into_iter().flatten() {
            let words = ["check_id", "check_name", "resource"].map(|field| check[field].as_str().unwrap_or_default());
            failed.push(words.join(" "));
        }
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("; "));
    }
    ensure!(passed > 0, "checkov found nothing to judge: {text}");
    Ok(())
}

/// Every skip, of a resource and of all, says why.
pub fn reasons(tree: &Path) -> Result<()> {
    let mut without = Vec::new();
    for file in files(tree, ".tf")? {
        let text = fs::read_to_string(&file)?;
        for (number, line) in text.lines().enumerate() {
            let skip = line.split_once(SKIP).map(|(_, rest)| rest);
            let reason = skip.map(|skip| skip.split_once(':').map_or("", |(_, reason)| reason.trim()));
            if reason.is_some_and(|reason| reason.len() < REASON) {
                without.push(format!("{}:{}", file.display(), number + 1));
            }
        }
    }
    for settings in [OF_FILES, OF_PLANS] {
        let text = fs::read_to_string(tree.join(settings)).context(settings)?;
        for line in text.lines().filter(|line| line.trim_start().starts_with("- CKV")) {
            if line
                .split_once('#')
                .is_none_or(|(_, reason)| reason.trim().len() < REASON)
            {
                without.push(format!("{settings}: {}", line.trim()));
            }
        }
    }
    ensure!(without.is_empty(), "skipped without a reason: {}", without.join(", "));
    Ok(())
}

/// Types, descriptions, names, and what nobody uses, in each folder by itself: the environments share files that are no module.
pub async fn lint(workspace: &Workspace) -> Result<()> {
    let mut every = folders(&workspace.files.join("modules"))?;
    every.extend(folders(&workspace.files.join("environments"))?);
    every.push(workspace.files.join("bootstrap"));
    let mut found = Vec::new();
    for folder in &every {
        let mut tflint = Command::new(&workspace.tools.tflint);
        tflint
            .current_dir(folder)
            .env("HOME", &workspace.folder)
            .args(["--no-color", "--format=compact", "--config"])
            .arg(workspace.files.join(".tflint.hcl"));
        let Ended { code, text } = run::ended(&mut tflint).await?;
        if code != Some(0) {
            found.push(format!("{}: {}", folder.display(), text.trim()));
        }
    }
    ensure!(found.is_empty(), "{}", found.join("; "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_named_and_nothing_to_judge_is_a_failure() {
        let failed = r#"{"check_type": "terraform", "summary": {"passed": 3, "parsing_errors": 0}, "results": {"failed_checks": [
            {"check_id": "CKV_AWS_26", "check_name": "Ensure all is encrypted", "resource": "aws_sns_topic.this"}]}}"#;
        let error = verdict(failed).unwrap_err().to_string();
        assert_eq!(error, "CKV_AWS_26 Ensure all is encrypted aws_sns_topic.this");
        let passed = r#"a warning
            [{"summary": {"passed": 3, "parsing_errors": 0}, "results": {"failed_checks": []}}]"#;
        verdict(passed).unwrap();
        assert!(verdict(r#"{"passed": 0, "failed": 0, "resource_count": 0}"#).is_err());
        assert!(verdict("Traceback").is_err());
        let unread = failed.replace(r#""parsing_errors": 0"#, r#""parsing_errors": 1"#);
        assert!(verdict(&unread).unwrap_err().to_string().contains("cannot read"));
    }

    #[test]
    fn a_skip_without_a_reason_is_found_in_each_place() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write(
            "good.tf",
            "  #checkov:skip=CKV_AWS_144:one region is what was asked for\n",
        );
        for settings in [OF_FILES, OF_PLANS] {
            write(
                settings,
                "skip-check:\n  - CKV_AWS_144 # one region is what was asked for\n",
            );
        }
        reasons(folder.path()).unwrap();
        write(
            "bad.tf",
            "\n  #checkov:skip=CKV_AWS_144:no\n  # checkov:skip=CKV_AWS_18\n",
        );
        write(OF_FILES, "skip-check:\n  - CKV_AWS_145\n");
        write(OF_PLANS, "skip-check:\n  - CKV_AWS_146\n");
        let error = reasons(folder.path()).unwrap_err().to_string();
        for place in ["bad.tf:2", "bad.tf:3", "CKV_AWS_145", "CKV_AWS_146"] {
            assert!(error.contains(place), "{error}");
        }
    }
}
