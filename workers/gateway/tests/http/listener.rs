//! Connections: many at once, slow ones, and the end. Loopback only.

use std::time::Duration;

use gateway::server::{Patience, serve};
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Act, Gateway, event};

struct Listening {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn listen(gateway: &Gateway, head: Duration) -> Listening {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let patience = Patience {
        head,
        grace: Duration::from_secs(30),
    };
    let task = tokio::spawn(serve(listener, gateway.router(), stop.clone(), patience));
    Listening { address, stop, task }
}

fn post(id: &str) -> String {
    let event = event(id);
    format!(
        "POST /v1/events HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{event}",
        event.len()
    )
}

#[rstest]
#[case::too_large("application/json", "413")]
#[case::not_a_media_type("text/plain", "415")]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_refused_while_it_sends_gets_its_answer(#[case] media_type: &str, #[case] code: &str) {
    let gateway = Gateway::new(&[]);
    let listening = listen(&gateway, Duration::from_secs(30)).await;
    let mut stream = TcpStream::connect(listening.address).await.expect("connected");
    let body = vec![b' '; 20_000_000];
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nHost: g\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(&body).await.expect("sent whole");
    let answer = answer(stream).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {code}")), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_first_is_refused_at_once() {
    let gateway = Gateway::new(&[]);
    let listening = listen(&gateway, Duration::from_secs(30)).await;
    let mut stream = TcpStream::connect(listening.address).await.expect("connected");
    let head = "POST /v1/events HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: 20000000\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let answer = answer(stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

async fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_work_are_finished_at_the_end_and_new_ones_find_nobody() {
    let gateway = Gateway::new(&[Act::When(2), Act::Acknowledge]);
    let listening = listen(&gateway, Duration::from_secs(30)).await;
    let mut waiting = TcpStream::connect(listening.address).await.expect("connected");
    waiting.write_all(post("1").as_bytes()).await.expect("sent");
    while gateway.publisher.records.lock().expect("records").is_empty() {
        tokio::task::yield_now().await;
    }
    listening.stop.cancel();
    while TcpStream::connect(listening.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    // The broker acknowledges only now.
    assert_eq!(gateway.post(event("2")).await.letters(), "a");
    assert!(answer(waiting).await.starts_with("HTTP/1.1 200"));
    listening.task.await.expect("a good end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_ends_its_head_is_cut_off_and_others_are_served() {
    let gateway = Gateway::new(&[]);
    let listening = listen(&gateway, Duration::from_millis(300)).await;
    let mut slow = TcpStream::connect(listening.address).await.expect("connected");
    slow.write_all(b"POST /v1/events HTTP/1.1\r\nHost: ")
        .await
        .expect("sent");
    let mut good = TcpStream::connect(listening.address).await.expect("connected");
    good.write_all(post("1").as_bytes()).await.expect("sent");
    assert!(answer(good).await.starts_with("HTTP/1.1 200"));
    let mut rest = Vec::new();
    // Closed, with or without a word.
    tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut rest))
        .await
        .expect("cut off")
        .ok();
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
}
