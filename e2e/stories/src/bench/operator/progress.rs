//! Answers `GET /progress` for every simulated pod, by the address that was asked. Listens on the admin port of all loopback addresses.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::{Context, Result};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use medallion_crds::launch::ADMIN_PORT;
use medallion_crds::progress::PATH;
use tokio::net::{TcpListener, TcpStream};

use super::simulator::Simulator;

/// Listens until the program ends.
pub async fn serve(simulator: Arc<Simulator>) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, ADMIN_PORT))
        .await
        .with_context(|| format!("port {ADMIN_PORT} of this machine must be free"))?;
    tokio::spawn(async move {
        loop {
            // An operator that has just ended breaks connections off.
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(simulator.clone(), stream));
            }
        }
    });
    Ok(())
}

async fn converse(simulator: Arc<Simulator>, stream: TcpStream) {
    let Ok(IpAddr::V4(address)) = stream.local_addr().map(|address| address.ip()) else {
        return;
    };
    let service = service_fn(|request| {
        let answer = answer(&simulator, address, &request);
        async move { Ok::<_, Infallible>(answer) }
    });
    // The other side may leave whenever it likes.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(simulator: &Simulator, address: Ipv4Addr, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let pod = simulator.at(address).filter(|_| request.uri().path() == PATH);
    let body = pod.and_then(|pod| serde_json::to_vec(&simulator.fleet.progress(&pod)).ok());
    let mut response = Response::new(Full::new(Bytes::from(body.clone().unwrap_or_default())));
    if body.is_none() {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}
