//! The gateway's life on brokers that answer late: ready, asked to stop, gone. Loopback only.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gateway::run_on;
use medallion_crds::Reason;
use medallion_crds::Stage;
use medallion_crds::launch::report::Report;
use medallion_crds::launch::{
    ContractSettings, ContractVersionSettings, GatewaySettings, KafkaSettings, PipelineIdentity, Settings,
    schema_digest,
};
use medallion_crds::progress::Identity;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker_kit::{Context, Metrics, ProgressHandle, WorkerError};

use crate::support::{SCHEMA, event};

const PATIENCE: Duration = Duration::from_mins(1);
/// How late the broker answers.
const LATE: Duration = Duration::from_millis(1500);

struct Life {
    cluster: MockCluster<'static, DefaultProducerContext>,
    address: SocketAddr,
    ready: watch::Receiver<bool>,
    progress: ProgressHandle,
    shutdown: CancellationToken,
    task: JoinHandle<Result<Option<Report>, WorkerError>>,
    _folder: tempfile::TempDir,
}

async fn live(topic_exists: bool) -> Life {
    let cluster = MockCluster::new(1).expect("mock brokers");
    if topic_exists {
        cluster.create_topic("purchases", 3, 1).expect("a topic");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let schema_path = folder.path().join("schema.json");
    std::fs::write(&schema_path, SCHEMA).expect("written");
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
                    digest: schema_digest(SCHEMA),
                }],
                key: "/part".to_owned(),
                event_id: "/id".to_owned(),
                event_time: "/at".to_owned(),
                event_version: None,
            },
            kafka: KafkaSettings {
                bootstrap_servers: vec![cluster.bootstrap_servers()],
                topic: "purchases".to_owned(),
                dead_letter_topic: "dlq.purchases".to_owned(),
                ..KafkaSettings::default()
            },
            tokens_path: None,
            drain_seconds: 1,
            max_body_bytes: 1 << 20,
            max_events_per_request: 100,
            request_timeout_seconds: 20,
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
    let address = listener.local_addr().expect("an address");
    Life {
        cluster,
        address,
        ready,
        progress,
        shutdown,
        task: tokio::spawn(run_on(listener, context)),
        _folder: folder,
    }
}

/// Posts one event; the whole answer.
async fn post(address: SocketAddr, id: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let event = event(id);
    let request = format!(
        "POST /v1/events HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{event}",
        event.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_it_is_unready_at_once_and_answers_what_it_has_taken() {
    let mut life = live(true).await;
    tokio::time::timeout(PATIENCE, life.ready.wait_for(|ready| *ready))
        .await
        .expect("in time")
        .expect("ready");
    assert!(
        post(life.address, "1")
            .await
            .expect("an answer")
            .starts_with("HTTP/1.1 200")
    );

    life.cluster.broker_round_trip_time(1, LATE).expect("late");
    let waiting = tokio::spawn(post(life.address, "2"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished(), "the broker is late");
    life.shutdown.cancel();
    let asked = Instant::now();
    tokio::time::timeout(PATIENCE, life.ready.wait_for(|ready| !ready))
        .await
        .expect("in time")
        .expect("unready");
    assert!(asked.elapsed() < LATE / 2, "unready before anything else");
    // While it drains, clients that do not know of it yet are served.
    let during = tokio::spawn(post(life.address, "3"));
    for answer in [waiting, during] {
        let answer = answer.await.expect("no panic").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let ended = tokio::time::timeout(PATIENCE, life.task).await.expect("an end in time");
    assert_eq!(ended.expect("no panic"), Ok(None));
    assert!(asked.elapsed() >= Duration::from_secs(1), "it has drained");
    assert!(post(life.address, "4").await.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_topic_it_is_not_ready_and_says_why() {
    let life = live(false).await;
    let begun = Instant::now();
    let trouble = loop {
        if let Some(trouble) = life.progress.snapshot().work.trouble {
            break trouble;
        }
        assert!(begun.elapsed() < PATIENCE, "in vain");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(trouble.reason, Reason::TopicMissing);
    assert!(trouble.message.contains("purchases"), "{}", trouble.message);
    assert!(!*life.ready.borrow());
    life.shutdown.cancel();
    let ended = tokio::time::timeout(PATIENCE, life.task).await.expect("an end in time");
    assert_eq!(ended.expect("no panic"), Ok(None));
}
