//! The part of the settings file that belongs to one worker. No network.

use serde::{Deserialize, Serialize};

use crate::pipeline::{Management, RunsOn, ScramMechanism, WarehouseTable};
use crate::stage_run::TableVersion;

/// One version of the contract as a worker sees it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContractVersionSettings {
    /// Its name, for people.
    pub name: String,
    /// Path of the mounted JSON Schema.
    pub schema_path: String,
    /// What the schema's text must be, by [`super::schema_digest`]: a `ConfigMap` that is changed in place changes what is mounted.
    pub digest: String,
}

/// The event contract as a worker sees it: the schemas' files and the pointers.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContractSettings {
    /// Oldest first; the last one admits new events.
    pub versions: Vec<ContractVersionSettings>,
    /// JSON Pointer to the key.
    pub key: String,
    /// JSON Pointer to the event id.
    pub event_id: String,
    /// JSON Pointer to the event time.
    pub event_time: String,
    /// JSON Pointer to the event version, if events have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_version: Option<String>,
}

impl ContractSettings {
    /// Path of the schema that admits new events; empty, which names no file, if there is none.
    pub fn schema_path(&self) -> &str {
        self.versions.last().map_or("", |version| &version.schema_path)
    }

    /// What the text of the schema that admits new events must be; empty, which is no text's digest, if there is none.
    pub fn schema_digest(&self) -> &str {
        self.versions.last().map_or("", |version| &version.digest)
    }

    /// Every path that is named, for programs that have the files elsewhere.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut String> {
        self.versions.iter_mut().map(|version| &mut version.schema_path)
    }
}

/// Brokers and topics.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaSettings {
    /// host:port of the brokers to start from.
    pub bootstrap_servers: Vec<String>,
    /// Topic of the events.
    pub topic: String,
    /// Topic of the dead letters.
    pub dead_letter_topic: String,
    /// TLS to the brokers; absent: plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<KafkaTlsSettings>,
    /// How to prove to the brokers who we are.
    #[serde(default, skip_serializing_if = "KafkaAuthenticationSettings::is_none")]
    pub authentication: KafkaAuthenticationSettings,
}

impl KafkaSettings {
    /// Every path that is named, for programs that have the files elsewhere.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let authority = self.tls.as_mut().and_then(|tls| tls.ca_path.as_mut());
        let proof = match &mut self.authentication {
            KafkaAuthenticationSettings::None | KafkaAuthenticationSettings::MskIam { .. } => None,
            KafkaAuthenticationSettings::MutualTls {
                certificate_path,
                key_path,
            } => Some([certificate_path, key_path]),
            KafkaAuthenticationSettings::Plain {
                username_path,
                password_path,
            }
            | KafkaAuthenticationSettings::Scram {
                username_path,
                password_path,
                ..
            } => Some([username_path, password_path]),
        };
        authority.into_iter().chain(proof.into_iter().flatten())
    }
}

/// How to prove to the brokers who we are: where the mounted files are, never what is in them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum KafkaAuthenticationSettings {
    /// The brokers ask for nothing.
    #[default]
    None,
    /// A client certificate.
    MutualTls {
        /// Path of the certificate and those between it and the authority, PEM.
        certificate_path: String,
        /// Path of its private key, PEM.
        key_path: String,
    },
    /// SASL/PLAIN.
    Plain {
        /// Path of the user's name.
        username_path: String,
        /// Path of the password.
        password_path: String,
    },
    /// SASL/SCRAM.
    Scram {
        /// The hash function.
        mechanism: ScramMechanism,
        /// Path of the user's name.
        username_path: String,
        /// Path of the password.
        password_path: String,
    },
    /// IAM access control of Amazon MSK, by the process's own AWS credentials.
    MskIam {
        /// AWS region of the brokers.
        region: String,
    },
}

impl KafkaAuthenticationSettings {
    /// Whether the brokers ask for nothing.
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// TLS to the brokers.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaTlsSettings {
    /// Path of the mounted certificates of the authorities, PEM; absent: those that the image trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_path: Option<String>,
}

/// Where the layers live, as URLs without a slash at the end.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LakeSettings {
    /// URL of the Bronze table, for example `s3://shop-bronze/purchase_orders`.
    pub bronze_table: String,
    /// URL of the Silver tables' folder, for example `s3://shop-silver`.
    pub silver: String,
    /// URL of the Gold tables' folder, for example `s3://shop-gold`.
    pub gold: String,
}

/// Names of the layers' buckets.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LayerBuckets {
    /// Bronze.
    pub bronze: String,
    /// Silver.
    pub silver: String,
    /// Gold.
    pub gold: String,
}

/// The Redshift database.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WarehouseSettings {
    /// Serverless workgroup, or
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workgroup_name: Option<String>,
    /// provisioned cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_identifier: Option<String>,
    /// Database.
    pub database: String,
    /// Schema of the tables and the ledger.
    pub schema: String,
    /// Database user of the loader, to be granted what it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loader_user: Option<String>,
    /// Role for COPY.
    pub copy_role_arn: String,
}

