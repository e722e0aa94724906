//! How each stage works: the `spec.stages` part of a pipeline. No network.

use std::fmt;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretKeyRef;

/// How each stage works.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stages {
    /// HTTP to Kafka. Left out: events come into the topic by another way, and are checked against the contract by the stage persist. It can be added and removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest: Option<IngestStage>,
    /// Kafka to DynamoDB.
    #[serde(default)]
    pub persist: PersistStage,
    /// DynamoDB Streams to Bronze.
    #[serde(default)]
    pub bronze: BronzeStage,
    /// Bronze to Silver.
    #[serde(default)]
    pub silver: SilverStage,
    /// Silver to Gold.
    #[serde(default)]
    pub gold: GoldStage,
    /// Gold to the warehouse. Left out together with `spec.warehouse`: the pipeline ends at Gold. It can be added later, and then no longer be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<WarehouseStage>,
    /// Gold's tables into the catalog that `spec.catalog` names. Left out: as by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<CatalogStage>,
}

/// HTTP to Kafka: `POST /v1/events` takes one JSON object, an array, or NDJSON, checks each event against the contract, and answers success only after the broker's acknowledgement.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.runsOn != 'Lambda' || !(has(self.replicas) || has(self.size) || has(self.serviceAccountName))").message("runsOn: on Lambda there are no pods, so replicas, size and serviceAccountName must be left out; the function has a concurrency, a memory size and a role instead"))]
#[x_kube(validation = Rule::new("self.runsOn != 'Lambda' || !self.suspend").message("suspend: does not reach a function on Lambda; set its reserved concurrency to 0 instead"))]
pub struct IngestStage {
    /// Cluster (default): the gateway's Deployment and Service in the pipeline's namespace. Lambda: a function behind API Gateway, packaged from this Pipeline by `medallion-operator function`; the operator makes no gateway, and what the function does is not measured. It can be changed: both ways admit by the same contract into the same topic.
    #[serde(default)]
    pub runs_on: RunsOn,
    /// true: no gateway pods; clients are refused by the Service. What was accepted is in Kafka.
    #[serde(default)]
    pub suspend: bool,
    /// Size class of the gateway's pods, one that the operator's chart defines (Helm value `sizes`). Left out: the chart's class for this worker (Helm value `workers.<worker>.size`, or `defaultSize`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub size: Option<String>,
    /// How many gateway pods. Left out: 1 at first, afterwards whatever an autoscaler of the Deployment says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: Option<i32>,
    /// Unhealthy (`Healthy=False`, reason `Stale`) when an event waits longer than this for the broker's acknowledgement. Default 10.
    #[serde(default = "seconds::<10>")]
    #[schemars(range(min = 1, max = 86_400))]
    pub max_age_seconds: i32,
    /// Who may post events.
    pub authentication: IngestAuthentication,
    /// ServiceAccount of the gateway's pods, in the pipeline's namespace; its name must begin with the operator's allowed prefix (Helm value `workers.serviceAccountPrefix`). Left out: one made for this pipeline, without rights in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub service_account_name: Option<String>,
}

/// Who may post events.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'BearerTokens') == has(self.bearerTokens)").message("bearerTokens: is required when type is BearerTokens, and only then allowed"))]
pub struct IngestAuthentication {
    /// BearerTokens: requests carry `Authorization: Bearer <token>`. None: everybody who reaches the Service.
    #[serde(rename = "type")]
    pub kind: IngestAuthenticationType,
    /// Where the tokens stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_tokens: Option<BearerTokens>,
}

/// Kinds of authentication at the gateway.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum IngestAuthenticationType {
    /// Everybody who reaches the Service may post.
    None,
    /// A token from a Secret.
    BearerTokens,
}

/// Where the gateway's tokens stand.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BearerTokens {
    /// Secret and key that hold the tokens, one a line, each of at least 16 characters. A changed Secret takes effect without a restart.
    pub secret_key_ref: SecretKeyRef,
}

