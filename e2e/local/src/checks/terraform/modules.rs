//! Each module and each root by itself: valid, and its own tests pass. Touches no network.

use std::path::Path;

use anyhow::{Result, ensure};

use super::report::Report;
use super::workspace::{Workspace, name};
use crate::run::{self, Ended};

/// The files are written as `fmt` writes them.
pub async fn format(workspace: &Workspace) -> Result<()> {
    let arguments = ["fmt", "-check", "-diff", "-recursive", "-no-color"];
    workspace.done(&workspace.files, &arguments).await.map(drop)
}

/// Validates a module or root, and runs its tests.
pub async fn check(workspace: &Workspace, report: &Report<'_>, folder: &Path) {
    let name = name(folder);
    let valid = report.check(format!("{name} is valid"), validate(workspace, folder));
    if valid.await.is_none() {
        return;
    }
    if folder.join("tests").is_dir() {
        match tested(workspace, folder).await {
            Ok((passed, failed)) => report.checked(&format!("tests of {name}"), passed, failed),
            Err(error) => report.checked(
                &format!("tests of {name}"),
                0,
                vec![("all".to_owned(), format!("{error:#}"))],
            ),
        }
    } else if folder.parent().is_some_and(|parent| parent.ends_with("modules")) {
        report.checked(&name, 0, vec![("tests".to_owned(), "the module has none".to_owned())]);
    }
}

/// `init` without a backend, and `validate`.
pub async fn validate(workspace: &Workspace, folder: &Path) -> Result<()> {
    workspace.done(folder, &["init", "-backend=false", "-no-color"]).await?;
    workspace.done(folder, &["validate", "-no-color"]).await.map(drop)
}

/// How many runs passed, and the others with what was said.
async fn tested(workspace: &Workspace, folder: &Path) -> Result<(u64, Vec<(String, String)>)> {
    let Ended { code, text } = run::ended(&mut workspace.tofu(folder, &["test", "-no-color"])).await?;
    let (passed, failed) = runs(&text);
    let mut failed: Vec<_> = failed.into_iter().map(|run| (run, text.trim().to_owned())).collect();
    if code != Some(0) && failed.is_empty() {
        failed.push(("all".to_owned(), text.trim().to_owned()));
    }
    ensure!(passed > 0 || !failed.is_empty(), "not one run in its tests");
    Ok((passed, failed))
}

/// Reads `run "name"... pass`.
fn runs(text: &str) -> (u64, Vec<String>) {
    let (mut passed, mut failed) = (0, Vec::new());
    for line in text.lines() {
        let run = line
            .trim()
            .strip_prefix("run \"")
            .and_then(|rest| rest.split_once("\"... "));
        match run {
            Some((_, "pass")) => passed += 1,
            Some((name, _)) => failed.push(format!("run {name}")),
            None => {}
        }
    }
    (passed, failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_counted_and_those_that_failed_are_named() {
        let text = "tests/a.tftest.hcl... fail\n  run \"planned\"... pass\n  run \"long name refused\"... fail\n\nError: x\n\n  \
                    run \"late\"... skip\n\nFailure! 1 passed, 1 failed, 1 skipped.\n";
        let failed = ["run long name refused", "run late"].map(ToOwned::to_owned).to_vec();
        assert_eq!(runs(text), (1, failed));
    }
}