/// Which run and attempt a Job works for.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunSettings {
    /// Name of the `StageRun`.
    pub name: String,
    /// UID of the `StageRun`.
    pub uid: String,
    /// Attempt, 1 for the first.
    pub attempt: i32,
    /// When the run was made, RFC 3339: the run's "now" (`as_of`) in every attempt.
    pub as_of: jiff::Timestamp,
    /// Source tables and versions up to which to work, inclusive.
    pub inputs: Vec<TableVersion>,
}

/// Settings of the provisioner.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProvisionerSettings {
    /// Create what is missing, or only verify.
    pub management: Management,
    /// The event contract, to be checked whole before anything starts.
    pub contract: ContractSettings,
    /// Brokers and topics.
    pub kafka: KafkaSettings,
    /// Consumer group, which must belong to this pipeline alone.
    pub group: String,
    /// Partitions of a topic to create, and the fewest to accept.
    pub partitions: i32,
    /// Copies of each record in a topic to create; absent: the cluster decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_factor: Option<i32>,
    /// The DynamoDB table.
    pub table: String,
    /// Its items expire: it needs a time to live, by [`super::EXPIRES_AT`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub table_expires: bool,
    /// Names of the layers' buckets.
    pub buckets: LayerBuckets,
    /// The layers.
    pub lake: LakeSettings,
    /// The warehouse; absent: the pipeline ends at Gold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<WarehouseSettings>,
    /// Tables that the warehouse stage loads, which must be this pipeline's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warehouse_tables: Vec<String>,
    /// Give up on a dependency that does not answer after so many seconds.
    pub timeout_seconds: i32,
}

/// Settings of the gateway.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewaySettings {
    /// The event contract.
    pub contract: ContractSettings,
    /// Brokers and topics.
    pub kafka: KafkaSettings,
    /// Path of the mounted tokens; absent: everybody may post.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_path: Option<String>,
    /// Unready (drain) for so many seconds before the listener closes at SIGTERM.
    pub drain_seconds: i32,
    /// Longest body in bytes, also after decompression.
    pub max_body_bytes: i64,
    /// Most events in one request.
    pub max_events_per_request: i32,
    /// Longest time for one request, in seconds.
    pub request_timeout_seconds: i32,
    /// Most bytes waiting for the broker; beyond it requests are refused with 503.
    pub max_buffer_bytes: i64,
}

impl GatewaySettings {
    /// Every path that is named, for programs that have the files elsewhere.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let own = self.contract.paths_mut().chain(self.kafka.paths_mut());
        own.chain(self.tokens_path.as_mut())
    }
}

/// Settings of the consumer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsumerSettings {
    /// The event contract.
    pub contract: ContractSettings,
    /// Brokers and topics.
    pub kafka: KafkaSettings,
    /// Consumer group.
    pub group: String,
    /// The DynamoDB table.
    pub table: String,
    /// Days after its record's time at which an item may be deleted; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_after_days: Option<i32>,
    /// Most puts in flight.
    pub max_in_flight: i32,
    /// Most bytes of records in memory.
    pub max_buffer_bytes: i64,
}

/// Settings of the exporter.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExporterSettings {
    /// The event contract.
    pub contract: ContractSettings,
    /// The DynamoDB table.
    pub table: String,
    /// The layers.
    pub lake: LakeSettings,
    /// Who writes Bronze: this pod, which otherwise hands the stream over and observes; or a function, which otherwise
    /// refuses to work.
    #[serde(default, skip_serializing_if = "RunsOn::is_cluster")]
    pub runs_on: RunsOn,
    /// Write when so many bytes are buffered.
    pub flush_max_bytes: i64,
    /// Write when the oldest buffered change is so old.
    pub flush_max_age_seconds: i32,
    /// Wait so long after an empty answer of a shard.
    pub poll_milliseconds: i32,
}

/// Settings of the dbt-runner; the stage (silver or gold) says which layer it makes.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DbtRunnerSettings {
    /// The run and attempt.
    pub run: RunSettings,
    /// The event contract: names and types of the Bronze columns.
    pub contract: ContractSettings,
    /// The layers.
    pub lake: LakeSettings,
    /// Folder of the dbt project in the image.
    pub project_path: String,
    /// Memory that DuckDB may use, in bytes; beyond it spills to the scratch folder.
    pub memory_bytes: i64,
    /// Threads that DuckDB and dbt may use.
    pub threads: i32,
}

/// Settings of the cataloger.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CatalogerSettings {
    /// The run and attempt; its inputs are the Gold tables to register.
    pub run: RunSettings,
    /// Create databases that are missing, or only say so.
    pub management: Management,
    /// The layers.
    pub lake: LakeSettings,
    /// Database of Gold's tables.
    pub database: String,
    /// Database of Silver's tables; absent: they are not registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silver_database: Option<String>,
}

/// Settings of the loader.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoaderSettings {
    /// The run and attempt.
    pub run: RunSettings,
    /// The layers.
    pub lake: LakeSettings,
    /// The warehouse.
    pub warehouse: WarehouseSettings,
    /// Tables and how each is loaded.
    pub tables: Vec<WarehouseTable>,
}