/// Kafka to DynamoDB: one item per event, duplicates told by key, event id and payload.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PersistStage {
    /// true: no consumer pods; records wait in Kafka, which forgets after its own retention (`status.stages[].retention`).
    #[serde(default)]
    pub suspend: bool,
    /// Size class of the consumer's pods, one that the operator's chart defines (Helm value `sizes`). Left out: the chart's class for this worker (Helm value `workers.<worker>.size`, or `defaultSize`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub size: Option<String>,
    /// How many consumer pods; more than the topic has partitions do nothing. Left out: 1 at first, afterwards whatever an autoscaler of the Deployment says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: Option<i32>,
    /// Unhealthy (`Healthy=False`, reason `Stale`) when a record waits longer than this in Kafka. Default 30.
    #[serde(default = "seconds::<30>")]
    #[schemars(range(min = 1, max = 86_400))]
    pub max_age_seconds: i32,
    /// ServiceAccount of the consumer's pods, in the pipeline's namespace; its name must begin with the operator's allowed prefix (Helm value `workers.serviceAccountPrefix`). Left out: one made for this pipeline, without rights in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub service_account_name: Option<String>,
}

impl Default for PersistStage {
    fn default() -> Self {
        Self {
            suspend: false,
            size: None,
            replicas: None,
            max_age_seconds: 30,
            service_account_name: None,
        }
    }
}

/// Where a stage works.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum RunsOn {
    /// In pods that the operator runs.
    #[default]
    Cluster,
    /// In a function of AWS Lambda, which its owner deploys.
    Lambda,
}

impl RunsOn {
    /// Whether the operator's pods do the work.
    pub const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster)
    }

    /// The word, as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Lambda => "Lambda",
        }
    }
}

impl fmt::Display for RunsOn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// DynamoDB Streams to Bronze, in one pod or in a function: the stream's positions are part of each commit.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.maxAgeSeconds > self.flush.maxAgeSeconds").message("maxAgeSeconds: must be greater than flush.maxAgeSeconds, or the wait for the flush alone would make the pipeline unhealthy"))]
#[x_kube(validation = Rule::new("!self.suspend || self.runsOn == 'Cluster'").message("suspend: stops the exporter's pod, and a function is none; with runsOn: Lambda, disable the function's event source mapping instead, or set runsOn: Cluster along with suspend"))]
pub struct BronzeStage {
    /// Cluster (default): the exporter's pod writes Bronze. Lambda: a function on the table's stream does (docs/lambda-bronze.md); the exporter's pod hands the stream over to it in Bronze's log, then only observes, commits nothing and says how far Bronze is. It can be changed at any time: the log names who holds the stream (`status.stages[].heldBy`), the other one's work fails and waits, nothing is lost and nothing is there twice.
    #[serde(default)]
    pub runs_on: RunsOn,
    /// true: no exporter pod. The stream forgets after 24 hours (`status.stages[].retention`), so persist pauses as well: what is not in the table cannot be lost by the stream.
    #[serde(default)]
    pub suspend: bool,
    /// Size class of the exporter's pods, one that the operator's chart defines (Helm value `sizes`). Left out: the chart's class for this worker (Helm value `workers.<worker>.size`, or `defaultSize`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub size: Option<String>,
    /// When buffered changes are written.
    #[serde(default)]
    pub flush: Flush,
    /// Unhealthy (`Healthy=False`, reason `Stale`) when a change waits longer than this in the stream. Default 120.
    #[serde(default = "seconds::<120>")]
    #[schemars(range(min = 1, max = 86_400))]
    pub max_age_seconds: i32,
    /// ServiceAccount of the exporter's pod, in the pipeline's namespace; its name must begin with the operator's allowed prefix (Helm value `workers.serviceAccountPrefix`). Left out: one made for this pipeline, without rights in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub service_account_name: Option<String>,
}

impl Default for BronzeStage {
    fn default() -> Self {
        Self {
            runs_on: RunsOn::Cluster,
            suspend: false,
            size: None,
            flush: Flush::default(),
            max_age_seconds: 120,
            service_account_name: None,
        }
    }
}

