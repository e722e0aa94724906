//! Writes the status of the operator's own kinds, whole, over the version that it was decided on. Talks to the Kubernetes API.
//!
//! A status has one writer, so there is nothing to merge: it is replaced. An apply would have the server look for the owner of each
//! field of a large schema first, twice or more for each run.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::core::Request;
use kube::{Client, Error, Resource};
use medallion_crds::labels;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api::call::{CallError, call};

/// The object as the write has left it. A conflict: it has been written since it was seen, or another of its name is in its place.
pub(crate) async fn replace<K>(client: &Client, seen: &ObjectMeta, status: &impl Serialize) -> Result<K, CallError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
{
    let name = seen.name.as_deref().unwrap_or_default();
    // Of a status the server reads nothing else of the object.
    let body = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name, "uid": seen.uid, "resourceVersion": seen.resource_version},
        "status": status,
    });
    let parameters = PostParams {
        field_manager: Some(labels::MANAGER.to_owned()),
        ..PostParams::default()
    };
    let written = async {
        let body = serde_json::to_vec(&body).map_err(Error::SerdeError)?;
        let request = Request::new(K::url_path(&(), seen.namespace.as_deref()))
            .replace_subresource("status", name, &parameters, body)
            .map_err(Error::BuildRequest)?;
        client.request::<K>(request).await
    };
    call(|| format!("write status of {} {name}", K::kind(&())), written).await
}
