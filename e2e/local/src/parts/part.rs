//! What a part is: what it waits for, how it is prepared and started, and the question that shows it ready. Touches no network.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::probe::Probe;
use crate::stack::Stack;
use crate::toolchains::on_path;

/// A part as the supervisor sees it.
pub struct Part {
    pub name: &'static str,
    /// Parts that have to be ready before it starts the first time.
    pub after: &'static [&'static str],
    /// Runs before every start, so it does nothing twice.
    pub setup: Option<fn(&Stack) -> Result<()>>,
    /// None: nothing runs on the node itself, such as the cluster's DNS in its pod.
    pub command: Option<Run>,
    /// The part is absent while this file is.
    pub only_if: Option<PathBuf>,
    pub probe: Probe,
    /// After this long without being ready it counts as failing.
    pub patience: Duration,
    pub endpoint: Option<String>,
}

/// A command line.
pub struct Run {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(&'static str, String)>,
    /// Another user than root.
    pub user: Option<u32>,
}

impl Run {
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            user: None,
        }
    }

    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Several fixed ones.
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// `--name=/some/path`.
    pub fn path(self, name: &str, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.arg(format!("{name}={}", path.display()))
    }

    pub fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }
}

impl Part {
    pub fn new(name: &'static str, command: Option<Run>, probe: Probe) -> Self {
        Self {
            name,
            after: &[],
            setup: None,
            command,
            only_if: None,
            probe,
            patience: Duration::from_secs(90),
            endpoint: None,
        }
    }
}

/// Java as the launcher found it, wherever that is.
pub fn java() -> Run {
    Run::new(on_path("java").unwrap_or_else(|| "java".into()))
}

/// A question to the API server as the administrator.
pub fn kubectl(stack: &Stack, arguments: &[&str]) -> Probe {
    Probe::Program {
        program: stack.kubernetes("kubectl"),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        environment: vec![
            ("KUBECONFIG", stack.kubeconfig().display().to_string()),
            ("HOME", "/run/home".to_owned()),
        ],
    }
}

/// A cluster program's `/healthz` on a loopback port with a certificate of its own making.
pub fn healthz(stack: &Stack, port: u16) -> Probe {
    let server = format!("https://127.0.0.1:{port}");
    kubectl(
        stack,
        &[
            "--server",
            &server,
            "--insecure-skip-tls-verify",
            "get",
            "--raw",
            "/healthz",
        ],
    )
}