/// When buffered changes are written: whichever comes first.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Flush {
    /// Write when this many bytes are buffered; also what bounds the exporter's memory. Default 134217728 (128 MiB).
    #[serde(default = "flush_bytes")]
    #[schemars(range(min = 1_048_576, max = 268_435_456))]
    pub max_bytes: i64,
    /// Write when the oldest buffered change is this old. Short ages make many small files. Default 60.
    #[serde(default = "seconds::<60>")]
    #[schemars(range(min = 1, max = 3600))]
    pub max_age_seconds: i32,
}

const fn flush_bytes() -> i64 {
    134_217_728
}

impl Default for Flush {
    fn default() -> Self {
        Self {
            max_bytes: flush_bytes(),
            max_age_seconds: 60,
        }
    }
}

/// Bronze to Silver, by dbt: built, tested, and only then published.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.maxAgeSeconds > self.minIntervalSeconds").message("maxAgeSeconds: must be greater than minIntervalSeconds, or the wait between two runs alone would make the pipeline unhealthy"))]
pub struct SilverStage {
    /// true: the operator makes no new runs of this stage. A run under way is finished, and a StageRun that a person makes is done.
    #[serde(default)]
    pub suspend: bool,
    /// Size class of the dbt-runner's pods, one that the operator's chart defines (Helm value `sizes`). Left out: the chart's class for this worker (Helm value `workers.<worker>.size`, or `defaultSize`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub size: Option<String>,
    /// At least this long from the making of one run to that of the next, so that small commits are taken together. The annotation medallion.dev/requested-at does not wait for it, nor does a changed spec after a failed run. Default 30.
    #[serde(default = "seconds::<30>")]
    #[schemars(range(min = 0, max = 86_400))]
    pub min_interval_seconds: i32,
    /// What happens when an attempt fails. One that was ended from outside, as by an eviction, is made again and not counted, up to ten times in a run. One that no other attempt can help, as after a failed dbt test or with bad settings, ends the run at once.
    #[serde(default)]
    pub retry: Retry,
    /// An attempt that takes longer than this, from the making of its Job, is ended and counts as failed (reason `TimedOut`). Default 1800.
    #[serde(default = "seconds::<1800>")]
    #[schemars(range(min = 10, max = 86_400))]
    pub timeout_seconds: i32,
    /// Unhealthy (`Healthy=False`, reason `Stale`) when a Bronze commit waits longer than this for Silver. Default 300.
    #[serde(default = "seconds::<300>")]
    #[schemars(range(min = 1, max = 604_800))]
    pub max_age_seconds: i32,
    /// ServiceAccount of the dbt-runner's pods, in the pipeline's namespace; its name must begin with the operator's allowed prefix (Helm value `workers.serviceAccountPrefix`). Left out: one made for this pipeline, without rights in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub service_account_name: Option<String>,
}

impl Default for SilverStage {
    fn default() -> Self {
        Self {
            suspend: false,
            size: None,
            min_interval_seconds: 30,
            retry: Retry::default(),
            timeout_seconds: 1800,
            max_age_seconds: 300,
            service_account_name: None,
        }
    }
}

