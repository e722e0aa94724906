//! A function from its zip, run by AWS's own emulator of Lambda: packed as users pack it, unpacked and started as Lambda does. Loopback only.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use zip::ZipArchive;

use crate::shop::Shop;
use crate::stack::Stack;
use crate::world::World;

/// The emulator begins to listen within this time.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);
const INVOCATIONS: &str = "2015-03-31/functions/function/invocations";
/// Beside the stories' own program.
const OPERATOR: &str = "medallion-operator";

/// A function that runs; it ends with this.
pub struct Function {
    emulator: Child,
    address: String,
    folder: PathBuf,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Packs the function of a stage by the documented command, from the very objects that the shop has applied.
pub async fn package(shop: &Shop<'_>, stage: &str, program: &Path) -> Result<PathBuf> {
    let folder = folder(&shop.world.stack, &format!("{}-{stage}", shop.namespace))?;
    let authority = shop.plan.entrance.authority(&shop.world.stack)?;
    let mut objects = vec![serde_json::to_value(&shop.plan.pipeline)?, shop.contract_object()?];
    objects.extend(authority);
    let zip = folder.join("function.zip");
    let operator = std::env::current_exe()?.with_file_name(OPERATOR);
    let mut command = Command::new(&operator);
    command.args(["function", "--stage", stage, "--program"]).arg(program);
    for (number, object) in objects.iter().enumerate() {
        let manifest = folder.join(format!("{number}.yaml"));
        fs::write(&manifest, serde_json::to_vec_pretty(object)?)?;
        command.arg("--manifest").arg(&manifest);
    }
    let installation = shop.world.cluster.installation().await?;
    command.args(["--installation", installation.as_str()]);
    let output = command.arg("--into").arg(&zip).output().await?;
    ensure!(
        output.status.success(),
        "{} function: {}{}",
        operator.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(zip)
}

/// An empty folder of this name beside the stack's file.
fn folder(stack: &Stack, name: &str) -> Result<PathBuf> {
    let folder = stack.home().join("functions").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    // As the system names a process's program.
    Ok(fs::canonicalize(folder)?)
}

/// A port that was free just now.
fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

impl Function {
    /// Starts what a zip holds, with some more environment; each invocation may take so long.
    pub async fn start(
        stack: &Stack,
        name: &str,
        zip: &Path,
        timeout: Duration,
        environment: &[(&str, String)],
    ) -> Result<Self> {
        let folder = folder(stack, name)?;
        ZipArchive::new(File::open(zip)?)?.extract(folder.join("task"))?;
        let temporary = folder.join("tmp");
        fs::create_dir_all(&temporary)?;
        let (address, runtime) = (free_address()?, free_address()?);
        let log = File::create(folder.join("log"))?;
        let mut command = Command::new(&stack.bin.lambda_rie);
        command
            .args(["--runtime-interface-emulator-address", &address])
            .args(["--runtime-api-address", &runtime])
            .arg(bootstrap(&folder))
            .current_dir(folder.join("task"))
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_TIMEOUT", timeout.as_secs().to_string())
            .env("AWS_SESSION_TOKEN", "local")
            .env("TMPDIR", &temporary)
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let emulator = command
            .spawn()
            .with_context(|| format!("starting {}", stack.bin.lambda_rie.display()))?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let function = Self {
            emulator,
            address,
            folder,
            client: Client::builder(TokioExecutor::new()).build(connector),
        };
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(&function.address).await.is_err() {
            ensure!(
                begun.elapsed() < LISTENS_WITHIN,
                "the emulator does not listen: {}",
                function.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(function)
    }

    /// What the function makes of an event. Its first one starts it.
    pub async fn invoke(&self, event: &Value) -> Result<Value> {
        let request = Request::post(format!("http://{}/{INVOCATIONS}", self.address));
        let request = request.body(Full::new(Bytes::from(event.to_string())))?;
        let response = self.client.request(request).await?;
        let body = response.into_body().collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        serde_json::from_str(&text).with_context(|| format!("the function answered {text}; its log: {}", self.log()))
    }

    /// The process stands still, as Lambda has it between two invocations.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// It goes on.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let processes = self.processes()?;
        ensure!(!processes.is_empty(), "the function does not run: {}", self.log());
        for process in processes {
            kill(Pid::from_raw(process), signal)?;
        }
        Ok(())
    }

    /// Those of the function itself, not the emulator's.
    fn processes(&self) -> Result<Vec<i32>> {
        let program = bootstrap(&self.folder);
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            // A process can end while it is looked at.
            if fs::read_link(format!("/proc/{id}/exe")).is_ok_and(|exe| exe == program) {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// The function's log and the emulator's.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Milliseconds of each invocation, by the emulator's own reports. The first has the start of the process in it.
    pub fn durations(&self) -> Vec<f64> {
        durations(&self.log())
    }

    /// Ends the function and its emulator.
    pub async fn stop(mut self) -> Result<()> {
        self.kill();
        self.emulator.kill().await.context("ending the emulator")
    }

    fn kill(&self) {
        for process in self.processes().unwrap_or_default() {
            // One that has just ended by itself is as good as killed.
            let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
        }
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where AWS is and who asks there, as a function's configuration would say it if it were not AWS's own.
pub fn aws(world: &World, worker: &str) -> [(&'static str, String); 7] {
    let doors = &world.doors;
    [
        // The stack's credentials are no session's.
        ("AWS_SESSION_TOKEN", String::new()),
        (
            "AWS_ACCESS_KEY_ID",
            doors.access_key(&format!("{worker}-function")).to_owned(),
        ),
        ("AWS_SECRET_ACCESS_KEY", world.stack.aws.secret_access_key.clone()),
        ("AWS_ENDPOINT_URL_S3", doors.s3.clone()),
        ("AWS_ENDPOINT_URL_DYNAMODB", doors.dynamodb.clone()),
        ("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", doors.dynamodb.clone()),
        ("MEDALLION_S3_PATH_STYLE", "true".to_owned()),
    ]
}

/// An event of an HTTP API in the payload format 2.0 with these fields.
pub fn http_event(fields: &Value) -> Value {
    let mut event = json!({
        "version": "2.0", "routeKey": "POST /v1/events", "rawPath": "/v1/events", "rawQueryString": "",
        "headers": {"content-type": "application/json"}, "isBase64Encoded": false,
        "requestContext": {
            "accountId": "123456789012", "apiId": "a1b2c3", "domainName": "a1b2c3.execute-api.eu-west-1.amazonaws.com",
            "http": {"method": "POST", "path": "/v1/events", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "till"},
            "requestId": "JKJaXmPLvHcESHA=", "routeKey": "POST /v1/events", "stage": "$default",
            "time": "10/Mar/2020:05:16:23 +0000", "timeEpoch": 1_583_817_383_220_u64,
        },
    });
    for (name, value) in fields.as_object().into_iter().flatten() {
        event[name] = value.clone();
    }
    event
}

/// Of the start the emulator reports only how long it took to ask for it ("Init Duration"); what the process then does before its first
/// answer is in the first invocation's.
fn durations(log: &str) -> Vec<f64> {
    let reports = log.lines().filter(|line| line.starts_with("REPORT"));
    let duration = |line: &str| {
        // "Init Duration" and "Billed Duration" end with it as well.
        let (_, rest) = line.split_once("\tDuration: ")?;
        rest.split_whitespace().next()?.parse::<f64>().ok()
    };
    reports.filter_map(duration).collect()
}

fn bootstrap(folder: &Path) -> PathBuf {
    folder.join("task/bootstrap")
}

/// Sends a signal to the process of a part of the stack.
pub async fn signal_part(stack: &Stack, part: &str, signal: Signal) -> Result<()> {
    let mut local = Command::new(&stack.bin.local);
    // It fails when a part is not ready, and says all the same what there is.
    let output = local
        .args(["--stack", &stack.name, "status", "--json"])
        .output()
        .await?;
    let status: Value = serde_json::from_slice(&output.stdout).context("the stack's status")?;
    let parts = status["parts"].as_array().cloned().unwrap_or_default();
    let found = parts.iter().find(|one| one["name"] == part);
    let process = found
        .and_then(|one| one["pid"].as_i64())
        .and_then(|pid| i32::try_from(pid).ok());
    let Some(process) = process else {
        bail!("{part} has no process: {status}");
    };
    Ok(kill(Pid::from_raw(process), signal)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_invocation_has_its_own_duration_whatever_else_is_reported() {
        let log = "\
START RequestId: 1 Version: $LATEST
{\"message\":\"taking events\"}
REPORT RequestId: 1\tInit Duration: 0.12 ms\tDuration: 48.90 ms\tBilled Duration: 49 ms\tMemory Size: 3008 MB\t
REPORT RequestId: 2\tDuration: 6.54 ms\tBilled Duration: 7 ms\tMemory Size: 3008 MB\t
";
        assert_eq!(format!("{:?}", durations(log)), "[48.9, 6.54]");
    }
}
