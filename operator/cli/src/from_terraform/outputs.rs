//! What an environment's Terraform root says of itself: the output `medallion` of terraform/environments/*, as `terraform output -json`
//! prints it. No network.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use medallion_crds::Worker;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The output that is read.
const OUTPUT: &str = "medallion";
/// The version of its shape that is read here; terraform/modules/platform/outputs.tf writes it.
const SCHEMA_VERSION: u64 = 1;
/// What to type.
const COMMAND: &str = "terraform -chdir=terraform/environments/<name> output -json";

/// An environment in AWS, as far as Helm values and Pipelines speak of it.
#[derive(Debug, Deserialize)]
pub(super) struct Outputs {
    /// Name of the whole, such as shop-dev.
    pub(super) name: String,
    /// AWS region.
    pub(super) region: String,
    /// Number of the AWS account.
    pub(super) account: String,
    /// The Pipeline that the roles and the topic were made for.
    pub(super) pipeline: Identifier,
    /// Brokers and topics.
    pub(super) kafka: Kafka,
    /// The DynamoDB table.
    pub(super) table: Table,
    /// Names of the three buckets.
    pub(super) lake: Lake,
    /// The warehouse; an environment may be without one.
    #[serde(default)]
    pub(super) warehouse: Option<Warehouse>,
    /// The catalog; an environment may be without one.
    #[serde(default)]
    pub(super) catalog: Option<Catalog>,
    /// Who the workers are to AWS, by their words; those that an environment has no pods for are not there.
    pub(super) identities: BTreeMap<String, Identity>,
    /// Registry and repositories.
    pub(super) images: Images,
    /// Functions that do stages in the place of pods, by their workers' words.
    #[serde(default)]
    pub(super) lambda: Option<BTreeMap<String, Value>>,
}

/// Name and namespace of an object.
#[derive(Debug, Deserialize)]
pub(super) struct Identifier {
    pub(super) name: String,
    pub(super) namespace: String,
}

/// Brokers and topics.
#[derive(Debug, Deserialize)]
pub(super) struct Kafka {
    /// host:port.
    pub(super) bootstrap_servers: Vec<String>,
    /// How clients prove who they are, by the Pipeline's own word.
    pub(super) authentication: String,
    /// Whether the brokers speak TLS.
    pub(super) tls: bool,
    /// Topic of the events.
    pub(super) topic: String,
    /// Topic of the dead letters.
    pub(super) dead_letter_topic: String,
    /// Partitions of the topic.
    pub(super) partitions: u16,
    /// Copies of each record; null where MSK Serverless decides.
    #[serde(default)]
    pub(super) replication_factor: Option<u16>,
}

/// The DynamoDB table.
#[derive(Debug, Deserialize)]
pub(super) struct Table {
    pub(super) name: String,
    /// Days after which items expire; null: never.
    #[serde(default)]
    pub(super) expire_days: Option<u16>,
}

/// Names of the three buckets.
#[derive(Debug, Deserialize)]
pub(super) struct Lake {
    pub(super) bronze: String,
    pub(super) silver: String,
    pub(super) gold: String,
}

/// Redshift, serverless or provisioned.
#[derive(Debug, Deserialize)]
pub(super) struct Warehouse {
    /// Workgroup of Redshift Serverless; null for a cluster.
    #[serde(default)]
    pub(super) workgroup_name: Option<String>,
    /// Identifier of a provisioned cluster; null for Serverless.
    #[serde(default)]
    pub(super) cluster_identifier: Option<String>,
    pub(super) database: String,
    /// Schema of the loaded tables.
    pub(super) schema: String,
    /// The loader's user in the database; null: the provisioner's own.
    #[serde(default)]
    pub(super) loader_user: Option<String>,
    /// Role by which the warehouse reads Gold.
    pub(super) copy_role_arn: String,
}

/// The Glue catalog's database that Athena looks into.
#[derive(Debug, Deserialize)]
pub(super) struct Catalog {
    pub(super) database: String,
}