/// Silver to Gold, by dbt: built, tested, and only then published.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.maxAgeSeconds > self.minIntervalSeconds").message("maxAgeSeconds: must be greater than minIntervalSeconds, or the wait between two runs alone would make the pipeline unhealthy"))]
pub struct GoldStage {
    /// true: the operator makes no new runs of this stage. A run under way is finished, and a StageRun that a person makes is done.
    #[serde(default)]
    pub suspend: bool,
    /// Size class of the dbt-runner's pods, one that the operator's chart defines (Helm value `sizes`). Left out: the chart's class for this worker (Helm value `workers.<worker>.size`, or `defaultSize`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub size: Option<String>,
    /// At least this long from the making of one run to that of the next, so that small commits are taken together. The annotation medallion.dev/requested-at does not wait for it, nor does a changed spec after a failed run. Default 30.
    #[serde(default = "seconds::<30>")]
    #[schemars(range(min = 0, max = 86_400))]
    pub min_interval_seconds: i32,
    /// What happens when an attempt fails. One that was ended from outside, as by an eviction, is made again and not counted, up to ten times in a run. One that no other attempt can help, as after a failed dbt test or with bad settings, ends the run at once.
    #[serde(default)]
    pub retry: Retry,
    /// An attempt that takes longer than this, from the making of its Job, is ended and counts as failed (reason `TimedOut`). Default 1800.
    #[serde(default = "seconds::<1800>")]
    #[schemars(range(min = 10, max = 86_400))]
    pub timeout_seconds: i32,
    /// Unhealthy (`Healthy=False`, reason `Stale`) when a Silver commit waits longer than this for Gold. Default 600.
    #[serde(default = "seconds::<600>")]
    #[schemars(range(min = 1, max = 604_800))]
    pub max_age_seconds: i32,
    /// ServiceAccount of the dbt-runner's pods, in the pipeline's namespace; its name must begin with the operator's allowed prefix (Helm value `workers.serviceAccountPrefix`). Left out: one made for this pipeline, without rights in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub service_account_name: Option<String>,
}

impl Default for GoldStage {
    fn default() -> Self {
        Self {
            suspend: false,
            size: None,
            min_interval_seconds: 30,
            retry: Retry::default(),
            timeout_seconds: 1800,
            max_age_seconds: 600,
            service_account_name: None,
        }
    }
}

/// Gold to the warehouse, by COPY, with a ledger in the same transaction.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.maxAgeSeconds > self.minIntervalSeconds").message("maxAgeSeconds: must be greater than minIntervalSeconds, or the wait between two runs alone would make the pipeline unhealthy"))]
pub struct WarehouseStage {
    /// true: the operator makes no new runs of this stage. A run under way is finished, and a StageRun that a person makes is done.
    #[serde(default)]
    pub suspend: bool,
    /// Size class of the loader's pods, one that the operator's chart defines (Helm value `sizes`). Left out: the chart's class for this worker (Helm value `workers.<worker>.size`, or `defaultSize`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub size: Option<String>,
    /// Which Gold tables are loaded, and how. Another list starts a run; a table that is taken out stays in the warehouse as it is.
    #[schemars(length(min = 1, max = 12))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub tables: Vec<WarehouseTable>,
    /// At least this long from the making of one run to that of the next, so that small commits are taken together. The annotation medallion.dev/requested-at does not wait for it, nor does a changed spec after a failed run. A serverless warehouse is billed while it is awake: a longer interval lets it sleep. Default 60.
    #[serde(default = "seconds::<60>")]
    #[schemars(range(min = 0, max = 86_400))]
    pub min_interval_seconds: i32,
    /// What happens when an attempt fails. One that was ended from outside, as by an eviction, is made again and not counted, up to ten times in a run. One that no other attempt can help, as after a failed dbt test or with bad settings, ends the run at once.
    #[serde(default)]
    pub retry: Retry,
    /// An attempt that takes longer than this, from the making of its Job, is ended and counts as failed (reason `TimedOut`). Default 1800.
    #[serde(default = "seconds::<1800>")]
    #[schemars(range(min = 10, max = 86_400))]
    pub timeout_seconds: i32,
    /// Unhealthy (`Healthy=False`, reason `Stale`) when a Gold commit waits longer than this for the warehouse. Default 900.
    #[serde(default = "seconds::<900>")]
    #[schemars(range(min = 1, max = 604_800))]
    pub max_age_seconds: i32,
    /// ServiceAccount of the loader's pods, in the pipeline's namespace; its name must begin with the operator's allowed prefix (Helm value `workers.serviceAccountPrefix`). Left out: one made for this pipeline, without rights in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub service_account_name: Option<String>,
}

