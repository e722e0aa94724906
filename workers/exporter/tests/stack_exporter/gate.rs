//! A gate before S3 that can be shut, or say nothing. Listens on loopback.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the gate stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stand {
    Open,
    /// Connections are closed at once, also those that are there.
    Shut,
    /// Connections are taken, and nothing comes back.
    Silent,
}

/// A gate; it goes with its handle.
pub struct Gate {
    stand: watch::Sender<Stand>,
    /// Address for clients.
    pub endpoint: String,
    listener: JoinHandle<()>,
}

impl Gate {
    pub async fn before(endpoint: &str) -> Result<Self> {
        let target = endpoint
            .strip_prefix("http://")
            .context("a plain endpoint")?
            .trim_end_matches('/')
            .to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (stand, seen) = watch::channel(Stand::Open);
        let listener = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, target.clone(), seen.clone()));
            }
        });
        Ok(Self {
            stand,
            endpoint,
            listener,
        })
    }

    pub fn stands(&self, stand: Stand) {
        self.stand.send_replace(stand);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn pass(mut client: TcpStream, target: String, mut stand: watch::Receiver<Stand>) {
    // Who is let in while nothing comes back waits, as one whose connection is there does below.
    let Ok(Stand::Open) = stand
        .wait_for(|stand| *stand != Stand::Silent)
        .await
        .map(|stand| *stand)
    else {
        return;
    };
    let Ok(mut server) = TcpStream::connect(&target).await else {
        return;
    };
    tokio::select! {
        // Before anything else is let through: a commit takes no longer than a look now and then.
        biased;
        _ = stand.wait_for(|stand| *stand != Stand::Open) => {}
        // Either side may end it in its own way.
        _ = copy_bidirectional(&mut client, &mut server) => return,
    }
    // What is on its way is held back, and cut off in the end; so it is when the gate goes, too.
    let _held = stand.wait_for(|stand| *stand != Stand::Silent).await;
}
