//! The name of this installation where the configuration gives none. Talks to the Kubernetes API.

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt};
use thiserror::Error;

use crate::api::call::{CallError, call};

/// Lives as long as the cluster, and is another in each.
const NAMESPACE: &str = "kube-system";

/// Why the installation has no name.
#[derive(Debug, Error)]
pub enum InstallationError {
    /// The namespace could not be read.
    #[error("{0}; give the Helm value installation, or let the operator get namespace kube-system")]
    Call(#[from] CallError),
    /// Not a name.
    #[error("installation {0:?}: only a-z, 0-9 and - may be in it")]
    Malformed(String),
}

/// The configured name, or else the UID of the cluster's oldest namespace.
pub(crate) async fn installation(client: &Client, configured: &str) -> Result<String, InstallationError> {
    let name = if configured.is_empty() {
        let api: Api<Namespace> = Api::all(client.clone());
        let found = call(|| format!("get namespace {NAMESPACE}"), api.get_metadata(NAMESPACE)).await?;
        found.uid().unwrap_or_default()
    } else {
        configured.to_owned()
    };
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(InstallationError::Malformed(name));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mock::Server;

    #[tokio::test]
    async fn the_cluster_names_the_installation_where_no_value_does() {
        let server = Server::default();
        server.put(
            "namespaces",
            json!({"metadata": {"name": "kube-system", "namespace": "cluster", "uid": "0a1b-2c"}}),
        );
        let client = server.client();
        assert_eq!(installation(&client, "").await.unwrap(), "0a1b-2c");
        assert_eq!(installation(&client, "prod-eu").await.unwrap(), "prod-eu");
        for malformed in ["prod.eu", "Prod", "a/b", "a b"] {
            assert!(installation(&client, malformed).await.is_err(), "{malformed}");
        }
        server.refuse("GET namespaces", 403);
        let error = installation(&client, "").await.unwrap_err().to_string();
        assert!(error.contains("Helm value installation"), "{error}");
    }
}
