//! Stands between the workers and AWS's stand-ins and notes what each of them asks for. Listens on the link between host and stack.
//!
//! Each worker signs with an access key of its own. A signature of version 4 covers everything but the access key, and all
//! keys have one secret: so the stand-ins, which know the administrator alone, are shown the administrator's key, and take it.

mod dynamodb;
mod glue;
mod places;
mod redshift;
mod s3;
mod target;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use medallion_policies::recorded::{self, Call, Recorded};
use tokio::net::TcpListener;

use crate::doors::Doors;
use crate::stack::Stack;

/// Shorter than a server's own patience, so that no request meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(2);
/// In the stack's folder of logs, which outlives it.
const CALLS: &str = "calls";

type Passed = Either<Incoming, Full<Bytes>>;

#[derive(Clone, Copy)]
enum Service {
    S3,
    DynamoDb,
    Redshift,
    Glue,
}

/// Who asked for what so far.
pub struct Recorder {
    /// Identities by access key.
    identities: BTreeMap<String, String>,
    administrator: String,
    seen: Mutex<Recorded>,
    client: Client<HttpConnector, Passed>,
}

impl Recorder {
    /// Opens a door before each service; they are open as long as this process lives.
    pub async fn start(stack: &Stack) -> Result<(Arc<Self>, Doors)> {
        let workers = stack.aws.workers.iter();
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let recorder = Arc::new(Self {
            identities: workers.map(|(identity, key)| (key.clone(), identity.clone())).collect(),
            administrator: stack.aws.access_key_id.clone(),
            seen: Mutex::default(),
            client: Client::builder(TokioExecutor::new())
                .pool_idle_timeout(IDLE)
                .build(connector),
        });
        let s3 = recorder.open(stack, Service::S3, &stack.s3.endpoint).await?;
        let dynamodb = recorder
            .open(stack, Service::DynamoDb, &stack.dynamodb.endpoint)
            .await?;
        let redshift = recorder
            .open(stack, Service::Redshift, &stack.redshift()?.endpoint)
            .await?;
        let glue = recorder.open(stack, Service::Glue, &stack.moto.endpoint).await?;
        Ok((recorder, Doors::others(stack, s3, dynamodb, redshift, glue)))
    }

    async fn open(self: &Arc<Self>, stack: &Stack, service: Service, behind: &str) -> Result<String> {
        let listener = TcpListener::bind((stack.host_ip.as_str(), 0)).await.with_context(|| {
            format!(
                "cannot listen on {}, the host's end of the link to the stack",
                stack.host_ip
            )
        })?;
        let address = listener.local_addr()?;
        let (recorder, behind) = (self.clone(), behind.to_owned());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A small answer must not wait for more.
                let _ = stream.set_nodelay(true);
                let (recorder, behind) = (recorder.clone(), behind.clone());
                let passes = service_fn(move |request: Request<Incoming>| {
                    let (recorder, behind) = (recorder.clone(), behind.clone());
                    async move { recorder.pass(service, &behind, request).await }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), passes));
            }
        });
        Ok(format!("http://{address}"))
    }

    /// An error ends the client's connection, as the stand-in's death would.
    async fn pass(&self, service: Service, behind: &str, request: Request<Incoming>) -> Result<Response<Incoming>> {
        let (mut parts, body) = request.into_parts();
        let identity = self.identify(&mut parts.headers);
        let (calls, body) = match service {
            Service::S3 => {
                let calls = s3::calls(&parts.method, &parts.uri, &parts.headers);
                (calls, Either::Left(body))
            }
            Service::DynamoDb | Service::Redshift | Service::Glue => {
                let body = body.collect().await?.to_bytes();
                let call = match service {
                    Service::Redshift => redshift::call(&parts.headers, &body),
                    Service::Glue => glue::call(&parts.headers, &body),
                    _ => dynamodb::call(&parts.headers, &body),
                };
                (Vec::from_iter(call), Either::Right(Full::new(body)))
            }
        };
        if let Some(identity) = identity {
            self.note(&identity, calls);
        }
        let asked = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        parts.uri = format!("{behind}{asked}").parse()?;
        Ok(self.client.request(Request::from_parts(parts, body)).await?)
    }

    /// Whose signature it is, which becomes the administrator's. What is not signed nobody asks for.
    fn identify(&self, headers: &mut HeaderMap) -> Option<String> {
        let signed = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (before, behind) = signed.split_once("Credential=")?;
        let (key, scope) = behind.split_once('/')?;
        let Some(identity) = self.identities.get(key) else {
            return Some(format!("access key {key}"));
        };
        let shown = format!("{before}Credential={}/{scope}", self.administrator);
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&shown).ok()?);
        Some(identity.clone())
    }

    fn note(&self, identity: &str, calls: Vec<Call>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = seen.get_mut(identity) {
            known.extend(calls);
        } else {
            seen.insert(identity.to_owned(), calls.into_iter().collect());
        }
    }

    /// Fails with what was asked for and does not stand in the workspace's files; all that was asked for is written down.
    pub fn compare(&self, stack: &Stack) -> Result<()> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let folder = stack.logs.join(CALLS);
        recorded::write(&folder, &seen)?;
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/recorded");
        let unknown = recorded::unknown(&recorded::read(&files)?, &seen);
        if !unknown.is_empty() {
            bail!(
                "calls of AWS that {} does not have; if they are meant, take them from {} and give the worker the right:\n  {}",
                medallion_policies::RECORDED,
                folder.display(),
                unknown.join("\n  ")
            );
        }
        Ok(())
    }
}
