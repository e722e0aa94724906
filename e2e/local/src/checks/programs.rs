//! Test programs: which ones cargo has compiled, and running them beside each other. Touches the network only as the tests do.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use tokio::process::Command;

use super::categories::Names;
use super::tally::Tally;
use crate::cargo;
use crate::context::Context;
use crate::progress::Progress;
use crate::run;

/// A test program.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// The package's folder and the target: `lake table`.
    name: String,
    executable: PathBuf,
    /// The package's, where it is started.
    folder: PathBuf,
}

/// What cargo tells of something that it has compiled, as far as it interests us.
#[derive(Deserialize)]
struct Compiled {
    manifest_path: PathBuf,
    target: Target,
    profile: Profile,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// Compiles the tests of the whole workspace that the selection picks.
pub async fn compile(context: &Context, selection: &[&str]) -> Result<Vec<Program>> {
    let mut cargo = cargo::test_programs(context, selection);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    let mut programs = Vec::new();
    run::lines(&cargo, |line| programs.extend(Program::told(line))).await?;
    Ok(programs)
}

/// Those that are named, all if none is; a name that means none of them would test nothing and pass.
pub fn picked(programs: Vec<Program>, names: &Names) -> Result<Vec<Program>> {
    let is_there = |name: &str| programs.iter().any(|program| program.is_called(name));
    if let Some(missing) = names.iter().find(|name| !is_there(name)) {
        bail!("there is no test program `{missing}`");
    }
    let is_meant = |program: &Program| names.is_empty() || names.iter().any(|name| program.is_called(name));
    Ok(programs.into_iter().filter(is_meant).collect())
}

/// Runs them two at a time, for there are two processors; one that fails does not hide the others.
pub async fn together(
    progress: &Progress,
    tally: &Tally,
    programs: Vec<Program>,
    longest: &[&str],
    stack: Option<&Path>,
) -> Result<()> {
    let count = programs.len();
    let left = RefCell::new(in_order(programs, longest));
    let next = || left.borrow_mut().pop_front();
    let lane = async || {
        let mut failed = Vec::new();
        while let Some(program) = next() {
            if let Err(error) = Box::pin(program.run(progress, tally, stack)).await {
                failed.push(format!("{}: {error:#}", program.name));
            }
        }
        failed
    };
    let (mut failed, others) = tokio::join!(lane(), lane());
    failed.extend(others);
    if !failed.is_empty() {
        bail!(
            "{} of {count} test programs fail\n  {}",
            failed.len(),
            failed.join("\n  ")
        );
    }
    Ok(())
}

/// Those that take long come first, in the order given, so that none of them goes on alone in the end.
fn in_order(mut programs: Vec<Program>, longest: &[&str]) -> VecDeque<Program> {
    let rank = |program: &Program| {
        let at = longest.iter().position(|name| *name == program.name);
        at.unwrap_or(longest.len())
    };
    programs.sort_by(|one, other| (rank(one), &one.name).cmp(&(rank(other), &other.name)));
    programs.into()
}

impl Program {
    /// The program that a line of cargo's tells of, if it does.
    fn told(line: &str) -> Option<Self> {
        let compiled: Compiled = serde_json::from_str(line).ok()?;
        let executable = compiled.executable.filter(|_| compiled.profile.test)?;
        let folder = compiled.manifest_path.parent()?.to_path_buf();
        Some(Self {
            name: format!("{} {}", folder.file_name()?.to_string_lossy(), compiled.target.name),
            executable,
            folder,
        })
    }

    /// By its whole name, or by its package's folder as one of several.
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.name.split_once(' ').is_some_and(|(folder, _)| folder == name)
    }

    /// As cargo starts it, with all that it says in one piece: others are saying something at the same time.
    async fn run(&self, progress: &Progress, tally: &Tally, stack: Option<&Path>) -> Result<()> {
        let log = self.executable.with_extension("log");
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let _told = Told {
            name: &self.name,
            log: &log,
        };
        let mut command = Command::new(&self.executable);
        command
            .current_dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder);
        if let Some(stack) = stack {
            command.env("MEDALLION_STACK", stack);
        }
        let log = log.as_path();
        let ended = progress
            .step(self.name.as_str(), |step| async move {
                step.follow(log);
                run::kept(&command, file).await
            })
            .await;
        for line in said(log).lines() {
            tally.read(line);
        }
        ended
    }
}

