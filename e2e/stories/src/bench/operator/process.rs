//! The operator's own program on one core, with the identity, the configuration and the arguments that its chart gives it. Starts a process of this machine; asks its admin port.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Empty};
use hyper::Uri;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Container, ServiceAccount};
use kube::api::{Api, PostParams};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::super::counters::Counters;
use crate::cluster::Cluster;
use crate::helm::{DEPLOYMENT, NAMESPACE};
use crate::kill;
use crate::progress::Step;
use crate::stack::Stack;
use crate::waiting::{Look, in_the_end};

const PROGRAM: &str = "medallion-operator";
/// The core that it has for itself as far as it goes; the others may use it too.
const CORE: &str = "0";
/// Not the admin port: that belongs to the simulated pods.
const LISTEN: &str = "127.0.0.1:19090";
/// Key of the configuration in the chart's `ConfigMap`.
const CONFIGURATION: &str = "config.json";
const READY: Duration = Duration::from_mins(3);
const END: Duration = Duration::from_secs(30);
const TOKEN_SECONDS: i64 = 6 * 3600;

pub struct Operator {
    process: Child,
    id: i32,
}

impl Operator {
    /// Starts it as the chart says now, and waits until it is ready.
    pub async fn start(stack: &Stack, cluster: &Cluster, step: &Step) -> Result<Self> {
        let folder = stack.home();
        let kubeconfig = folder.join("operator.kubeconfig");
        identity(stack, cluster, &kubeconfig).await?;
        let configuration = folder.join("operator.json");
        write_configuration(cluster, &configuration).await?;
        let container = container(cluster).await?;
        let program = std::env::current_exe()?.with_file_name(PROGRAM);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("operator.log"))?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "taskset", "--cpu-list", CORE])
            .arg(program)
            .args(arguments(&container, &configuration))
            .envs(environment(&container))
            .env("KUBECONFIG", &kubeconfig)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let process = command.spawn().context("cannot start the operator")?;
        let id = i32::try_from(process.id().context("it has ended at once")?)?;
        let mut operator = Self { process, id };
        operator.wait_until_ready(step).await?;
        Ok(operator)
    }

    async fn wait_until_ready(&mut self, step: &Step) -> Result<()> {
        in_the_end(step, READY, Duration::from_millis(100), async || {
            Ok(match get("/readyz").await {
                Ok(_) => Look::Done(()),
                Err(error) => Look::Waiting(format!("the operator is not ready: {error:#}")),
            })
        })
        .await?;
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the operator has ended with {status}"),
        }
    }

    /// Asks it to stop, as Kubernetes does, and waits for its end.
    pub async fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.id), Signal::SIGTERM)?;
        let ended = tokio::time::timeout(END, self.process.wait()).await;
        ended.context("the operator does not stop")??;
        Ok(())
    }

    /// Resident bytes and CPU seconds.
    pub fn usage(&self) -> Result<(u64, f64)> {
        kill::usage_of(self.id).context("the operator has ended")
    }

    pub async fn counters(&self) -> Result<Counters> {
        get("/metrics").await.map(Counters::new)
    }
}

async fn get(path: &str) -> Result<String> {
    let uri: Uri = format!("http://{LISTEN}{path}").parse()?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let response = client.get(uri).await?;
    let status = response.status();
    let text = String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec())?;
    if !status.is_success() {
        bail!("{path}: {status} {text}");
    }
    Ok(text)
}

/// A kubeconfig of the `ServiceAccount` that the chart has given its rights.
async fn identity(stack: &Stack, cluster: &Cluster, path: &Path) -> Result<()> {
    let api: Api<ServiceAccount> = cluster.api(NAMESPACE);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let issued = api
        .create_token_request(DEPLOYMENT, &PostParams::default(), &request)
        .await?;
    let token = issued.status.context("no token was issued")?.token;
    let mut kubeconfig: Value = serde_json::from_slice(&std::fs::read(&stack.kubeconfig)?)?;
    kubeconfig["users"][0]["user"] = json!({"token": token});
    // As in a pod: its own namespace, where its Lease stands.
    kubeconfig["contexts"][0]["context"]["namespace"] = json!(NAMESPACE);
    std::fs::create_dir_all(stack.home())?;
    std::fs::write(path, kubeconfig.to_string())?;
    Ok(())
}

async fn write_configuration(cluster: &Cluster, path: &Path) -> Result<()> {
    let api: Api<ConfigMap> = cluster.api(NAMESPACE);
    let data = api.get(DEPLOYMENT).await?.data.unwrap_or_default();
    let text = data.get(CONFIGURATION).context("the chart gives no configuration")?;
    std::fs::write(path, text)?;
    Ok(())
}

async fn container(cluster: &Cluster) -> Result<Container> {
    let api: Api<Deployment> = cluster.api(NAMESPACE);
    let pod = api.get(DEPLOYMENT).await?.spec.and_then(|spec| spec.template.spec);
    let container = pod.and_then(|pod| pod.containers.into_iter().next());
    container.context("the chart's Deployment has no container")
}

/// The chart's arguments, with the two that are of this machine.
fn arguments(container: &Container, configuration: &Path) -> Vec<String> {
    let given = container.args.clone().unwrap_or_default();
    let kept = given
        .into_iter()
        .filter(|argument| !["--config=", "--listen="].iter().any(|name| argument.starts_with(name)));
    kept.chain([
        format!("--config={}", configuration.display()),
        format!("--listen={LISTEN}"),
    ])
    .collect()
}

fn environment(container: &Container) -> Vec<(String, String)> {
    let given = container.env.iter().flatten();
    let plain = given.filter_map(|variable| Some((variable.name.clone(), variable.value.clone()?)));
    let own = [("POD_NAME", DEPLOYMENT), ("POD_NAMESPACE", NAMESPACE)];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    plain.chain(own).collect()
}

/// Where its log lies.
pub fn log(stack: &Stack) -> PathBuf {
    stack.home().join("operator.log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_chart_says_is_kept_but_for_the_files_and_the_address() {
        let container = Container {
            args: Some(
                [
                    "--config=/etc/medallion/config.json",
                    "--concurrency=8",
                    "--listen=0.0.0.0:9090",
                ]
                .map(str::to_owned)
                .into(),
            ),
            ..Container::default()
        };
        let arguments = arguments(&container, Path::new("/tmp/c.json"));
        assert_eq!(
            arguments,
            ["--concurrency=8", "--config=/tmp/c.json", "--listen=127.0.0.1:19090"]
        );
    }
}
