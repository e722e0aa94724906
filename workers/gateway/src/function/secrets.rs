//! A function's secrets, from AWS Secrets Manager by way of the Lambda extension that caches them, as the files that pods have mounted.
//! Asks the extension on loopback; writes files.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::future::join_all;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use medallion_crds::launch::{
    KAFKA_CA_PATH, KAFKA_CERTIFICATE_PATH, KAFKA_KEY_PATH, KAFKA_PASSWORD_PATH, KAFKA_USERNAME_PATH, TOKENS_PATH,
    environment,
};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use tokio::time::timeout;
use worker_kit::function::Package;

/// Where pods have mounted what a secret may hold; the name of the file is the name of the field.
const PATHS: [&str; 6] = [
    TOKENS_PATH,
    KAFKA_USERNAME_PATH,
    KAFKA_PASSWORD_PATH,
    KAFKA_CERTIFICATE_PATH,
    KAFKA_KEY_PATH,
    KAFKA_CA_PATH,
];
/// How old what was fetched may be; the extension has a cache of its own.
const FRESH: Duration = Duration::from_mins(1);
/// How long one secret is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// Names the extension's port, if it is not the usual one.
const PORT: &str = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT";
const USUAL_PORT: u16 = 2773;
/// By which the extension knows that it is the function that asks.
const TOKEN_HEADER: &str = "X-Aws-Parameters-Secrets-Token";

#[derive(Debug, Error)]
enum SecretsError {
    #[error(
        "the extension AWS Parameters and Secrets does not answer on port {port} ({message}); add its layer to the function"
    )]
    NoExtension { port: u16, message: String },
    #[error("secret {id}: {message}; check its name and the function's right secretsmanager:GetSecretValue")]
    Refused { id: String, message: String },
    #[error("secret {id} holds no JSON object of texts, such as {{\"username\": \"...\", \"password\": \"...\"}}")]
    NoObject { id: String },
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: std::io::Error },
}

/// The extension's answer, as far as it interests us.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    secret_string: Option<String>,
}

/// The secrets that the environment names.
pub(super) struct Secrets {
    ids: Vec<String>,
    port: u16,
    session: String,
    /// Field to file.
    files: BTreeMap<String, PathBuf>,
    fetched: Mutex<Option<SystemTime>>,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Secrets {
    /// Those that the environment names, if it names any.
    pub(super) fn of_environment(package: &Package) -> Option<Self> {
        let named = std::env::var(environment::SECRETS).unwrap_or_default();
        let port = std::env::var(PORT).ok().and_then(|port| port.parse().ok());
        let session = std::env::var("AWS_SESSION_TOKEN").unwrap_or_default();
        Self::new(&named, port.unwrap_or(USUAL_PORT), session, package)
    }

    fn new(named: &str, port: u16, session: String, package: &Package) -> Option<Self> {
        let ids = named.split(',').map(str::trim).filter(|id| !id.is_empty());
        let ids: Vec<String> = ids.map(str::to_owned).collect();
        let field = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        let files = PATHS
            .into_iter()
            .filter_map(|path| Some((field(path), package.fetched(path)?)));
        (!ids.is_empty()).then(|| Self {
            ids,
            port,
            session,
            files: files.collect(),
            fetched: Mutex::default(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        })
    }

    /// Fetches them anew, unless they are fresh, and takes no longer than this. What cannot be fetched stays as it was, and the
    /// log says why; it keeps none of the others from being fetched.
    pub(super) async fn refresh(&self, now: SystemTime, within: Duration) {
        let last = *self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = last.is_some_and(|last| now.duration_since(last).is_ok_and(|age| age < FRESH));
        if is_fresh {
            return;
        }
        let all = join_all(self.ids.iter().map(|id| self.fetch(id)));
        let Ok(fetched) = timeout(within, all).await else {
            let error = self.no_extension("nothing in the time that the request has for it");
            tracing::warn!(%error, "secrets were not fetched");
            return;
        };
        let failed: Vec<SecretsError> = fetched.into_iter().filter_map(Result::err).collect();
        for error in &failed {
            tracing::warn!(%error, "a secret was not fetched");
        }
        if !failed.is_empty() {
            return;
        }
        *self.fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    async fn fetch(&self, id: &str) -> Result<(), SecretsError> {
        let text = timeout(PATIENCE, self.ask(id))
            .await
            .unwrap_or_else(|_| Err(self.no_extension(&format!("nothing within {} s", PATIENCE.as_secs()))))?;
        let no_object = || SecretsError::NoObject { id: id.to_owned() };
        let fields: BTreeMap<String, Value> = serde_json::from_str(&text).map_err(|_| no_object())?;
        for (field, value) in &fields {
            // Others have fields of their own in it, and some that are no texts.
            if let (Some(path), Some(value)) = (self.files.get(field), value.as_str()) {
                let failed = |source| SecretsError::Write {
                    path: path.clone(),
                    source,
                };
                write(path, value).map_err(failed)?;
            }
        }
        Ok(())
    }

    async fn ask(&self, id: &str) -> Result<String, SecretsError> {
        let refused = |message: String| SecretsError::Refused {
            id: id.to_owned(),
            message,
        };
        // Of the letters that a name may have, only this one means something else in a query.
        let query = id.replace('+', "%2B");
        let request = Request::get(format!(
            "http://localhost:{}/secretsmanager/get?secretId={query}",
            self.port
        ))
        .header(TOKEN_HEADER, &self.session)
        .body(Empty::new())
        .map_err(|error| refused(error.to_string()))?;
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| self.no_extension(&error.to_string()))?;
        let status = answer.status();
        let body = answer.into_body().collect().await;
        let body = body.map_err(|error| self.no_extension(&error.to_string()))?.to_bytes();
        if !status.is_success() {
            return Err(refused(format!("{status} {}", String::from_utf8_lossy(&body))));
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| refused(error.to_string()))?;
        answer
            .secret_string
            .ok_or_else(|| SecretsError::NoObject { id: id.to_owned() })
    }

    fn no_extension(&self, message: &str) -> SecretsError {
        SecretsError::NoExtension {
            port: self.port,
            message: message.to_owned(),
        }
    }
}

/// A file that appears whole, for nobody else to read.
fn write(path: &Path, value: &str) -> std::io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|known| known == value) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(value.as_bytes())?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::extract::{Query, State};
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    type Kept = Arc<Mutex<BTreeMap<String, String>>>;

