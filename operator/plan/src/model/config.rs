//! What the administrator decides for all pipelines: images, resources, environment. No network.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use medallion_crds::Worker;
use serde::{Deserialize, Serialize};

/// The operator's configuration file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OperatorConfig {
    /// One word for this installation of the operator, part of every owner. Empty until the operator has read the UID of namespace kube-system.
    #[serde(default)]
    pub installation: String,
    /// Images of the workers.
    pub images: Images,
    /// `Always`, `IfNotPresent` or `Never`; left out: what Kubernetes makes of the image's tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<String>,
    /// Names of pull secrets in the pipelines' namespaces.
    #[serde(default)]
    pub image_pull_secrets: Vec<String>,
    /// Environment of every worker, for example the AWS endpoints of a private installation.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Name of a Secret in each pipeline's namespace with AWS credentials as environment names. Only where pods have no identity of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_credentials_secret: Option<String>,
    /// What the names of service accounts must begin with that a Pipeline may name.
    #[serde(default = "service_account_prefix")]
    pub service_account_prefix: String,
    /// What differs from worker to worker.
    #[serde(default)]
    pub workers: BTreeMap<Worker, WorkerConfig>,
    /// Limits inside the dbt-runner; its pod's limits must leave room for them.
    #[serde(default)]
    pub dbt_runner: DbtRunnerConfig,
}

/// Images of the workers.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Images {
    /// Provisioner, gateway, consumer, exporter and loader.
    pub workers: String,
    /// The allow-list of dbt projects: name to image.
    #[serde(default)]
    pub dbt_projects: BTreeMap<String, String>,
}

/// What an administrator decides for one worker.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// CPU and memory.
    pub resources: ResourceRequirements,
    /// Labels of nodes that may run it.
    pub node_selector: BTreeMap<String, String>,
    /// Taints it tolerates.
    pub tolerations: Vec<Toleration>,
    /// Environment of this worker alone.
    pub environment: BTreeMap<String, String>,
}

/// Limits inside the dbt-runner.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DbtRunnerConfig {
    /// Memory of `DuckDB` in bytes; beyond it spills to the scratch folder.
    pub memory_bytes: i64,
    /// Threads of `DuckDB` and dbt.
    pub threads: i32,
}

impl Default for DbtRunnerConfig {
    fn default() -> Self {
        Self {
            memory_bytes: 1_073_741_824,
            threads: 2,
        }
    }
}

fn service_account_prefix() -> String {
    "medallion-".to_owned()
}

impl OperatorConfig {
    /// What was decided for a worker; nothing, if nothing was.
    pub fn worker(&self, worker: Worker) -> WorkerConfig {
        self.workers.get(&worker).cloned().unwrap_or_default()
    }
}
