//! Asks a part whether it is ready, in the part's own language. Touches only the stack's own network.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::run;
use crate::stack::{ACCESS_KEY, REGION};

/// A question with a clear answer.
#[derive(Clone, Debug)]
pub enum Probe {
    /// `GET http://address/path` answers 200.
    Http { address: String, path: &'static str },
    /// The broker answers a metadata request and counts itself among the brokers.
    Kafka { address: String },
    /// `ListTables` answers 200.
    DynamoDb { address: String },
    /// A program ends with success.
    Program {
        program: PathBuf,
        arguments: Vec<String>,
        environment: Vec<(&'static str, String)>,
    },
    /// One after another.
    All(Vec<Probe>),
}

const PATIENCE: Duration = Duration::from_secs(10);

impl Probe {
    pub fn program(program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self::Program {
            program: program.into(),
            arguments,
            environment: Vec::new(),
        }
    }

    /// `Err` says what was answered instead.
    pub async fn ask(&self) -> Result<(), String> {
        match timeout(PATIENCE, self.ask_patiently()).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }

    async fn ask_patiently(&self) -> Result<(), String> {
        match self {
            Self::Http { address, path } => {
                let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
                http(address, &request).await
            }
            Self::DynamoDb { address } => {
                let request = format!(
                    "POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/x-amz-json-1.0\r\n\
                     X-Amz-Target: DynamoDB_20120810.ListTables\r\nX-Amz-Date: 20250101T000000Z\r\n\
                     Authorization: AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20250101/{REGION}/dynamodb/aws4_request, \
                     SignedHeaders=host;x-amz-date, Signature=0\r\nContent-Length: 2\r\n\r\n{{}}"
                );
                http(address, &request).await
            }
            Self::Kafka { address } => kafka(address).await,
            Self::Program {
                program,
                arguments,
                environment,
            } => {
                let mut command = Command::new(program);
                command
                    .args(arguments)
                    .envs(environment.iter().map(|(name, value)| (name, value)));
                run::output(&mut command)
                    .await
                    .map(drop)
                    .map_err(|error| format!("{error:#}"))
            }
            Self::All(probes) => {
                for probe in probes {
                    Box::pin(probe.ask()).await?;
                }
                Ok(())
            }
        }
    }
}

async fn http(address: &str, request: &str) -> Result<(), String> {
    let answer = exchange(address, request.as_bytes())
        .await
        .map_err(|error| format!("{address}: {error}"))?;
    let answer = String::from_utf8_lossy(&answer);
    let first = answer.lines().next().unwrap_or_default();
    match first.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(format!("{address} answers `{first}`")),
    }
}

/// Sends and reads until the other side closes.
pub async fn exchange(address: &str, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Metadata request, version 1, about no topic.
const METADATA_REQUEST: [u8; 23] = [
    0, 0, 0, 19, // length of what follows
    0, 3, // Metadata
    0, 1, // version
    0, 0, 0, 7, // correlation id
    0, 5, b'p', b'r', b'o', b'b', b'e', // client id
    0, 0, 0, 0, // no topics
];

async fn kafka(address: &str) -> Result<(), String> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(&METADATA_REQUEST).await?;
        let mut answer = [0_u8; 12]; // length, correlation id, number of brokers
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = ask.await.map_err(|error| format!("{address}: {error}"))?;
    match answer[8..] {
        [0, 0, 0, 0] => Err(format!("{address} knows no broker yet")),
        _ => Ok(()),
    }
}
