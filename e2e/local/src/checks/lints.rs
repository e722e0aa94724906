//! Lets cargo lint the workspace with the dependencies that it is compiled with, instead of checking all of them once more. Touches no network.
//!
//! `cargo clippy` looks at every dependency in a mode of its own, whose results no compilation can use. Cargo can be given a
//! program to call instead of the compiler for the workspace's own crates: this one. It becomes clippy's driver and has it
//! write what other crates need to know and nothing that runs; where cargo expects more, it finds an empty file.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Clippy's own compiler.
const DRIVER: &str = "clippy-driver";

/// If cargo has called this program instead of the compiler: becomes the linter, and gives only what kept it from that.
pub fn as_compiler() -> Option<io::Error> {
    let compiler = PathBuf::from(env::args_os().nth(1)?);
    if compiler.file_stem() != Some(OsStr::new("rustc")) {
        return None;
    }
    let arguments: Vec<String> = env::args().skip(2).collect();
    // Questions about the compiler, and what is compiled to be run here and now.
    let Some(lint) = Lint::of(&arguments, is_empty) else {
        return Some(Command::new(compiler).args(arguments).exec());
    };
    if let Some(error) = lint.stand_ins.iter().find_map(|file| File::create(file).err()) {
        return Some(error);
    }
    let driver = compiler.with_file_name(DRIVER);
    let driver = if driver.is_file() {
        driver
    } else {
        PathBuf::from(DRIVER)
    };
    // The driver, too, is told that it stands in for the compiler by being given its name.
    Some(Command::new(driver).arg(compiler).args(lint.arguments).exec())
}

fn is_empty(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| found.len() == 0)
}

/// How to lint what cargo wants to be compiled.
#[derive(Debug, Eq, PartialEq)]
struct Lint {
    arguments: Vec<String>,
    /// Files that cargo expects and that linting does not make. Not of programs: cargo would put them where people call them.
    stand_ins: Vec<PathBuf>,
}

impl Lint {
    /// None for what is to be done as cargo says.
    fn of(arguments: &[String], is_stand_in: impl Fn(&Path) -> bool) -> Option<Self> {
        let name = after(arguments, "--crate-name")?;
        let kind = after(arguments, "--crate-type");
        let emits = |argument: &String| argument.starts_with("--emit=");
        if !arguments.iter().any(emits) || name.starts_with("build_script_") || kind == Some("proc-macro") {
            return None;
        }
        let own = |argument: &String| {
            if emits(argument) {
                return "--emit=dep-info,metadata".to_owned();
            }
            let file = Path::new(argument.rsplit_once('=').map_or("", |(_, file)| file));
            if file.extension() == Some(OsStr::new("rlib")) && is_stand_in(file) {
                return format!("{}.rmeta", argument.trim_end_matches(".rlib"));
            }
            argument.clone()
        };
        let folder = Path::new(after(arguments, "--out-dir").unwrap_or_default());
        let suffix = arguments.iter().find_map(|one| one.strip_prefix("extra-filename="));
        let suffix = suffix.unwrap_or_default();
        let stand_in = if arguments.iter().any(|one| one == "--test") {
            Some(format!("{name}{suffix}"))
        } else if kind != Some("bin") {
            Some(format!("lib{name}{suffix}.rlib"))
        } else {
            None
        };
        Some(Self {
            arguments: arguments.iter().map(own).collect(),
            stand_ins: stand_in.into_iter().map(|file| folder.join(file)).collect(),
        })
    }
}

/// The value that follows an option.
fn after<'a>(arguments: &'a [String], option: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|one| one == option)?;
    arguments.get(at + 1).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In which `ours` has been linted and `theirs` compiled.
    fn lint(call: &str) -> Option<Lint> {
        let arguments: Vec<String> = call.split_whitespace().map(ToOwned::to_owned).collect();
        Lint::of(&arguments, |file| file.ends_with("libours-1.rlib"))
    }

    fn known(lint: &Lint) -> (String, Vec<String>) {
        let files = lint.stand_ins.iter().map(|file| file.display().to_string());
        (lint.arguments.join(" "), files.collect())
    }

    const OTHERS: &str = "--extern ours=/t/libours-1.rlib --extern theirs=/t/libtheirs-2.rlib --out-dir /t";
    const LINTED: &str = "--extern ours=/t/libours-1.rmeta --extern theirs=/t/libtheirs-2.rlib --out-dir /t";

    #[test]
    fn a_library_and_a_test_are_linted_and_stood_in_for() {
        let call = |emit, kind, externs| format!("--crate-name a {kind} {emit} -C extra-filename=-9 {externs}");
        let found = lint(&call("--emit=dep-info,metadata,link", "--crate-type lib", OTHERS)).unwrap();
        let wanted = call("--emit=dep-info,metadata", "--crate-type lib", LINTED);
        assert_eq!(known(&found), (wanted, vec!["/t/liba-9.rlib".to_owned()]));
        let found = lint(&call("--emit=dep-info,link", "--test", OTHERS)).unwrap();
        let wanted = call("--emit=dep-info,metadata", "--test", LINTED);
        assert_eq!(known(&found), (wanted, vec!["/t/a-9".to_owned()]));
    }

    #[test]
    fn no_empty_program_comes_to_where_people_call_it() {
        let found =
            lint("--crate-name a --crate-type bin --emit=dep-info,link -C extra-filename=-9 --out-dir /t").unwrap();
        assert_eq!(found.stand_ins, Vec::<PathBuf>::new());
    }

    #[test]
    fn questions_and_what_runs_while_compiling_are_left_alone() {
        for call in [
            "-vV",
            "- --crate-name ___ --print=file-names --crate-type bin",
            "--crate-name build_script_build --crate-type bin --emit=dep-info,link",
            "--crate-name a --crate-type proc-macro --emit=dep-info,link",
        ] {
            assert_eq!(lint(call), None, "{call}");
        }
    }
}
