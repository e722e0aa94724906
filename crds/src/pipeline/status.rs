//! What is true of a pipeline: written by the operator alone, times and positions, never ages. No network.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stages::RunsOn;
use crate::stage::Stage;
use crate::stage_run::{OutputTable, TableVersion};

/// What is true of a pipeline. `Ready` says that the workloads do what the spec says; `Healthy` says that data is fresh, dead letters are within budget and nothing is at risk.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineStatus {
    /// Generation of the spec that this status speaks of; -1 before the operator has seen the object.
    #[serde(default = "not_seen")]
    pub observed_generation: i64,

    /// Accepted (references and configuration), DependenciesReady, Ready, Healthy, and for generic tools Reconciling and Stalled. Each False names what is missing and the fix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// Each stage: where it stands and what it waits for.
    // One writer writes this list and those below as a whole: as maps, the server would note and compare an owner for each of their fields,
    // and the note would be longer than the status.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub stages: Vec<StageStatus>,

    /// Dead letters that wait for somebody, as measured by the consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<DeadLetterStatus>,

    /// What the pipeline depends on: topic, table, buckets, warehouse schema, ConfigMap, Secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub dependencies: Vec<Dependency>,

    /// How creating or verifying the dependencies is getting on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioning: Option<ProvisioningStatus>,

    /// Who this pipeline is in tables of the lake and the warehouse: installation/namespace/name. Another pipeline that takes its tables over names it in the annotation medallion.dev/adopt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub owner: Option<String>,

    /// The Kafka side in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaStatus>,

    /// Where the pipeline is reached inside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,

    /// The contract in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractStatus>,

    /// The dbt project in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dbt: Option<DbtStatus>,

    /// The newest value of the annotation medallion.dev/requested-at that was acted on; of one that is longer than 128 bytes, its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_handled_requested_at: Option<String>,
}

const fn not_seen() -> i64 {
    -1
}

impl Default for PipelineStatus {
    fn default() -> Self {
        Self {
            observed_generation: not_seen(),
            conditions: Vec::new(),
            stages: Vec::new(),
            dead_letters: None,
            dependencies: Vec::new(),
            provisioning: None,
            owner: None,
            kafka: None,
            endpoints: None,
            contract: None,
            dbt: None,
            last_handled_requested_at: None,
        }
    }
}

/// Where one stage stands.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StageStatus {
    /// The stage.
    pub name: Stage,
    /// What the stage is doing.
    pub state: StageState,
    /// CamelCase word for why, when the state alone does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<crate::Reason>, // the derive macro brings a `Reason` of its own
    /// What is the matter, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// The layer's position: version of its table that the stage committed last (bronze), which a run of Silver names as its input; or number of the last succeeded run that the operator made (silver, gold, warehouse, catalog).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// Records that wait in the stage's source (persist: Kafka records, bronze: stream records read and not yet committed). Absent when not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<i64>,
    /// Time of the oldest input that is not processed yet; absent when nothing waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_pending_time: Option<Time>,
    /// When the stage last made data visible to the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_commit_time: Option<Time>,
    /// Rows of the last commit that had any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// How much of what its source keeps the stage has used up (persist, bronze). At the end of it, unread input is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Who holds the table's stream, as Bronze's log names it (bronze): what the exporter's pod and a function agree by. Another than stages.bronze.runsOn while the stream is being handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<RunsOn>,
    /// Pods that are ready, for the streaming stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// The newest run of a batch stage that the operator made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<String>,
    /// Start of that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_time: Option<Time>,
    /// Attempts of the newest run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,
    /// What the last succeeded run has consumed: source tables at versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub inputs: Vec<TableVersion>,
    /// What the last succeeded run left: the stage's tables at versions. The next stage pins these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub outputs: Vec<OutputTable>,
}

/// How old the oldest unread input is, beside how long its source keeps it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// Age of the oldest unread input in seconds; in a status in steps of a hundredth of what the source keeps, so that it does not tick.
    #[schemars(range(min = 0))]
    pub used_seconds: i64,
    /// How long the source keeps it, in seconds: 86400 for DynamoDB Streams, the topic's retention.ms for Kafka.
    #[schemars(range(min = 1))]
    pub of_seconds: i64,
}

