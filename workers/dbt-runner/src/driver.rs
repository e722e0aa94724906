//! The warm Python process that runs dbt and `DuckDB`: started once, asked line by line. Reads object storage through it.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::error::RunError;
use crate::protocol::{Failure, FailureKind, Line, NodeStart, Request};

/// Names the Python interpreter that has dbt, when it is not the image's.
pub const PYTHON_VARIABLE: &str = "MEDALLION_PYTHON";
const PYTHON: &str = "/opt/dbt/bin/python3";
/// Names the scratch folder to the profile of the project.
pub const SCRATCH_VARIABLE: &str = "MEDALLION_SCRATCH";

/// Where Python is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Python {
    /// The interpreter that has dbt.
    pub interpreter: PathBuf,
    /// Folder of this crate's Python package, when the environment does not name it.
    pub package: Option<PathBuf>,
}

impl Python {
    /// As the image, or a variable, says.
    pub fn from_env() -> Self {
        let interpreter = std::env::var_os(PYTHON_VARIABLE).map_or_else(|| PathBuf::from(PYTHON), PathBuf::from);
        Self {
            interpreter,
            package: None,
        }
    }
}

/// The dbt process.
#[derive(Debug)]
pub struct Driver {
    child: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Driver {
    /// Starts the process in the scratch folder. It ends when this handle is dropped, or its standard input closes.
    pub fn start(python: &Python, scratch: &Path) -> Result<Self, RunError> {
        let interpreter = &python.interpreter;
        let failed = |error: std::io::Error| {
            RunError::Process(format!("cannot be started as {}: {error}", interpreter.display()))
        };
        let mut command = Command::new(interpreter);
        if let Some(package) = &python.package {
            command.env("PYTHONPATH", package);
        }
        let mut child = command
            .args(["-m", "medallion_dbt"])
            .current_dir(scratch)
            .env(SCRATCH_VARIABLE, scratch)
            .env("HOME", scratch)
            .env("TMPDIR", scratch)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // The process is ended without ceremony; what Python says about that helps nobody.
            .env("PYTHONWARNINGS", "ignore")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (requests, answers) = pipes.ok_or_else(|| RunError::Process("has no pipes".to_owned()))?;
        Ok(Self {
            child,
            requests,
            answers: BufReader::new(answers).lines(),
        })
    }

    /// Sends a request and waits for its answer; says in between which node dbt starts.
    pub async fn ask<A: DeserializeOwned>(
        &mut self,
        request: &Request<'_>,
        mut progress: impl FnMut(NodeStart),
    ) -> Result<A, RunError> {
        let mut line = serde_json::to_vec(request).map_err(|error| RunError::Process(format!("not asked: {error}")))?;
        line.push(b'\n');
        if self.requests.write_all(&line).await.is_err() {
            return Err(self.ended().await);
        }
        loop {
            let Ok(Some(answer)) = self.answers.next_line().await else {
                return Err(self.ended().await);
            };
            let strange =
                |error: serde_json::Error| RunError::Process(format!("gave an answer not understood: {error}"));
            match serde_json::from_str(&answer).map_err(strange)? {
                Line::Progress(node) => progress(node),
                Line::Result(result) => return serde_json::from_value(result).map_err(strange),
                Line::Error(failure) => return Err(failure.into()),
            }
        }
    }

    async fn ended(&mut self) -> RunError {
        RunError::Process(match self.child.wait().await {
            Ok(status) => describe(status),
            Err(error) => format!("ended, and it is not known how: {error}"),
        })
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(9) => "was killed, most likely for want of memory: give the worker more, or DuckDB less".to_owned(),
        Some(signal) => format!("ended by signal {signal}; its last lines are in the pod's log"),
        None => format!("ended in the middle ({status}); its last lines are in the pod's log"),
    }
}

impl From<Failure> for RunError {
    fn from(failure: Failure) -> Self {
        match failure.kind {
            FailureKind::Project => Self::Project {
                node: failure.node,
                message: failure.message,
                count: failure.count,
            },
            FailureKind::Unfit => Self::Unfit(failure.message),
            FailureKind::Environment => Self::Outside {
                node: failure.node,
                message: failure.message,
            },
        }
    }
}