/// Gold's tables into the catalog: which there are, where they lie, their columns with types and comments. The rows are read from the lake by whoever asks, so a table's new rows are seen at once, and a run is about new tables and columns.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.maxAgeSeconds > self.minIntervalSeconds").message("maxAgeSeconds: must be greater than minIntervalSeconds, or the wait between two runs alone would make the pipeline unhealthy"))]
pub struct CatalogStage {
    /// true: the operator makes no new runs of this stage. A run under way is finished, and a StageRun that a person makes is done.
    #[serde(default)]
    pub suspend: bool,
    /// Size class of the cataloger's pods, one that the operator's chart defines (Helm value `sizes`). Left out: the chart's class for this worker (Helm value `workers.<worker>.size`, or `defaultSize`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub size: Option<String>,
    /// At least this long from the making of one run to that of the next. The annotation medallion.dev/requested-at does not wait for it, nor does a changed spec after a failed run. Default 600: columns change seldom.
    #[serde(default = "seconds::<600>")]
    #[schemars(range(min = 0, max = 86_400))]
    pub min_interval_seconds: i32,
    /// What happens when an attempt fails. One that was ended from outside, as by an eviction, is made again and not counted, up to ten times in a run. One that no other attempt can help, as with a table of another owner or bad settings, ends the run at once.
    #[serde(default)]
    pub retry: Retry,
    /// An attempt that takes longer than this, from the making of its Job, is ended and counts as failed (reason `TimedOut`). Default 600.
    #[serde(default = "seconds::<600>")]
    #[schemars(range(min = 10, max = 86_400))]
    pub timeout_seconds: i32,
    /// Unhealthy (`Healthy=False`, reason `Stale`) when a Gold commit waits longer than this for the catalog. Default 3600.
    #[serde(default = "seconds::<3600>")]
    #[schemars(range(min = 1, max = 604_800))]
    pub max_age_seconds: i32,
    /// ServiceAccount of the cataloger's pods, in the pipeline's namespace; its name must begin with the operator's allowed prefix (Helm value `workers.serviceAccountPrefix`). Left out: one made for this pipeline, without rights in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub service_account_name: Option<String>,
}

impl Default for CatalogStage {
    fn default() -> Self {
        Self {
            suspend: false,
            size: None,
            min_interval_seconds: 600,
            retry: Retry::default(),
            timeout_seconds: 600,
            max_age_seconds: 3600,
            service_account_name: None,
        }
    }
}

/// One Gold table and how it is loaded.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WarehouseTable {
    /// Name of the Gold table, and of the table in the warehouse.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z_][a-z0-9_]*$"))]
    pub name: String,
    /// ReplacePartitions: only the partitions that a run touched are replaced. ReplaceTable: all rows are. Either way all tables and the ledger change in one transaction.
    pub mode: WarehouseMode,
}

/// How a table is loaded.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum WarehouseMode {
    /// Only the partitions that a run touched are replaced.
    ReplacePartitions,
    /// All rows are replaced, in one transaction.
    ReplaceTable,
}

/// What happens when an attempt fails. Evictions and other disruptions are not counted.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.maxBackoffSeconds >= self.backoffSeconds").message("maxBackoffSeconds: must be at least backoffSeconds"))]
pub struct Retry {
    /// How many further attempts after the first. Default 3. When they are used up the run has failed. The next one starts at once with a changed spec, dbt image or Helm value of the worker, or with the annotation medallion.dev/requested-at. New data starts it after a wait that doubles with each run failed since the last success, from backoffSeconds to maxBackoffSeconds, and not at all after a failure that data cannot help, as by bad settings, a risk of loss, a table of another owner or an unfit dbt project.
    #[serde(default = "retry_limit")]
    #[schemars(range(min = 0, max = 20))]
    pub limit: i32,
    /// How long before the second attempt; doubled before each further one. Default 10.
    #[serde(default = "seconds::<10>")]
    #[schemars(range(min = 1, max = 3600))]
    pub backoff_seconds: i32,
    /// The longest wait between two attempts. Default 300.
    #[serde(default = "seconds::<300>")]
    #[schemars(range(min = 1, max = 86_400))]
    pub max_backoff_seconds: i32,
}

const fn retry_limit() -> i32 {
    3
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            limit: retry_limit(),
            backoff_seconds: 10,
            max_backoff_seconds: 300,
        }
    }
}

const fn seconds<const SECONDS: i32>() -> i32 {
    SECONDS
}