    /// What the extension does, of which `kept` is what Secrets Manager has.
    async fn extension(kept: Kept) -> u16 {
        let answer = |State(kept): State<Kept>, headers: HeaderMap, Query(query): Query<BTreeMap<String, String>>| async move {
            if headers.get(TOKEN_HEADER).is_none_or(|token| token != "session") {
                return (StatusCode::UNAUTHORIZED, String::new());
            }
            let found = query
                .get("secretId")
                .and_then(|id| kept.lock().expect("secrets").get(id).cloned());
            match found {
                Some(text) => (
                    StatusCode::OK,
                    serde_json::json!({"ARN": "arn", "SecretString": text}).to_string(),
                ),
                None => (StatusCode::BAD_REQUEST, "ResourceNotFoundException".to_owned()),
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let router = Router::new().route("/secretsmanager/get", get(answer)).with_state(kept);
        tokio::spawn(async move { axum::serve(listener, router).await });
        port
    }

    fn put(kept: &Kept, id: &str, text: &str) {
        kept.lock().expect("secrets").insert(id.to_owned(), text.to_owned());
    }

    #[tokio::test]
    async fn secrets_become_the_files_that_pods_have_mounted_and_are_fetched_again_when_they_are_old() {
        let kept = Kept::default();
        put(
            &kept,
            "AmazonMSK_shop",
            r#"{"username": "shop", "password": "first", "port": 9096}"#,
        );
        put(&kept, "shop/tokens+1", r#"{"tokens": "a-token-0123456789\n"}"#);
        let port = extension(kept.clone()).await;
        let folder = tempfile::tempdir().expect("a folder");
        let package = Package::at("/nowhere", folder.path());
        let named = " AmazonMSK_shop, shop/tokens+1 ,";
        let secrets = Secrets::new(named, port, "session".to_owned(), &package).expect("secrets");
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        let begun = SystemTime::UNIX_EPOCH + Duration::from_hours(1);

        secrets.refresh(begun, PATIENCE).await;
        assert_eq!(read("kafka-credentials/username"), "shop");
        assert_eq!(read("kafka-credentials/password"), "first");
        assert_eq!(read("tokens/tokens"), "a-token-0123456789\n");
        assert!(!folder.path().join("kafka-credentials/port").exists());

        put(&kept, "AmazonMSK_shop", r#"{"username": "shop", "password": "second"}"#);
        secrets.refresh(begun + Duration::from_secs(59), PATIENCE).await;
        assert_eq!(read("kafka-credentials/password"), "first", "fresh enough");
        secrets.refresh(begun + Duration::from_mins(1), PATIENCE).await;
        assert_eq!(read("kafka-credentials/password"), "second");

        kept.lock().expect("secrets").clear();
        secrets.refresh(begun + Duration::from_hours(1), PATIENCE).await;
        assert_eq!(read("kafka-credentials/password"), "second", "what was fetched stays");
    }

    #[tokio::test]
    async fn a_secret_that_is_refused_keeps_no_other_from_being_fetched() {
        let kept = Kept::default();
        put(&kept, "here", r#"{"password": "known"}"#);
        let port = extension(kept.clone()).await;
        let folder = tempfile::tempdir().expect("a folder");
        let package = Package::at("/nowhere", folder.path());
        let secrets = Secrets::new("gone,here", port, "session".to_owned(), &package).expect("secrets");
        let begun = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        secrets.refresh(begun, PATIENCE).await;
        assert_eq!(read("kafka-credentials/password"), "known");
        put(&kept, "gone", r#"{"username": "back"}"#);
        secrets.refresh(begun, PATIENCE).await;
        assert_eq!(
            read("kafka-credentials/username"),
            "back",
            "what failed is asked for again at once"
        );
    }

    #[tokio::test]
    async fn an_extension_that_does_not_answer_takes_no_more_than_its_share_of_the_request() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = silent.local_addr().expect("an address").port();
        let package = Package::at("/nowhere", "/nowhere");
        let secrets = Secrets::new("one,two", port, String::new(), &package).expect("secrets");
        let begun = std::time::Instant::now();
        secrets.refresh(SystemTime::now(), Duration::from_millis(50)).await;
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn what_cannot_be_fetched_is_named_with_the_fix() {
        let kept = Kept::default();
        put(&kept, "text", "not an object");
        let port = extension(kept).await;
        let package = Package::at("/nowhere", "/nowhere");
        let secrets = |port| Secrets::new("text,none", port, "session".to_owned(), &package).expect("secrets");
        let words = |result: Result<(), SecretsError>| result.expect_err("nothing").to_string();
        assert!(words(secrets(port).fetch("text").await).contains("no JSON object"));
        assert!(words(secrets(port).fetch("none").await).contains("GetSecretValue"));
        assert!(words(secrets(1).fetch("none").await).contains("add its layer"));
        assert!(Secrets::new(" , ", port, String::new(), &package).is_none());
    }
}
