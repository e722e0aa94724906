//! Operator to worker: the settings file, environment names, ports, exit codes and the termination report. No network.
//!
//! The operator writes one JSON file per worker (a [`Settings`] with the worker's own part inside) and mounts it; the
//! worker reads it and, if it is a Job, leaves a [`report`] as its termination message.

mod exit;
mod packed;
pub mod report;
mod run_report;
mod schema_digest;
mod workers;

pub use exit::ExitCode;
pub use schema_digest::schema_digest;
pub use workers::{
    CatalogerSettings, ConsumerSettings, ContractSettings, ContractVersionSettings, DbtRunnerSettings,
    ExporterSettings, GatewaySettings, KafkaAuthenticationSettings, KafkaSettings, KafkaTlsSettings, LakeSettings,
    LayerBuckets, LoaderSettings, ProvisionerSettings, RunSettings, WarehouseSettings,
};

use serde::{Deserialize, Serialize};

use crate::owner::Owner;
use crate::stage::Stage;

/// Below this folder pods have everything mounted. A function of AWS Lambda, which has no mounts, finds what is named below it in its
/// package instead, or among the secrets that it has fetched.
pub const MOUNTS_PATH: &str = "/etc/medallion";
/// Where the settings file is mounted, unless [`environment::SETTINGS`] names another path.
pub const SETTINGS_PATH: &str = "/etc/medallion/settings/settings.json";
/// Where the contract's schema is mounted.
pub const CONTRACT_PATH: &str = "/etc/medallion/contract/schema.json";
/// Where the certificates that the brokers' are signed with are mounted.
pub const KAFKA_CA_PATH: &str = "/etc/medallion/kafka-ca/ca.pem";
/// Where the name of the user at the brokers is mounted.
pub const KAFKA_USERNAME_PATH: &str = "/etc/medallion/kafka-credentials/username";
/// Where the user's password at the brokers is mounted.
pub const KAFKA_PASSWORD_PATH: &str = "/etc/medallion/kafka-credentials/password";
/// Where the client certificate for the brokers is mounted.
pub const KAFKA_CERTIFICATE_PATH: &str = "/etc/medallion/kafka-credentials/tls.crt";
/// Where the client certificate's private key is mounted.
pub const KAFKA_KEY_PATH: &str = "/etc/medallion/kafka-credentials/tls.key";
/// Where the certificates are mounted that the administrator wants trusted in the place of the image's.
pub const TRUST_BUNDLE_PATH: &str = "/etc/medallion/trust-bundle/ca.pem";
/// Where the gateway's tokens are mounted.
pub const TOKENS_PATH: &str = "/etc/medallion/tokens/tokens";
/// Port of `/livez`, `/readyz`, `/metrics` and `/progress` in every worker.
pub const ADMIN_PORT: u16 = 9090;
/// Port on which the gateway takes events.
pub const HTTP_PORT: u16 = 8080;
/// Writable folder, gone with the pod.
pub const SCRATCH_PATH: &str = "/scratch";
/// Where a Job leaves its report.
pub const TERMINATION_PATH: &str = "/dev/termination-log";
/// The most bytes a termination report may have (the kubelet cuts at this length).
pub const TERMINATION_BYTES: usize = 4096;

/// Attribute of an item with the second of the epoch after which it may be deleted, where items expire.
pub const EXPIRES_AT: &str = "expires_at";

/// Names of environment variables. AWS endpoints, region and credentials come by the SDK's own names.
pub mod environment {
    /// Path of the settings file, when it is not the usual one.
    pub const SETTINGS: &str = "MEDALLION_SETTINGS";
    /// Digest of the settings, echoed in `/progress`.
    pub const SETTINGS_HASH: &str = "MEDALLION_SETTINGS_HASH";
    /// UID of the pod, by the downward API.
    pub const POD_UID: &str = "POD_UID";
    /// Name of the pod, by the downward API.
    pub const POD_NAME: &str = "POD_NAME";
    /// `true`: S3 is addressed by path, as S3 look-alikes want it.
    pub const S3_PATH_STYLE: &str = "MEDALLION_S3_PATH_STYLE";
    /// Address the admin server listens on, when it is not all interfaces at [`super::ADMIN_PORT`].
    pub const ADMIN_LISTEN: &str = "MEDALLION_ADMIN_LISTEN";
    /// Names or ARNs of secrets in AWS Secrets Manager, separated by commas, that a function of AWS Lambda has instead of mounted
    /// Secrets. Each holds JSON whose fields are named as the files: tokens, username, password, tls.crt, tls.key, ca.pem.
    pub const SECRETS: &str = "MEDALLION_SECRETS";
    /// Name of a point at which a worker waits to be killed; set by tests alone.
    pub const HOLD_POINT: &str = "MEDALLION_HOLD_POINT";
    /// Path of the certificates that are trusted, in the place of the image's: a name that the TLS libraries know.
    pub const TRUST_BUNDLE: &str = "SSL_CERT_FILE";
    /// `true`: metrics are also written among the log's lines, in CloudWatch's embedded metric format.
    pub const EMBEDDED_METRICS: &str = "MEDALLION_EMBEDDED_METRICS";
    /// Filter of the log, for example `info` or `consumer=debug`.
    pub const LOG: &str = "RUST_LOG";
}

/// The settings file of one worker.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings<W> {
    /// The pipeline the worker works for.
    pub pipeline: PipelineIdentity,
    /// The worker's stage; absent for the provisioner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// What the pipeline may take over, each value once: see [`crate::ADOPT_ANNOTATION`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adopt: Vec<String>,
    /// AWS region.
    pub region: String,
    /// The worker's own settings.
    pub worker: W,
}

/// Which pipeline.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PipelineIdentity {
    /// Installation of the operator that runs it.
    pub installation: String,
    /// Namespace of the Pipeline.
    pub namespace: String,
    /// Name of the Pipeline.
    pub name: String,
    /// UID of the Pipeline.
    pub uid: String,
}

impl PipelineIdentity {
    /// What stands in every table of the pipeline.
    pub fn owner(&self) -> Owner {
        Owner {
            installation: self.installation.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}