/// What a stage is doing.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum StageState {
    /// Not started, because what it depends on is not there yet.
    Pending,
    /// At work, or up and waiting for data.
    Running,
    /// Nothing to do.
    Idle,
    /// Waits for something outside: the reason says for what.
    Blocked,
    /// Gave up; the message says why and what to do.
    Failed,
    /// No new runs, or no pods, because the spec says `suspend: true`.
    Suspended,
    /// Not known.
    #[serde(other)]
    Unknown,
}

/// Dead letters that wait for somebody.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterStatus {
    /// Records in the dead-letter topic less those acknowledged. To acknowledge some, commit the offset behind them for the consumer group `<status.kafka.consumerGroup>.dead-letters`.
    pub count: i64,
    /// The newest dead letters, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub newest: Vec<DeadLetterReason>,
}

/// One dead letter.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterReason {
    /// CamelCase word for why.
    pub reason: crate::Reason,
    /// What is the matter with the record.
    #[schemars(length(max = 512))]
    pub message: String,
    /// Where it came from: topic/partition/offset.
    pub source: String,
    /// When it was dead-lettered.
    pub time: Time,
}

/// One thing that the pipeline depends on.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// What it is: each stage waits for the kinds that it needs.
    #[serde(default)]
    pub kind: DependencyKind,
    /// Kind and name, for example Topic/purchase_orders.
    #[schemars(length(max = 300))]
    pub name: String,
    /// Whether it is as it must be.
    pub state: DependencyState,
    /// What is missing or differs, and the fix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

/// Kinds of things that a pipeline depends on.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
pub enum DependencyKind {
    /// The contract's ConfigMap and schema.
    Contract,
    /// A Secret that pods mount.
    Secret,
    /// The Kafka topic.
    Topic,
    /// The dead-letter topic.
    DeadLetterTopic,
    /// The consumer group.
    ConsumerGroup,
    /// The DynamoDB table and its stream.
    Table,
    /// The Bronze bucket and table.
    BronzeBucket,
    /// The Silver bucket and its tables.
    SilverBucket,
    /// The Gold bucket and its tables.
    GoldBucket,
    /// The warehouse's schema and the load ledger.
    WarehouseSchema,
    /// Of another version.
    #[default]
    #[serde(other)]
    Other,
}

/// Whether a dependency is as it must be.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DependencyState {
    /// There, and as it must be.
    Exists,
    /// Made by the provisioner just now.
    Created,
    /// Not there.
    Missing,
    /// There, but not as it must be.
    Differs,
    /// Could not be looked at.
    #[serde(other)]
    Unknown,
}

impl DependencyState {
    /// Whether workers can rely on it.
    pub const fn is_met(self) -> bool {
        matches!(self, Self::Exists | Self::Created)
    }
}

/// How creating or verifying the dependencies is getting on.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningStatus {
    /// Digest of what is asked for: names of the dependencies, contract, image. Another digest starts over.
    #[schemars(length(max = 64))]
    pub hash: String,
    /// Whether everything was found as it must be.
    pub succeeded: bool,
    /// Whether the provisioner has reported what it found for this digest. Each stage is started or changed only then, and only if all that it needs itself is there.
    #[serde(default)]
    pub reported: bool,
    /// Number of the try under way, or of the last one; 0 while it waits its turn to take up a changed image.
    pub attempt: i32,
    /// Not before this time the next try begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_time: Option<Time>,
    /// Why the last try did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

/// Where the pipeline is reached inside the cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// URL that takes events by POST; absent for a pipeline without the stage ingest, or with a function in the place of its pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest: Option<String>,
}

/// The Kafka side in use.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaStatus {
    /// Consumer group of the persist stage.
    #[schemars(length(max = 249))]
    pub consumer_group: String,
    /// Id of the topic that is read, as the brokers gave it: a topic that is made anew has another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub topic_id: Option<String>,
}

/// The contract in use.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContractStatus {
    /// The versions that were found valid, oldest first.
    #[schemars(length(max = 64))]
    pub versions: Vec<ContractVersionStatus>,
}

/// A version of the contract that was found valid.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContractVersionStatus {
    /// Its name in spec.contract.versions.
    pub name: String,
    /// Digest of its schema; every record that came by it carries the digest in the header medallion-contract-version, every row of Bronze in _contract.
    pub digest: String,
}

/// The dbt project in use.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DbtStatus {
    /// Image that new runs use.
    pub image: String,
}