/// A worker's role, and the account that may take it on.
#[derive(Debug, Deserialize)]
pub(super) struct Identity {
    pub(super) service_account: String,
    pub(super) role_arn: String,
    pub(super) mode: IdentityMode,
}

/// How pods come by a role.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub(super) enum IdentityMode {
    /// EKS Pod Identity: AWS knows namespace and account, and Kubernetes nothing.
    PodIdentity,
    /// IAM roles for service accounts: by an annotation of the account.
    Irsa,
}

/// Registry and repositories.
#[derive(Debug, Deserialize)]
pub(super) struct Images {
    /// Host, and what the repositories' names begin with.
    pub(super) registry: String,
    /// Address of each repository, by its image's name.
    pub(super) repositories: BTreeMap<String, String>,
    /// Name of the dbt project, as `spec.dbt.project` has it.
    pub(super) dbt_project: String,
}

impl Outputs {
    /// Reads what `terraform output -json` printed, of all outputs or of this one; `origin` names the text in errors.
    pub(super) fn read(text: &str, origin: &str) -> anyhow::Result<Self> {
        ensure!(
            !text.trim().is_empty(),
            "{origin} is empty; it is to hold what this prints: {COMMAND}"
        );
        let all: Value = serde_json::from_str(text)
            .with_context(|| format!("{origin} is not JSON; it is to hold what this prints: {COMMAND}"))?;
        let Value::Object(all) = all else {
            bail!("{origin} holds no outputs by name; it is to hold what this prints: {COMMAND}");
        };
        let value = value(all, origin)?;
        check_version(&value, origin)?;
        serde_path_to_error::deserialize(value).map_err(|error| {
            let place = match error.path().to_string() {
                path if path == "." => OUTPUT.to_owned(),
                path => format!("{OUTPUT}.{path}"),
            };
            let problem = error.into_inner();
            anyhow::anyhow!(
                "{origin}: {place}: {problem}; apply the root as this release has it, then take its outputs again"
            )
        })
    }

    /// Whether the environment has a function that works in the place of a worker's pods.
    pub(super) fn has_function(&self, worker: Worker) -> bool {
        let functions = self.lambda.as_ref();
        functions
            .and_then(|functions| functions.get(worker.as_str()))
            .is_some_and(|function| !function.is_null())
    }
}

/// What the output holds, which tells an environment's outputs from those of any other root.
fn value(mut all: Map<String, Value>, origin: &str) -> anyhow::Result<Value> {
    ensure!(
        !all.is_empty(),
        "{origin} holds no outputs; apply the root first, or choose its state and workspace: {COMMAND}"
    );
    // As printed by `terraform output -json medallion`.
    if all.contains_key("schema_version") {
        return Ok(Value::Object(all));
    }
    let Some(mut output) = all.remove(OUTPUT) else {
        let names: Vec<_> = all.keys().map(String::as_str).collect();
        bail!(
            "{origin} holds no output {OUTPUT}, only {}: these are of another root; take those of an environment: {COMMAND}",
            names.join(", ")
        );
    };
    let value = output.get_mut("value").map(Value::take);
    value.with_context(|| format!("{origin}: {OUTPUT} has no value; {origin} is to hold what this prints: {COMMAND}"))
}

/// A version of its own has fields of its own: that is said before one of them is missed.
fn check_version(value: &Value, origin: &str) -> anyhow::Result<()> {
    let found = &value["schema_version"];
    let problem = match found.as_u64() {
        Some(SCHEMA_VERSION) => return Ok(()),
        Some(newer) if newer > SCHEMA_VERSION => {
            format!(
                "is of version {newer}, newer than {SCHEMA_VERSION}; use the medallion of the release that the modules are of"
            )
        }
        _ if found.is_null() => format!(
            "has no schema_version; apply the root with the modules of this release, which write version {SCHEMA_VERSION}"
        ),
        _ => format!(
            "is of version {found}, and {SCHEMA_VERSION} is read; apply the root with the modules of this release, then take its outputs again"
        ),
    };
    bail!("{origin}: the output {OUTPUT} {problem}")
}
