//! Where a pipeline's event contract comes from. No network.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What an event looks like, and where its key, id and time stand. A changed schema is a new ConfigMap with a new name; a change that does not only add fields is refused.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.eventVersion) == has(oldSelf.eventVersion)").message("eventVersion: is immutable: it can be neither added nor removed; make a new Pipeline"))]
pub struct ContractSource {
    /// The contract's versions, oldest first. The last one admits new events. One version for now: a change that only adds fields is a new ConfigMap under a new name.
    #[schemars(length(min = 1, max = 1))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub versions: Vec<ContractVersion>,

    /// JSON Pointer to the event's key, a string or a number: what the event is about, for example /order_id. Events of one key keep their order in Kafka. Immutable.
    #[schemars(length(min = 2, max = 256), regex(pattern = "^(/([^/~]|~[01])+)+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: stored items and lake rows are keyed by it; make a new Pipeline for another key"))]
    pub key: String,

    /// JSON Pointer to the event's id, a string or a number: two events of one key with one id are the same event. Immutable.
    #[schemars(length(min = 2, max = 256), regex(pattern = "^(/([^/~]|~[01])+)+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: duplicates are told by it; make a new Pipeline for another event id"))]
    pub event_id: String,

    /// JSON Pointer to the time at which the event happened, a string with format date-time. Immutable.
    #[schemars(length(min = 2, max = 256), regex(pattern = "^(/([^/~]|~[01])+)+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: the order of versions rests on it; make a new Pipeline for another event time"))]
    pub event_time: String,

    /// JSON Pointer to an integer in the event that grows with each version of a key's data, for example /revision. Without it the event time decides which version is the latest. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 256), regex(pattern = "^(/([^/~]|~[01])+)+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: the order of versions rests on it; make a new Pipeline for another event version"))]
    pub event_version: Option<String>,
}

/// One version of the contract.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContractVersion {
    /// Name of the version, for people, for example v1. Records carry the digest of the schema.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// ConfigMap and key that hold the JSON Schema (draft 2020-12) of one event. The ConfigMap should be immutable: for a changed schema, make another one and name it here.
    pub schema_ref: ConfigMapKeyRef,
}

impl ContractSource {
    /// The version that admits new events; the schema demands one.
    pub fn admitting(&self) -> Option<&ContractVersion> {
        self.versions.last()
    }
}

/// One key of a ConfigMap in the pipeline's namespace.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeyRef {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key inside it.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// One key of a Secret in the pipeline's namespace.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key inside it.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}
