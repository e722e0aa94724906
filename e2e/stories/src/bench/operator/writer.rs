//! Writes of the bench, each in as small a request as there is: the server answers with metadata alone. Talks to the API server.

use std::time::Duration;

use anyhow::{Context, Result};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request};
use k8s_openapi::NamespaceResourceScope;
use kube::{Client, Resource};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
/// How many writes are under way at once: the server is busy with them, and has room for the operator.
const AT_ONCE: usize = 64;
/// A write is tried again as controllers do: while the server is busy, or a pod's service account is not there yet.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(500);

pub struct Writer {
    client: Client,
    permits: Semaphore,
}

/// What an object is known by.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Named {
    pub name: String,
    pub uid: String,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    metadata: Named,
}

impl Writer {
    pub fn new(client: Client) -> Self {
        Self {
            client,
            permits: Semaphore::new(AT_ONCE),
        }
    }

    /// Creates an object; `None`: it is there already, or its namespace is gone.
    pub async fn create<K>(&self, namespace: &str, object: &impl Serialize) -> Result<Option<Named>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let path = K::url_path(&(), Some(namespace));
        self.send(Method::POST, &path, JSON, &serde_json::to_vec(object)?).await
    }

    /// Merges a status into that of this very object; `None`: it is gone, perhaps with another of its name in its place.
    pub async fn status<K>(&self, namespace: &str, object: &Named, status: &Value) -> Result<Option<Named>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let path = format!("{}/{}/status", K::url_path(&(), Some(namespace)), object.name);
        let change = json!({"metadata": {"uid": object.uid}, "status": status}).to_string();
        self.send(Method::PATCH, &path, MERGE, change.as_bytes()).await
    }

    /// Deletes an object; one that is gone already is fine.
    pub async fn delete<K>(&self, namespace: &str, name: &str) -> Result<()>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let path = format!("{}/{name}", K::url_path(&(), Some(namespace)));
        let options = json!({"propagationPolicy": "Background"}).to_string();
        let deleted = self.send(Method::DELETE, &path, JSON, options.as_bytes());
        deleted.await.map(drop)
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: &[u8]) -> Result<Option<Named>> {
        let mut tries = 1;
        loop {
            let request = Request::builder()
                .method(method.clone())
                .uri(path)
                .header(ACCEPT, METADATA)
                .header(CONTENT_TYPE, kind)
                .body(body.to_vec())?;
            let permit = self.permits.acquire().await?;
            let answer = self.client.request::<Answer>(request).await;
            drop(permit);
            match answer {
                Ok(answer) => return Ok(Some(answer.metadata)),
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(None),
                Err(error) if tries == TRIES || is_final(&error) => {
                    return Err(error).with_context(|| format!("{method} {path}"));
                }
                Err(_) => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

fn is_final(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 400 | 405 | 415 | 422))
}
