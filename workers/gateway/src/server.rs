//! The listener: bounded connections, no patience with slow clients, a graceful end. Listens on the HTTP port.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Most connections at once; further clients wait in the listener's queue.
const MAX_CONNECTIONS: usize = 2048;
/// After a failed accept (no file descriptors left, most likely) the next attempt waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How patient the listener is.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A connection that has not sent a request's whole head in this time is closed, idle ones too.
    pub head: Duration,
    /// At the end requests in work have so long.
    pub grace: Duration,
}

/// Serves until `stop`, then lets the requests in work end, for at most their grace.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken, patience: Patience) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(64 * 1024);
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        let Some((stream, permit)) = accepted else { continue };
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // Clients that vanish are not worth a line in the log.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(patience.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections were still open at the end of their grace");
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = connections.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "no-delay not set");
            }
            Some((stream, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
