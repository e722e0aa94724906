//! The Kafka part of a pipeline. No network.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigMapKeyRef, SecretKeyRef};

/// The Kafka topic that events travel through, and its dead-letter topic.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.consumerGroup) == has(oldSelf.consumerGroup)").message("consumerGroup: is immutable: it can be neither added nor removed, because offsets belong to one group; make a new Pipeline"))]
#[x_kube(validation = Rule::new("self.topic != self.deadLetterTopic").message("deadLetterTopic: must differ from topic, or dead letters would be read again as events"))]
pub struct Kafka {
    /// Brokers to start from, host:port. Others may be named later, if they lead to the same topic: it is known by its id.
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 3, max = 253), regex(pattern = "^[^\\s/:]+:[0-9]{1,5}$"))
    )]
    pub bootstrap_servers: Vec<String>,

    /// Topic of the events. It is read from its beginning; where the brokers have deleted records of it before the first read, the consumer halts with `OffsetsLost` until its group has been given offsets. Immutable.
    #[schemars(length(min = 1, max = 200), regex(pattern = "^[a-zA-Z0-9._-]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: offsets belong to one topic; make a new Pipeline for another"))]
    pub topic: String,

    /// Topic of the records that can never succeed as they are, by custom dlq.<topic>; of this pipeline alone. Immutable.
    #[schemars(length(min = 1, max = 249), regex(pattern = "^[a-zA-Z0-9._-]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: dead letters are counted there; make a new Pipeline for another"))]
    pub dead_letter_topic: String,

    /// Consumer group of the persist stage; must belong to this pipeline alone. Left out: medallion.<installation>.<namespace>.<name>, shown in `status.kafka.consumerGroup`. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 249), regex(pattern = "^[a-zA-Z0-9._-]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: offsets belong to one group; make a new Pipeline for another"))]
    pub consumer_group: Option<String>,

    /// Partitions of a topic that the provisioner creates. An existing topic with fewer is refused: say as many as it has. Of one with more, all are read. Default 6. Immutable.
    #[serde(default = "partitions")]
    #[schemars(range(min = 1, max = 1000))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: a key's events would change their partition and lose their order"))]
    pub partitions: i32,

    /// Copies of each record in a topic that the provisioner creates. With 3 or more, a record is acknowledged when all but one have it (min.insync.replicas); an existing topic that acknowledges with fewer is named in `status.dependencies`, and worked with. 1 only for a single broker that may be lost. Default 3; another number changes no topic that exists.
    #[serde(default = "replication_factor")]
    #[schemars(range(min = 1, max = 15))]
    pub replication_factor: i32,

    /// TLS to the brokers. Left out: plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<KafkaTls>,

    /// How clients prove who they are to the brokers. Left out: not at all.
    #[serde(default)]
    pub authentication: KafkaAuthentication,
}

const fn replication_factor() -> i32 {
    3
}

/// TLS to the brokers.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTls {
    /// Certificates of the authorities that may sign the brokers' certificates, in PEM. Left out: those that the image trusts. They are read when a pod starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<CertificateAuthority>,
}

/// Certificates in PEM, from a ConfigMap or a Secret in the pipeline's namespace.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.configMapKeyRef) != has(self.secretKeyRef)").message("give either configMapKeyRef or secretKeyRef, not both"))]
pub struct CertificateAuthority {
    /// Key of a ConfigMap in the pipeline's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<ConfigMapKeyRef>,
    /// Key of a Secret in the pipeline's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
}

const fn partitions() -> i32 {
    6
}

/// How clients prove who they are to the brokers. Left out: not at all.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaAuthentication {
    /// None, the only one that works so far: no authentication.
    #[serde(rename = "type")]
    pub kind: KafkaAuthenticationType,
}

/// Kinds of authentication to Kafka.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum KafkaAuthenticationType {
    /// No authentication.
    #[default]
    None,
}
