//! The real parts of the stack, one per file: command line, preparation and the question that shows it ready. Touches only the stack's own network.

mod cluster_dns;
mod containerd;
mod dynamodb;
mod dynamodb_indexes;
mod etcd;
mod kafka;
mod kube_apiserver;
mod kube_controller_manager;
mod kube_proxy;
mod kube_scheduler;
mod kubelet;
mod postgres;
pub mod redshift;
mod s3;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::inside::probe::Probe;
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
    fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            user: None,
        }
    }

    fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Several fixed ones.
    fn args(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// `--name=/some/path`.
    fn path(self, name: &str, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.arg(format!("{name}={}", path.display()))
    }

    fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }
}

impl Part {
    fn new(name: &'static str, command: Option<Run>, probe: Probe) -> Self {
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

/// In the order in which people think of them.
pub fn all(stack: &Stack) -> Vec<Part> {
    vec![
        etcd::part(stack),
        kube_apiserver::part(stack),
        kube_controller_manager::part(stack),
        kube_scheduler::part(stack),
        containerd::part(stack),
        kubelet::part(stack),
        kube_proxy::part(stack),
        cluster_dns::part(stack),
        kafka::part(stack),
        dynamodb::part(stack),
        dynamodb_indexes::part(),
        s3::part(stack),
        postgres::part(stack),
        redshift::part(stack),
    ]
}

/// Java as the launcher found it, wherever that is.
fn java() -> Run {
    Run::new(on_path("java").unwrap_or_else(|| "java".into()))
}

/// A question to the API server as the administrator.
fn kubectl(stack: &Stack, arguments: &[&str]) -> Probe {
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
fn healthz(stack: &Stack, port: u16) -> Probe {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::tests::example;

    #[test]
    fn every_part_waits_only_for_parts_before_it() {
        let mut seen = Vec::new();
        for part in all(&example()) {
            for other in part.after {
                assert!(seen.contains(other), "{} waits for {other}", part.name);
            }
            seen.push(part.name);
        }
    }
}
