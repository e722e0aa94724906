//! What a function is answered by Lambda's extension for AWS Secrets Manager. Listens on loopback.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Result;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use medallion_crds::launch::environment::SECRETS;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// By which the extension knows that it is the function that asks.
const TOKEN_HEADER: &str = "x-aws-parameters-secrets-token";
/// Names the extension's port to the function.
const PORT: &str = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT";

/// Secrets by name, for as long as this lives.
pub struct SecretsExtension {
    port: u16,
    /// Behind commas.
    names: String,
    task: JoinHandle<()>,
}

impl SecretsExtension {
    pub async fn start(secrets: BTreeMap<String, Value>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let names = secrets.keys().cloned().collect::<Vec<_>>().join(",");
        let secrets = Arc::new(secrets);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let secrets = secrets.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = answer(&secrets, &request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { port, names, task })
    }

    /// What the function's environment says of it.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [(SECRETS, self.names.clone()), (PORT, self.port.to_string())]
    }
}

impl Drop for SecretsExtension {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(secrets: &BTreeMap<String, Value>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let is_known = request
        .headers()
        .get(TOKEN_HEADER)
        .is_some_and(|token| !token.is_empty());
    let id = request.uri().query().and_then(|query| query.strip_prefix("secretId="));
    let (status, body) = match id.and_then(|id| secrets.get(id)) {
        _ if !is_known => (StatusCode::UNAUTHORIZED, json!({})),
        Some(secret) => (StatusCode::OK, json!({"Name": id, "SecretString": secret.to_string()})),
        None => (StatusCode::BAD_REQUEST, json!({"message": "ResourceNotFoundException"})),
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response
}
