//! One question to one worker, and whether its answer is to be believed. Talks to workers' admin ports.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::CONNECTION;
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::ResourceExt;
use medallion_crds::labels;
use medallion_crds::launch::ADMIN_PORT;
use medallion_crds::progress::{PATH, Progress};
use medallion_plan::{Pod, STAGES, worker_state};
use thiserror::Error;

use crate::key::PipelineKey;

const DEADLINE: Duration = Duration::from_secs(2);
const BODY_BYTES: usize = 64 * 1024;
/// Every kept connection has a buffer, in which the head of an answer must have room.
const READ_BYTES: usize = 4 * 1024;

/// Why a worker's answer is not taken.
#[derive(Debug, Error)]
pub(crate) enum AskError {
    #[error("no answer: {0}")]
    NoAnswer(String),
    #[error("the answer is not progress: {0}")]
    NotProgress(#[source] serde_json::Error),
    #[error("the answer speaks of another {0}")]
    Stranger(&'static str),
}

/// A pod to ask, and who it must say it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Target {
    pub pipeline: PipelineKey,
    pub uid: String,
    pub pipeline_uid: String,
    pub stage: Option<String>,
    pub settings_hash: Option<String>,
    /// The next run of a stage waits for what it says.
    pub starts_runs: bool,
    pub address: SocketAddr,
}

impl Target {
    /// Whom to ask of a pod, if its worker runs.
    pub fn of(pod: &Pod, pipeline: PipelineKey, pipeline_uid: String) -> Option<Self> {
        let runs = pod.metadata.deletion_timestamp.is_none() && worker_state(pod)?.running.is_some();
        let address: IpAddr = pod.status.as_ref().filter(|_| runs)?.pod_ip.as_ref()?.parse().ok()?;
        let stage = pod.labels().get(labels::STAGE);
        let entry = STAGES
            .iter()
            .find(|entry| stage.is_some_and(|stage| entry.stage.as_str() == stage));
        Some(Self {
            pipeline,
            pipeline_uid,
            uid: pod.uid()?,
            stage: stage.cloned(),
            starts_runs: entry.is_some_and(|entry| entry.starts_runs(STAGES)),
            settings_hash: pod.annotations().get(labels::SETTINGS_HASH).cloned(),
            address: SocketAddr::new(address, ADMIN_PORT),
        })
    }
}

/// The clients that ask workers, each giving up soon on a pod that is gone.
pub(crate) struct Clients {
    keeping: Client<HttpConnector, Empty<Bytes>>,
    closing: Client<HttpConnector, Empty<Bytes>>,
}

impl Default for Clients {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_secs(1)));
        let with = |idle: usize| {
            Client::builder(TokioExecutor::new())
                .pool_idle_timeout(Duration::from_secs(30))
                .pool_max_idle_per_host(idle)
                .http1_read_buf_exact_size(READ_BYTES)
                .build(connector.clone())
        };
        Self {
            keeping: with(1),
            closing: with(0),
        }
    }
}

impl Clients {
    /// Asks a worker; the connection is kept for the next question or closed.
    pub async fn ask(&self, target: &Target, keep: bool) -> Result<Progress, AskError> {
        let no_answer = |error: &dyn std::fmt::Display| AskError::NoAnswer(error.to_string());
        let uri: Uri = format!("http://{}{PATH}", target.address)
            .parse()
            .map_err(|error| no_answer(&error))?;
        let mut request = Request::get(uri)
            .body(Empty::new())
            .map_err(|error| no_answer(&error))?;
        let client = if keep {
            &self.keeping
        } else {
            request
                .headers_mut()
                .insert(CONNECTION, hyper::header::HeaderValue::from_static("close"));
            &self.closing
        };
        let exchange = async {
            let response = client.request(request).await.map_err(|error| no_answer(&error))?;
            if !response.status().is_success() {
                return Err(no_answer(&response.status()));
            }
            let body = Limited::new(response.into_body(), BODY_BYTES).collect().await;
            body.map(http_body_util::Collected::to_bytes)
                .map_err(|error| no_answer(&error))
        };
        let body = tokio::time::timeout(DEADLINE, exchange)
            .await
            .map_err(|error| no_answer(&error))??;
        let progress: Progress = serde_json::from_slice(&body).map_err(AskError::NotProgress)?;
        check(&progress, target)?;
        Ok(progress)
    }
}

/// An address may have gone to another pod meanwhile: only the one we asked is believed.
fn check(progress: &Progress, target: &Target) -> Result<(), AskError> {
    let identity = &progress.identity;
    if identity.pipeline_uid != target.pipeline_uid {
        return Err(AskError::Stranger("pipeline"));
    }
    if identity.pod_uid != target.uid {
        return Err(AskError::Stranger("pod"));
    }
    if identity.stage.map(medallion_crds::Stage::as_str) != target.stage.as_deref() {
        return Err(AskError::Stranger("stage"));
    }
    if Some(&identity.settings_hash) != target.settings_hash.as_ref() {
        return Err(AskError::Stranger("settings"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use medallion_crds::progress::{Identity, Work};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A worker that answers as often as it is asked on one connection; tells how many questions each connection brought.
    async fn worker(listener: TcpListener, questions: tokio::sync::mpsc::UnboundedSender<usize>) {
        while let Ok((mut stream, _)) = listener.accept().await {
            let questions = questions.clone();
            tokio::spawn(async move {
                let (mut count, mut buffer) = (0, [0; 4096]);
                while let Ok(bytes) = stream.read(&mut buffer).await
                    && bytes > 0
                {
                    count += 1;
                    let identity = Identity {
                        pipeline_uid: "pipeline".to_owned(),
                        pod_uid: "pod".to_owned(),
                        stage: None,
                        settings_hash: "hash".to_owned(),
                    };
                    let progress = Progress {
                        identity,
                        time: jiff::Timestamp::UNIX_EPOCH,
                        work: Work::default(),
                    };
                    let body = serde_json::to_string(&progress).unwrap();
                    let closes = String::from_utf8_lossy(&buffer[..bytes])
                        .to_lowercase()
                        .contains("connection: close");
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if closes {
                        break;
                    }
                }
                let _ = questions.send(count);
            });
        }
    }

    #[tokio::test]
    async fn a_connection_is_kept_only_where_it_is_wanted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target {
            pipeline: PipelineKey::new("shop", "orders"),
            uid: "pod".to_owned(),
            pipeline_uid: "pipeline".to_owned(),
            stage: None,
            settings_hash: Some("hash".to_owned()),
            starts_runs: false,
            address: listener.local_addr().unwrap(),
        };
        let (sender, mut questions) = tokio::sync::mpsc::unbounded_channel();
        let server = tokio::spawn(worker(listener, sender));
        let clients = Clients::default();
        for _ in 0..3 {
            clients.ask(&target, false).await.unwrap();
            assert_eq!(questions.recv().await, Some(1), "closed after one question");
        }
        for _ in 0..3 {
            clients.ask(&target, true).await.unwrap();
        }
        drop(clients);
        assert_eq!(questions.recv().await, Some(3), "one connection for all three");
        let stranger = Target {
            uid: "another".to_owned(),
            ..target
        };
        let error = Clients::default().ask(&stranger, false).await.unwrap_err();
        assert!(matches!(error, AskError::Stranger("pod")), "{error}");
        server.abort();
    }
}
