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
    /// Whom the workers trust in the place of the authorities that the image trusts. Left out: those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_bundle: Option<TrustBundle>,
    /// What the names of service accounts must begin with that a Pipeline may name.
    #[serde(default = "service_account_prefix")]
    pub service_account_prefix: String,
    /// The size class of stages that name none and whose worker has none.
    #[serde(default = "default_size")]
    pub default_size: String,
    /// The size classes that a Pipeline may name.
    #[serde(default)]
    pub sizes: BTreeMap<String, Size>,
    /// What differs from worker to worker.
    #[serde(default)]
    pub workers: BTreeMap<Worker, WorkerConfig>,
    /// What Pipelines may name, namespace by namespace; left out: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Vec<Limits>>,
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

/// Certificates of authorities, in a `ConfigMap` in each pipeline's namespace.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustBundle {
    /// Name of the `ConfigMap`.
    pub config_map: String,
    /// Its key with all of them, PEM.
    pub key: String,
}

/// A size class: how much pods get, and where they may run.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Size {
    /// CPU, memory, ephemeral storage.
    pub resources: ResourceRequirements,
    /// Labels of nodes that may run them.
    pub node_selector: BTreeMap<String, String>,
    /// Taints they tolerate.
    pub tolerations: Vec<Toleration>,
    /// Limits inside the dbt-runner; the pod's limits must leave room for them.
    pub dbt: DbtLimits,
}

/// Limits inside the dbt-runner.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DbtLimits {
    /// Memory of `DuckDB` in bytes; beyond it spills to the scratch folder.
    pub memory_bytes: i64,
    /// Threads of `DuckDB` and dbt.
    pub threads: i32,
}

impl Default for DbtLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 1_073_741_824,
            threads: 2,
        }
    }
}

/// What an administrator decides for one worker.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// Size class of stages that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Labels of its pods, beside the operator's own.
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations of its pods, beside the operator's own.
    pub pod_annotations: BTreeMap<String, String>,
    /// Annotations of the accounts that the operator makes for it.
    pub service_account_annotations: BTreeMap<String, String>,
    /// Instead of the Secret for all workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_credentials_secret: Option<String>,
    /// Names of pull secrets beside those of all workers.
    pub image_pull_secrets: Vec<String>,
    /// Environment of this worker alone.
    pub environment: BTreeMap<String, String>,
}

/// What the Pipelines of some namespaces may name. A list that is left out allows everything of its sort; `*` stands for any text.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// The namespaces; the first entry that names one holds for it.
    pub namespaces: Vec<String>,
    /// Topics, the dead-letter topics among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<String>>,
    /// Buckets of the three layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buckets: Option<Vec<String>>,
    /// Schemas of the warehouse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schemas: Option<Vec<String>>,
    /// Roles for COPY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// Brokers, host:port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brokers: Option<Vec<String>>,
    /// dbt projects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dbt_projects: Option<Vec<String>>,
}

fn service_account_prefix() -> String {
    "medallion-".to_owned()
}

fn default_size() -> String {
    "small".to_owned()
}

impl OperatorConfig {
    /// What was decided for a worker; nothing, if nothing was.
    pub fn worker(&self, worker: Worker) -> WorkerConfig {
        self.workers.get(&worker).cloned().unwrap_or_default()
    }

    /// The size of a worker's pods: the wished class, the worker's, or the default. A class that is not there gives nothing; it is
    /// refused where it is wished.
    pub fn size(&self, worker: Worker, wished: Option<&str>) -> Size {
        let own = self.workers.get(&worker).and_then(|config| config.size.as_deref());
        let name = wished.or(own).unwrap_or(&self.default_size);
        self.sizes.get(name).cloned().unwrap_or_default()
    }
}

/// Whether a text is one of a pattern, in which `*` stands for any text.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(begin) else {
        return false;
    };
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.filter_map(|at| text.get(at..)).any(|tail| fits(rest, tail))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::fits;

    #[rstest]
    #[case("purchase*", "purchase_orders", true)]
    #[case("purchase*", "dlq.purchase_orders", false)]
    #[case("*purchase*", "dlq.purchase_orders", true)]
    #[case("arn:aws:iam::*:role/shop-*", "arn:aws:iam::123456789012:role/shop-copy", true)]
    #[case("arn:aws:iam::*:role/shop-*", "arn:aws:iam::123456789012:role/other", false)]
    #[case("shop", "shop", true)]
    #[case("shop", "shop-2", false)]
    #[case("*", "", true)]
    fn a_star_stands_for_any_text(#[case] pattern: &str, #[case] text: &str, #[case] fit: bool) {
        assert_eq!(fits(pattern, text), fit);
    }
}
