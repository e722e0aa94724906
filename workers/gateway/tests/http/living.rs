//! A gateway that lives as in a pod, on a port of its own: what it listens on, what it says, and how it is asked to stop. Loopback only.

use std::net::SocketAddr;

use gateway::run_on;
use medallion_crds::Stage;
use medallion_crds::launch::report::Report;
use medallion_crds::launch::{
    ContractSettings, ContractVersionSettings, GatewaySettings, KafkaSettings, PipelineIdentity, Settings,
    schema_digest,
};
use medallion_crds::progress::Identity;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker_kit::{Context, Metrics, ProgressHandle, WorkerError};

pub struct Life {
    pub address: SocketAddr,
    pub ready: watch::Receiver<bool>,
    pub progress: ProgressHandle,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<Result<Option<Report>, WorkerError>>,
    /// With the contract, which stands where it was mounted.
    _folder: tempfile::TempDir,
}

/// Begins one whose events fit this schema. It drains and has for a request so many seconds.
pub async fn live(schema: &str, kafka: KafkaSettings, drain: i32, request: i32) -> Life {
    let folder = tempfile::tempdir().expect("a folder");
    let schema_path = folder.path().join("schema.json");
    std::fs::write(&schema_path, schema).expect("written");
    let settings = Settings {
        adopt: Vec::new(),
        pipeline: PipelineIdentity {
            installation: "test".to_owned(),
            namespace: "shop".to_owned(),
            name: "purchases".to_owned(),
            uid: "u1".to_owned(),
        },
        stage: Some(Stage::Ingest),
        region: "eu-west-1".to_owned(),
        worker: GatewaySettings {
            contract: ContractSettings {
                versions: vec![ContractVersionSettings {
                    name: "v1".to_owned(),
                    schema_path: schema_path.to_string_lossy().into_owned(),
                    digest: schema_digest(schema),
                }],
                key: "/part".to_owned(),
                event_id: "/id".to_owned(),
                event_time: "/at".to_owned(),
                event_version: None,
            },
            kafka,
            tokens_path: None,
            drain_seconds: drain,
            max_body_bytes: 1 << 20,
            max_events_per_request: 100,
            request_timeout_seconds: request,
            max_buffer_bytes: 1 << 20,
        },
    };
    let (sender, ready) = watch::channel(false);
    let progress = ProgressHandle::new(Identity::default(), jiff::Timestamp::now);
    let shutdown = CancellationToken::new();
    let context = Context {
        settings,
        metrics: Metrics::default(),
        progress: progress.clone(),
        ready: sender,
        shutdown: shutdown.clone(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    Life {
        address: listener.local_addr().expect("an address"),
        ready,
        progress,
        shutdown,
        task: tokio::spawn(run_on(listener, context)),
        _folder: folder,
    }
}

/// Posts one event; the whole answer.
pub async fn post(address: SocketAddr, event: String) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "POST /v1/events HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{event}",
        event.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
