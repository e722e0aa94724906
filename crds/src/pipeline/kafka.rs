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
#[x_kube(validation = Rule::new("self.authentication.type != 'Plain' || has(self.tls)").message("authentication: type Plain sends the password as it is, so spec.kafka.tls is required with it; tls: {} trusts the authorities that the image trusts"))]
#[x_kube(validation = Rule::new("self.authentication.type != 'MutualTls' || has(self.tls)").message("authentication: type MutualTls shows a certificate over TLS, so spec.kafka.tls is required with it; tls: {} trusts the authorities that the image trusts"))]
#[x_kube(validation = Rule::new("self.authentication.type != 'MskIam' || has(self.tls)").message("authentication: type MskIam sends a signed token that others could use, so spec.kafka.tls is required with it; tls: {} trusts Amazon's authorities, as the image does"))]
#[x_kube(validation = Rule::new("self.replicationPolicy != 'ClusterDecides' || !has(self.replicationFactor)").message("replicationFactor: the cluster decides how many copies there are (replicationPolicy ClusterDecides); leave it out, or say replicationPolicy: Specified"))]
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

    /// Who says how many copies of each record there are. Specified (default): replicationFactor. ClusterDecides: the cluster itself, which takes no such number, as Amazon MSK Serverless; the provisioner then asks for neither copies nor in-sync replicas, and judges neither.
    #[serde(default)]
    pub replication_policy: ReplicationPolicy,

    /// Copies of each record in a topic that the provisioner creates. With 3 or more, a record is acknowledged when all but one have it (min.insync.replicas); an existing topic that acknowledges with fewer is named in `status.dependencies`, and worked with. 1 only for a single broker that may be lost. Left out: 3; another number changes no topic that exists. Only with replicationPolicy Specified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 15))]
    pub replication_factor: Option<i32>,

    /// TLS to the brokers. Left out: plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<KafkaTls>,

    /// How gateway, consumer and provisioner prove to the brokers who they are. Every Secret named here is mounted as files and read again when it changes: rotated passwords and certificates take effect within about a minute and a half (the kubelet's time to remount, then a second), without a restart and without loss.
    #[serde(default)]
    pub authentication: KafkaAuthentication,
}

impl Kafka {
    /// Copies of each record to ask for; `None`: the cluster decides.
    #[must_use]
    pub fn copies(&self) -> Option<i32> {
        match self.replication_policy {
            ReplicationPolicy::Specified => Some(self.replication_factor.unwrap_or(3)),
            ReplicationPolicy::ClusterDecides => None,
        }
    }
}

/// Who says how many copies of each record there are.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ReplicationPolicy {
    /// The Pipeline.
    #[default]
    Specified,
    /// The cluster, which takes no such number.
    ClusterDecides,
}

/// TLS to the brokers. A broker must show a certificate that an authority has signed, that is not expired, and that names the host by which it was called.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTls {
    /// Certificates of the authorities that may sign the brokers' certificates, in PEM; several may stand one after another, so that an old and a new one overlap while they change. Left out: those that the image trusts, as is right for Amazon MSK and Confluent Cloud.
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

/// How clients prove who they are to the brokers: a type, and what that type needs under its own name.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'MutualTls') == has(self.mutualTls)").message("mutualTls: is required when type is MutualTls, and only then allowed"))]
#[x_kube(validation = Rule::new("(self.type == 'Plain') == has(self.plain)").message("plain: is required when type is Plain, and only then allowed"))]
#[x_kube(validation = Rule::new("(self.type == 'Scram') == has(self.scram)").message("scram: is required when type is Scram, and only then allowed"))]
#[x_kube(validation = Rule::new("self.type == 'MskIam' || !has(self.mskIam)").message("mskIam: is only allowed when type is MskIam"))]
pub struct KafkaAuthentication {
    /// None: the brokers ask for nothing, with or without TLS. MutualTls: a client certificate. Plain: SASL/PLAIN, a user and a password, over TLS only. Scram: SASL/SCRAM, a user and a password that is never sent. MskIam: Amazon MSK's IAM access control, by the pods' own AWS identities and without any Secret.
    #[serde(rename = "type")]
    pub kind: KafkaAuthenticationType,
    /// The client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutual_tls: Option<KafkaMutualTls>,
    /// User and password for SASL/PLAIN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain: Option<KafkaPlain>,
    /// User and password for SASL/SCRAM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scram: Option<KafkaScram>,
    /// What Amazon MSK's IAM access control needs beside the pods' identities. May be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msk_iam: Option<KafkaMskIam>,
}

/// Kinds of authentication to Kafka.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum KafkaAuthenticationType {
    /// No authentication.
    #[default]
    None,
    /// A client certificate.
    MutualTls,
    /// SASL/PLAIN.
    Plain,
    /// SASL/SCRAM.
    Scram,
    /// IAM access control of Amazon MSK.
    MskIam,
}

/// The client certificate, in the shape that cert-manager writes: one Secret of type kubernetes.io/tls has both keys.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaMutualTls {
    /// Certificate in PEM, followed by those between it and the authority if there are any; often key tls.crt.
    pub certificate: SecretSource,
    /// Its private key in PEM, not encrypted; often key tls.key.
    pub key: SecretSource,
}

/// User and password for SASL/PLAIN, such as the API key and its secret of Confluent Cloud.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaPlain {
    /// The user's name. A line end after it does not count.
    pub username: SecretSource,
    /// The password. A line end after it does not count.
    pub password: SecretSource,
}

/// User and password for SASL/SCRAM.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaScram {
    /// Sha512 (default): SCRAM-SHA-512, as Amazon MSK has it. Sha256: SCRAM-SHA-256.
    #[serde(default)]
    pub mechanism: ScramMechanism,
    /// The user's name. A line end after it does not count.
    pub username: SecretSource,
    /// The password. A line end after it does not count.
    pub password: SecretSource,
}

/// Hash functions of SASL/SCRAM.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ScramMechanism {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    #[default]
    Sha512,
}

/// A value from a Secret in the pipeline's namespace.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretSource {
    /// Secret and key that hold the value.
    pub secret_key_ref: SecretKeyRef,
}

/// What Amazon MSK's IAM access control needs beside the pods' identities.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaMskIam {
    /// AWS region of the brokers, for example eu-west-1. Left out: the one in the brokers' host names, or else `spec.aws.region`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]$"))]
    pub region: Option<String>,
}
