//! `cargo local`: builds, starts, watches and stops the real parts that the product is shown and tested on.
//!
//! Modules, from the outside in: `commands` (what a person types), `checks` (the phases of `test`), `toolchains`,
//! `fetch`, `images` and `functions` (what is needed), `stack` (one running stack, from the host), `inside` and `parts` (the same
//! from within its namespaces).

mod cache;
mod cargo;
mod checks;
mod commands;
mod context;
mod digest;
mod fetch;
mod functions;
mod images;
mod inside;
mod layout;
mod mount;
mod openssl;
mod parts;
mod pins;
mod progress;
mod run;
mod stack;
mod tail;
mod toolchains;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::checks::categories::Word;
use crate::context::Context;
use crate::stack::Extent;

/// Unless another is named.
const STACK: &str = "demo";
/// The stack of `bench operator`, which has no node.
const CONTROL_PLANE: &str = "operator";

#[derive(Parser)]
#[command(
    name = "cargo local",
    about = "The local stack: real parts, from one command",
    version
)]
struct Arguments {
    /// Which stack; several run side by side [default: demo, of `test` test]
    #[arg(long, global = true, env = "MEDALLION_STACK_NAME")]
    stack: Option<String>,
    /// Takes the release binaries that are there instead of compiling the workspace first
    #[arg(long, global = true)]
    no_build: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds what is missing and starts everything; on a running stack only what changed
    Up,
    /// Ends everything that `up` started and wipes what it remembers
    Down {
        /// Every stack of this machine's user, not only one
        #[arg(long)]
        all: bool,
    },
    /// `up`, then the demonstration; what follows goes to it
    Demo {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Every check and test, or only the phases and categories named, on a stack of their own
    Test { words: Vec<Word> },
    /// `up`, then the measurements; what follows goes to them. `bench operator` has a stack of its own without a node
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Each part: state, process, memory, endpoint
    Status {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Lines for `eval`: the stack's file, its kubeconfig, its programs and credentials, of the running stack
    Env,
    /// Sends SIGKILL to a part; the stack starts it again
    Kill { part: String },
    /// Prints a part's log
    Logs { part: String },
    /// Builds the functions for AWS Lambda for both architectures and packs them from a Pipeline's manifest
    Functions {
        /// File of the Pipeline and of the ConfigMaps that it names, several times; left out: the shipped example
        #[arg(long)]
        manifest: Vec<PathBuf>,
        #[command(flatten)]
        which: functions::Which,
        /// Folder for the zips
        #[arg(long, default_value = "target/functions")]
        into: PathBuf,
    },
    /// What belongs to the Terraform files
    Terraform {
        #[command(subcommand)]
        what: Terraform,
    },
    /// Renews the lock files of Maven and Python after a version was changed by hand
    Lock,
    #[command(hide = true)]
    InsideEnter { home: PathBuf },
    #[command(hide = true)]
    InsideInit { home: PathBuf },
    #[command(hide = true)]
    InsideSupervise { home: PathBuf },
}

#[derive(Subcommand)]
enum Terraform {
    /// Writes the README of every module anew from its variables and outputs
    Docs,
    /// Writes anew what each environment puts out for `medallion from-terraform`, whose tests read it
    Outputs,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if let Some(error) = checks::lints::as_compiler() {
        eprintln!("error: the linter does not start: {error}");
        return ExitCode::FAILURE;
    }
    match act(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn act(arguments: Arguments) -> Result<ExitCode> {
    match arguments.command {
        Command::InsideEnter { home } => return stack::namespaces::enter(&home).map(|()| ExitCode::SUCCESS),
        Command::InsideInit { home } => return inside::init(&home).map(|()| ExitCode::FAILURE),
        Command::InsideSupervise { home } => return inside::supervise(&home).await.map(|()| ExitCode::SUCCESS),
        _ => {}
    }
    if let Command::Test { words } = arguments.command {
        let stack = arguments.stack.as_deref().unwrap_or(checks::STACK);
        return Box::pin(checks::test(stack, &words, !arguments.no_build)).await;
    }
    let alone = matches!(&arguments.command, Command::Bench { arguments } if arguments.first().is_some_and(|what| what == "operator"));
    let stack = if alone { CONTROL_PLANE } else { STACK };
    let mut context = Context::new(arguments.stack.as_deref().unwrap_or(stack))?;
    if alone {
        context.extent = Extent::ControlPlane;
    }
    context.compile = !arguments.no_build;
    match arguments.command {
        Command::Up => commands::up::up(&context)
            .await
            .map(|stack| commands::up::print(&stack))?,
        Command::Demo { arguments } => commands::stories::run(&context, "demo", &arguments).await?,
        Command::Bench { arguments } => commands::stories::run(&context, "bench", &arguments).await?,
        Command::Down { all } => commands::down::down(&context, all)?,
        Command::Status { json } => return commands::status::print(&context, json),
        Command::Env => commands::look::environment(&context)?,
        Command::Kill { part } => commands::kill::kill(&context, &part)?,
        Command::Logs { part } => commands::look::log(&context, &part)?,
        Command::Functions { manifest, which, into } => functions::pack(&context, &manifest, &which, &into).await?,
        Command::Terraform { what: Terraform::Docs } => checks::terraform::docs::write(&context).await?,
        Command::Terraform {
            what: Terraform::Outputs,
        } => checks::terraform::environments::record(&context).await?,
        Command::Lock => fetch::lock::renew(&context.layout, &context.pins, &context.progress).await?,
        Command::Test { .. }
        | Command::InsideEnter { .. }
        | Command::InsideInit { .. }
        | Command::InsideSupervise { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}
