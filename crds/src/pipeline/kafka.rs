//! The Kafka part of a pipeline. No network.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Kafka topic that events travel through, and its dead-letter topic.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.topic != self.deadLetterTopic").message("deadLetterTopic: must differ from topic, or dead letters would be read again as events"))]
pub struct Kafka {
    /// Brokers to start from, host:port.
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 3, max = 253), regex(pattern = "^[^\\s/:]+:[0-9]{1,5}$"))
    )]
    pub bootstrap_servers: Vec<String>,

    /// Topic of the events. Immutable.
    #[schemars(length(min = 1, max = 200), regex(pattern = "^[a-zA-Z0-9._-]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: offsets belong to one topic; make a new Pipeline for another"))]
    pub topic: String,

    /// Topic of the records that can never succeed as they are, by custom dlq.<topic>. Immutable.
    #[schemars(length(min = 1, max = 249), regex(pattern = "^[a-zA-Z0-9._-]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: dead letters are counted there; make a new Pipeline for another"))]
    pub dead_letter_topic: String,

    /// Partitions of a topic that the provisioner creates. An existing topic with another count is reported, never changed. Immutable.
    #[serde(default = "partitions")]
    #[schemars(range(min = 1, max = 1000))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: a key's events would change their partition and lose their order"))]
    pub partitions: i32,

    /// How clients prove who they are to the brokers.
    #[serde(default)]
    pub authentication: KafkaAuthentication,
}

const fn partitions() -> i32 {
    6
}

/// How clients prove who they are to the brokers.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaAuthentication {
    /// None: plain text, no authentication.
    #[serde(rename = "type")]
    pub kind: KafkaAuthenticationType,
}

/// Kinds of authentication to Kafka.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum KafkaAuthenticationType {
    /// Plain text, no authentication.
    #[default]
    None,
}
