//! The `Pipeline` kind: the standing wish of a data team, and what is true of it. No network.

mod catalog;
mod contract;
mod kafka;
mod lake;
mod stages;
mod status;
mod warehouse;

pub use catalog::{Catalog, CatalogType, Glue};
pub use contract::{ConfigMapKeyRef, ContractSource, ContractVersion, SecretKeyRef};
pub use kafka::{
    CertificateAuthority, Kafka, KafkaAuthentication, KafkaAuthenticationType, KafkaMskIam, KafkaMutualTls, KafkaPlain,
    KafkaScram, KafkaTls, ReplicationPolicy, ScramMechanism, SecretSource,
};
pub use lake::{Bucket, Lake};
pub use stages::{
    BearerTokens, BronzeStage, CatalogStage, Flush, GoldStage, IngestAuthentication, IngestAuthenticationType,
    IngestStage, PersistStage, Retry, RunsOn, SilverStage, Stages, WarehouseMode, WarehouseStage, WarehouseTable,
};
pub use status::{
    ContractStatus, ContractVersionStatus, DbtStatus, DeadLetterReason, DeadLetterStatus, Dependency, DependencyKind,
    DependencyState, Endpoints, KafkaStatus, PipelineStatus, ProvisioningStatus, Retention, StageState, StageStatus,
};
pub use warehouse::{Redshift, Warehouse, WarehouseType};

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a data team wants to stand: one way of one kind of event from HTTP to the warehouse.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "medallion.dev",
    version = "v1alpha1",
    kind = "Pipeline",
    plural = "pipelines",
    singular = "pipeline",
    shortname = "mpl",
    category = "medallion",
    namespaced,
    cel,
    status = "PipelineStatus",
    derive = "PartialEq",
    doc = "A medallion pipeline: everything between an HTTP POST and a warehouse table for one kind of event.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Healthy", type_ = "string", json_path = ".status.conditions[?(@.type==\"Healthy\")].status"),
    printcolumn(name = "Bronze", type_ = "date", json_path = ".status.stages[?(@.name==\"bronze\")].lastCommitTime"),
    printcolumn(name = "Silver", type_ = "date", json_path = ".status.stages[?(@.name==\"silver\")].lastCommitTime"),
    printcolumn(name = "Gold", type_ = "date", json_path = ".status.stages[?(@.name==\"gold\")].lastCommitTime"),
    printcolumn(
        name = "Warehouse",
        type_ = "date",
        json_path = ".status.stages[?(@.name==\"warehouse\")].lastCommitTime"
    ),
    printcolumn(name = "Dead-Letters", type_ = "integer", json_path = ".status.deadLetters.count"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Healthy\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$') && self.metadata.name.size() <= 40")
        .message("metadata.name: must begin with a letter, hold only a-z, 0-9 and '-', and be at most 40 characters long, because children are named after it")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.warehouse) == has(self.stages.warehouse)").message("warehouse: give both spec.warehouse and spec.stages.warehouse, or neither of them for a pipeline that ends at Gold"))]
#[x_kube(validation = Rule::new("!has(self.stages.catalog) || has(self.catalog)").message("stages.catalog: there is nothing to register in; give spec.catalog, or leave out stages.catalog"))]
#[x_kube(validation = Rule::new("!has(oldSelf.warehouse) || has(self.warehouse)").message("warehouse: cannot be removed: the tables there would stand still without a word; suspend the stage (stages.warehouse.suspend) or make a new Pipeline"))]
pub struct PipelineSpec {
    /// true: the operator makes no new runs of the batch stages. The streaming stages go on, because their sources forget (DynamoDB Streams after 24 hours). Runs under way are finished, and a StageRun that a person makes is done.
    #[serde(default)]
    pub suspend: bool,

    /// Who creates the topics, the table, the buckets and the warehouse schema. Managed: the provisioner creates what is missing, and gives `warehouse.redshift.loaderUser` its rights; what exists is verified, never changed or deleted. External (default): it only verifies, and `status.dependencies` says how to make what is missing.
    #[serde(default)]
    pub management: Management,

    /// What an event looks like, and where its key, id and time stand.
    pub contract: ContractSource,

    /// Where in AWS everything lives.
    pub aws: Aws,

    /// The Kafka topic that events travel through, and its dead-letter topic.
    pub kafka: Kafka,

    /// The DynamoDB table that keeps one item per event.
    pub table: Table,

    /// The buckets of the three layers.
    pub lake: Lake,

