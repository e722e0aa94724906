//! moto as a process of its own: S3 and DynamoDB over their real protocols, for states and their locks. Touches loopback alone.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::parts::exchange;
use crate::run;

/// It takes seconds to be ready on a busy machine.
const READY: Duration = Duration::from_mins(1);

/// Ends when it is dropped.
pub struct Moto {
    _server: Child,
    pub address: String,
}

impl Moto {
    /// On a port that the kernel chooses.
    pub async fn start(program: &Path, folder: &Path) -> Result<Self> {
        let log = folder.join("moto.log");
        let file = File::create(&log)?;
        let mut command = Command::new(program);
        command
            .args(["--host", "127.0.0.1", "--port", "0"])
            .env("HOME", folder)
            .env("PYTHONUNBUFFERED", "1");
        let server = run::tied(&command)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .context("moto does not start")?;
        let begun = Instant::now();
        loop {
            let said = fs::read_to_string(&log)?;
            if let Some(address) = address(&said) {
                return Ok(Self {
                    _server: server,
                    address,
                });
            }
            if begun.elapsed() > READY {
                bail!("moto is not ready: {said}");
            }
            sleep(run::POLL).await;
        }
    }

    /// An object's or a bucket's path, from the root.
    pub async fn s3(&self, method: &str, path: &str, body: &str) -> Result<String> {
        self.ask(method, path, "s3", "", body).await
    }

    pub async fn dynamodb(&self, operation: &str, body: &str) -> Result<String> {
        let target = format!("X-Amz-Target: DynamoDB_20120810.{operation}\r\n");
        self.ask("POST", "/", "dynamodb", &target, body).await
    }

    /// It looks which service is meant and verifies no signature.
    async fn ask(&self, method: &str, path: &str, service: &str, more: &str, body: &str) -> Result<String> {
        let address = &self.address;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/octet-stream\r\n\
             X-Amz-Date: 20260101T000000Z\r\n{more}Authorization: AWS4-HMAC-SHA256 \
             Credential=test/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host;x-amz-date, Signature=0\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(address, request.as_bytes()).await?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        match answer.split(' ').nth(1) {
            Some("200" | "204") => Ok(answer),
            _ => bail!("{method} {path}: moto answers {answer}"),
        }
    }
}

/// Reads `Running on http://127.0.0.1:46105`.
fn address(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("Running on http://")?;
    let (address, _) = rest.split_once('\n')?;
    Some(address.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_once_its_line_is_whole() {
        let log = "WARNING: not for production\n * Running on http://127.0.0.1:46105";
        assert_eq!(address(log), None);
        assert_eq!(address(&format!("{log}\n")).as_deref(), Some("127.0.0.1:46105"));
    }
}
