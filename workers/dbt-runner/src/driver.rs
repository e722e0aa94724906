//! The Python process that runs dbt and `DuckDB`: started once, asked line by line. No network of its own.

use std::ffi::{OsStr, OsString};
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

/// What the process is given of the worker's own variables: where programs are, the words of messages, and Python's own.
const HANDED_ON: [&str; 6] = ["PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "PYTHONUNBUFFERED"];
/// What a project may ask for by `env_var` begins with this, as dbt's own variables do.
const FOR_DBT: &str = "DBT_";
/// But not what dbt itself calls a secret.
const SECRET: &str = "DBT_ENV_SECRET_";

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
        // A project's macros read variables, and whatever SQL finds a way to might: there is nothing in them.
        command.env_clear().envs(handed_on(std::env::vars_os()));
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

/// The variables that the process is started with, beside those that name its folders.
fn handed_on(variables: impl Iterator<Item = (OsString, OsString)>) -> impl Iterator<Item = (OsString, OsString)> {
    variables.filter(|(name, _)| is_handed_on(name))
}

fn is_handed_on(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    HANDED_ON.contains(&&*name) || (name.starts_with(FOR_DBT) && !name.starts_with(SECRET))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_given_no_secret_and_no_way_to_one() {
        let names = [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_ROLE_ARN",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            "KUBERNETES_SERVICE_HOST",
            "MEDALLION_SETTINGS",
            "DBT_ENV_SECRET_TOKEN",
            "HTTPS_PROXY",
            "PYTHONSTARTUP",
            "PATH",
            "PYTHONPATH",
            "DBT_SHOP",
        ];
        let variables = names.map(|name| (OsString::from(name), OsString::from("value")));
        let handed: Vec<_> = handed_on(variables.into_iter()).map(|(name, _)| name).collect();
        assert_eq!(handed, ["PATH", "PYTHONPATH", "DBT_SHOP"]);
    }
}
