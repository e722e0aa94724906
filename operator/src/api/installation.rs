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
