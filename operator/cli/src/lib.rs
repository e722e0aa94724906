//! What people and their continuous integration do with the product beside `kubectl` and `helm`. No network; reads and writes files.

mod files;
mod from_terraform;

use std::ffi::OsString;
use std::path::Path;

use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use from_terraform::FromTerraformArguments;

/// As kubectl finds its plugins: a program of this name is `kubectl medallion`.
const PLUGIN: &str = "kubectl-medallion";

/// Tools for the Pipelines of medallion.dev.
#[derive(Debug, Parser)]
#[command(name = "medallion", version)]
struct Arguments {
    /// What to do.
    #[command(subcommand)]
    task: Task,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Task {
    /// Makes the Helm values and the Pipeline of an environment from what Terraform made there: terraform output -json
    FromTerraform(FromTerraformArguments),
}

/// Does what a command line says, its first word the program's own name. Help, and what clap cannot read, end the process.
pub fn run(words: impl IntoIterator<Item = OsString>) -> anyhow::Result<()> {
    let words: Vec<OsString> = words.into_iter().collect();
    let matches = command(words.first()).get_matches_from(words);
    let arguments = Arguments::from_arg_matches(&matches)?;
    match arguments.task {
        Task::FromTerraform(arguments) => from_terraform::run(&arguments),
    }
}

/// The command by the name under which it was called.
fn command(program: Option<&OsString>) -> Command {
    let is_plugin = program
        .and_then(|program| Path::new(program).file_stem())
        .is_some_and(|name| name == PLUGIN);
    let command = Arguments::command();
    if is_plugin {
        command.bin_name("kubectl medallion")
    } else {
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_speaks_of_itself_as_people_type_it() {
        let usage = |program: &str| command(Some(&OsString::from(program))).render_usage().to_string();
        assert!(usage("/usr/local/bin/kubectl-medallion").contains("kubectl medallion <COMMAND>"));
        assert!(usage("medallion").contains("Usage: medallion <COMMAND>"));
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
