//! A profile of the API server's processor time, for whoever wants to know what it is busy with: `go tool pprof` reads it. Talks to the API server.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use http::Request;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;

const PATH: &str = "/debug/pprof/profile?seconds=30";

/// Takes a profile of half a minute and puts it into a file.
pub async fn write(client: Client, file: PathBuf) -> Result<()> {
    let response = client.send(Request::get(PATH).body(Body::empty())?).await?;
    ensure!(response.status().is_success(), "{PATH}: {}", response.status());
    let bytes = response.into_body().collect().await?.to_bytes();
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))
}
