//! The function under AWS's runtime interface emulator: a process, and invocations over HTTP. Listens on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use medallion_crds::pipeline::RunsOn;
use serde_json::Value;
use stand_ins::mapping::Answer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::shop::Shop;

/// The function; it dies with its handle.
pub struct Emulator {
    process: Child,
    address: SocketAddr,
    _package: tempfile::TempDir,
}

impl Emulator {
    /// The function with so many seconds for an invocation, and S3 at this address.
    pub async fn start(shop: &Shop, seconds: u32, s3: &str) -> Result<Self> {
        Self::packed_as(RunsOn::Lambda, shop, seconds, s3).await
    }

    /// The function as it is packed for a Pipeline that says this of Bronze.
    pub async fn packed_as(runs_on: RunsOn, shop: &Shop, seconds: u32, s3: &str) -> Result<Self> {
        let package = tempfile::tempdir()?;
        let bootstrap = package.path().join("bootstrap");
        std::fs::copy(env!("CARGO_BIN_EXE_exporter-lambda"), &bootstrap)?;
        write(
            package.path(),
            "settings/settings.json",
            &shop.settings(runs_on).to_string(),
        )?;
        let (address, runtime_api) = (free_address().await?, free_address().await?);
        let stack = &shop.stack;
        let process = Command::new(&stack.bin.lambda_rie)
            .args(["--runtime-interface-emulator-address", &address.to_string()])
            .args(["--runtime-api-address", &runtime_api.to_string()])
            .arg(&bootstrap)
            .current_dir(package.path())
            .env("AWS_LAMBDA_FUNCTION_TIMEOUT", seconds.to_string())
            .env("MEDALLION_S3_PATH_STYLE", "true")
            .env("AWS_ENDPOINT_URL_S3", s3)
            .env("AWS_ENDPOINT_URL_DYNAMODB", &stack.dynamodb.endpoint)
            .env("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", &stack.dynamodb.endpoint)
            .env("AWS_ACCESS_KEY_ID", &stack.aws.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &stack.aws.secret_access_key)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", stack.bin.lambda_rie.display()))?;
        let started = Self {
            process,
            address,
            _package: package,
        };
        started.until_listening().await?;
        Ok(started)
    }

    async fn until_listening(&self) -> Result<()> {
        for _ in 0..200 {
            if TcpStream::connect(self.address).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the emulator does not listen at {}", self.address)
    }

    /// What Lambda is answered.
    pub async fn invoke(&self, event: &Value) -> Result<Value> {
        let body = event.to_string();
        let head = format!(
            "POST /2015-03-31/functions/function/invocations HTTP/1.0\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let text = String::from_utf8(answer).context("an answer of text")?;
        let (_, body) = text.split_once("\r\n\r\n").context("an HTTP answer")?;
        serde_json::from_str(body).with_context(|| format!("no JSON: {text}"))
    }

    /// From which record on a batch is to be given again; the reason, if nothing of it was taken.
    pub async fn give(&self, event: &Value) -> Result<Answer> {
        Answer::of(&self.invoke(event).await?)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // The emulator ends its runtime when it is asked to; killed, it would leave it behind.
        let asked = Command::new("kill")
            .args(["-TERM", &self.process.id().to_string()])
            .status();
        for _ in 0..40 {
            if asked.is_err() || matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // An error means that it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().context("a folder")?)?;
    Ok(std::fs::write(path, text)?)
}

async fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?)
}
