//! The tables' object store goes through the proxy that the environment names, as the SDK's clients do (`workers/kit/tests/endpoints.rs`). Loopback only.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use medallion_lake::LakeStore;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the test below starts it, with an environment of its own"]
async fn looks_for_tables() {
    let credentials = Credentials::new("key", "secret", None, None, "test");
    let configuration = SdkConfig::builder()
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let store = LakeStore::s3(&configuration).expect("a store");
    assert!(store.tables("s3://shop-bronze").await.is_err(), "nobody answers well");
}

#[test]
fn the_proxy_is_asked_for_the_bucket_by_its_host() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy = listener.local_addr().expect("an address");
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&lines);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).expect("a line");
            heard.lock().expect("lines").push(line.trim_end().to_owned());
            // Whoever has gone already needs no answer.
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "looks_for_tables"])
        .env_clear()
        .env("HTTPS_PROXY", format!("http://{proxy}"))
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let lines = lines.lock().expect("lines");
    let connect = "CONNECT shop-bronze.s3.eu-west-1.amazonaws.com:443 HTTP/1.1";
    assert!(lines.iter().any(|line| line == connect), "{lines:?}");
}