/// Prints what a program has said when it has ended, and when it was stopped: what came last is where it hung.
struct Told<'p> {
    name: &'p str,
    log: &'p Path,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        println!("-- {}\n{}", self.name, said(self.log));
    }
}

fn said(log: &Path) -> String {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn program(name: &str) -> Program {
        Program {
            name: name.to_owned(),
            executable: PathBuf::from(name),
            folder: PathBuf::from("/"),
        }
    }

    /// A program that is a script.
    fn script(folder: &Path, name: &str, text: &str) -> Program {
        let executable = folder.join(name);
        fs::write(&executable, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&executable, PermissionsExt::from_mode(0o755)).unwrap();
        Program {
            executable,
            folder: folder.to_path_buf(),
            ..program(name)
        }
    }

    #[test]
    fn of_what_cargo_tells_test_programs_are_taken() {
        let told = |profile: &str, executable: &str| {
            Program::told(&format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/workers/lake/Cargo.toml","target":{{"name":"table"}},
                    "profile":{{"opt_level":"2","test":{profile}}},"executable":{executable},"fresh":true}}"#
            ))
        };
        let wanted = Program {
            executable: "/t/table-1".into(),
            folder: "/w/workers/lake".into(),
            ..program("lake table")
        };
        assert_eq!(told("true", r#""/t/table-1""#), Some(wanted));
        assert_eq!(told("false", r#""/t/exporter""#), None, "a program that tests start");
        assert_eq!(told("true", "null"), None);
        assert_eq!(Program::told(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(Program::told("warning: something"), None);
    }

    #[test]
    fn the_longest_come_first_and_the_others_by_name() {
        let all = ["z short", "a short", "b longer", "c longest"].map(program);
        let order = in_order(all.into(), &["c longest", "b longer", "not there"]);
        let names = order.iter().map(|program| program.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names, ["c longest", "b longer", "a short", "z short"]);
    }

    #[test]
    fn programs_are_picked_by_folder_or_by_name_and_a_wrong_name_is_no_pick() {
        let names_of_all = [
            "kafka kafka_client",
            "kafka-admin mock",
            "lake table",
            "lake environment",
        ];
        let all = || -> Vec<Program> { names_of_all.map(program).into() };
        let names = |names: &[&'static str]| -> Result<Vec<String>> {
            let picked = picked(all(), &names.iter().copied().collect())?;
            Ok(picked.into_iter().map(|program| program.name).collect())
        };
        assert_eq!(names(&[]).unwrap().len(), 4);
        assert_eq!(names(&["kafka"]).unwrap(), ["kafka kafka_client"]);
        assert_eq!(
            names(&["lake", "kafka-admin mock"]).unwrap(),
            ["kafka-admin mock", "lake table", "lake environment"]
        );
        assert!(
            names(&["lake", "lake tables"])
                .unwrap_err()
                .to_string()
                .contains("`lake tables`")
        );
    }

    /// Each of the first two waits for what the other makes.
    #[tokio::test]
    async fn two_run_beside_each_other_and_a_failed_one_hides_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let waits = |own: &str, other: &str| {
            format!(
                "touch {own}; until [ -e {other} ]; do sleep 0.05; done; echo 'test result: ok. 2 passed; 0 failed;'"
            )
        };
        let programs = vec![
            script(folder.path(), "a", &format!("{}; exit 3", waits("one", "two"))),
            script(folder.path(), "b", &waits("two", "one")),
            script(
                folder.path(),
                "c",
                "echo 'test result: FAILED. 5 passed; 1 failed;'; exit 101",
            ),
            script(
                folder.path(),
                "d",
                "echo \"test result: ok. 1 passed; 0 failed; in $CARGO_MANIFEST_DIR of $MEDALLION_STACK\"",
            ),
        ];
        let tally = Tally::default();
        let stack = Path::new("/s/stack.json");
        let (progress, patience) = (Progress::new(), Duration::from_secs(30));
        let ended = timeout(patience, together(&progress, &tally, programs, &[], Some(stack))).await;
        let why = ended.expect("beside each other").unwrap_err().to_string();
        assert!(
            why.starts_with("2 of 4 ") && why.contains("a: ") && why.contains("c: "),
            "{why}"
        );
        assert_eq!(tally.close(false), (10, 1));
        let last = said(&folder.path().join("d.log"));
        let wanted = format!("in {} of /s/stack.json\n", folder.path().display());
        assert!(last.ends_with(&wanted), "{last}");
    }
}
