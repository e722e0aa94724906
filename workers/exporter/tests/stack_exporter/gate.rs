//! A gate before S3 that can be shut, or say nothing. Listens on loopback.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How the gate stands.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Stand {
    Open,
    /// Connections are closed at once, also those that are there.
    Shut,
    /// Connections are taken, and nothing comes back.
    Silent,
}

/// A gate; it goes with its handle.
pub struct Gate {
    stand: Arc<AtomicU8>,
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
        let stand = Arc::new(AtomicU8::new(Stand::Open as u8));
        let seen = Arc::clone(&stand);
        let listener = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, target.clone(), Arc::clone(&seen)));
            }
        });
        Ok(Self {
            stand,
            endpoint,
            listener,
        })
    }

    pub fn stands(&self, stand: Stand) {
        self.stand.store(stand as u8, Ordering::SeqCst);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn pass(mut client: TcpStream, target: String, stand: Arc<AtomicU8>) {
    let is = |wanted: Stand| stand.load(Ordering::SeqCst) == wanted as u8;
    while is(Stand::Silent) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if !is(Stand::Open) {
        return;
    }
    let Ok(mut server) = TcpStream::connect(&target).await else {
        return;
    };
    let changed = async {
        while is(Stand::Open) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        // Either side may end it in its own way.
        _ = copy_bidirectional(&mut client, &mut server) => return,
        () = changed => {}
    }
    // What is on its way is held back, and cut off in the end.
    while is(Stand::Silent) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