    /// Where Gold is loaded to. Left out together with `stages.warehouse`: the pipeline ends at Gold. It can be added later, and then no longer be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<Warehouse>,

    /// Where Gold's tables, and on wish Silver's, are registered, beside a warehouse or in its place; `stages.catalog` says how. Left out: nowhere. It can be added and removed: what is registered stays, and its columns are no longer kept in step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<Catalog>,

    /// Which dbt project makes Silver and Gold.
    pub dbt: Dbt,

    /// How the provisioner works, which creates or verifies what the pipeline depends on.
    #[serde(default)]
    pub provisioner: Provisioner,

    /// How each stage works.
    pub stages: Stages,

    /// When dead letters make the pipeline unhealthy.
    #[serde(default)]
    pub dead_letters: DeadLetters,

    /// How many succeeded runs of each batch stage are kept, of those that the operator made; a stage's newest run always is. Default 20.
    #[serde(default = "history_limit")]
    #[schemars(range(min = 1, max = 100))]
    pub successful_runs_history_limit: i32,

    /// How many failed runs of each batch stage are kept, of those that the operator made; a stage's newest run always is. With the newest failed one stay the pod and the log of its last attempt. Default 20.
    #[serde(default = "history_limit")]
    #[schemars(range(min = 1, max = 100))]
    pub failed_runs_history_limit: i32,
}

const fn history_limit() -> i32 {
    20
}

/// Who creates what a pipeline depends on.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Management {
    /// The provisioner creates what is missing; what exists is verified and never changed.
    Managed,
    /// Somebody else creates; the provisioner verifies and says what is missing.
    #[default]
    External,
}

/// Where in AWS everything lives.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Aws {
    /// AWS region of the table, the buckets and the warehouse, for example eu-west-1. Immutable.
    #[schemars(length(max = 32), regex(pattern = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: the table and the buckets live in one region; make a new Pipeline for another"))]
    pub region: String,
}

/// The DynamoDB table that keeps one item per event.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    /// Name of the table; also the name of the Bronze table. Its partition key is `key`, its sort key `event_id`, its stream shows new images. Immutable.
    #[schemars(length(min = 3, max = 200), regex(pattern = "^[a-zA-Z0-9_.-]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: positions belong to one table; make a new Pipeline for another"))]
    pub name: String,

    /// Days after the time of its Kafka record at which an item may be deleted by DynamoDB, at no charge and some time later (its time to live, by the attribute `expires_at`); Bronze keeps every change and knows nothing of it. Duplicates are known only that long: an event sent again after that is stored again, and is a row of Bronze again. At least 2. Items that are stored already keep what they were given. With `management: Managed` the provisioner turns the table's time to live on, also on a table that is there without one; with `External` it says what is missing. Left out: items stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3650))]
    #[x_kube(validation = Rule::new("self >= 2").message("must be at least 2: the table's stream keeps changes for 24 hours after they are stored, which is what Bronze has to read them, and an item must outlive that; it counts from the time of the Kafka record, which is before"))]
    pub expire_after_days: Option<i32>,
}

/// Which dbt project makes Silver and Gold.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dbt {
    /// A name from the operator's allow-list of dbt project images (Helm value `dbtProjects`). The image in use stands in `status.dbt.image`. Another image starts a run of Silver and then of Gold; rows that no run rewrites stay as the old project computed them, and `status.stages[].outputs` says where.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub project: String,
}

/// How the provisioner works.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Provisioner {
    /// Size class of the provisioner's pods, one that the operator's chart defines (Helm value `sizes`). Left out: the chart's class for this worker (Helm value `workers.<worker>.size`, or `defaultSize`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub size: Option<String>,
    /// ServiceAccount of the provisioner's pods, in the pipeline's namespace; its name must begin with the operator's allowed prefix (Helm value `workers.serviceAccountPrefix`). Left out: one made for this pipeline, without rights in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub service_account_name: Option<String>,
}

/// When dead letters make the pipeline unhealthy.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetters {
    /// The pipeline is unhealthy (`Healthy=False`, reason `DeadLettersOverBudget`) while more dead letters than this wait in the dead-letter topic; it works on all the same. Default 100.
    #[serde(default = "max_dead_letters")]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub max_count: i64,
}

const fn max_dead_letters() -> i64 {
    100
}

impl Default for DeadLetters {
    fn default() -> Self {
        Self {
            max_count: max_dead_letters(),
        }
    }
}
