//! The `StageRun` kind: one bounded piece of work of one pipeline. No network.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::reason::Reason;
use crate::stage::Stage;

/// One bounded piece of work: a stage, and up to which versions of its source tables it works. Immutable.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "medallion.dev",
    version = "v1alpha1",
    kind = "StageRun",
    plural = "stageruns",
    singular = "stagerun",
    shortname = "srun",
    category = "medallion",
    namespaced,
    cel,
    status = "StageRunStatus",
    selectable = ".spec.pipelineRef.name",
    selectable = ".spec.stage",
    derive = "PartialEq",
    doc = "One run of one batch stage of a Pipeline, made by the operator or by a person. Its spec never changes and its end is final.",
    printcolumn(name = "Pipeline", type_ = "string", json_path = ".spec.pipelineRef.name"),
    printcolumn(name = "Stage", type_ = "string", json_path = ".spec.stage"),
    printcolumn(
        name = "Succeeded",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Succeeded\")].status"
    ),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Succeeded\")].reason"),
    printcolumn(name = "Attempt", type_ = "integer", json_path = ".status.attempt"),
    printcolumn(name = "Rows", type_ = "integer", json_path = ".status.rows"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Succeeded\")].message",
        priority = 1
    ),
    printcolumn(
        name = "Started-By",
        type_ = "string",
        json_path = ".metadata.annotations.medallion\\.dev/started-by",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.spec == oldSelf.spec")
        .message("spec: is immutable; make a new StageRun for other work"),
    validation = Rule::new("self.metadata.name.size() <= 58")
        .message("metadata.name: must be at most 58 characters long, because Jobs are named after it")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.type != 'Process' || (has(self.process) && has(self.stage))").message("process and stage: are required when type is Process"))]
#[x_kube(validation = Rule::new("self.type != 'Process' || !has(self.stage) || self.stage in ['silver', 'gold', 'warehouse', 'catalog']").message("stage: must be silver, gold, warehouse or catalog; the other stages run all the time and have no runs"))]
#[x_kube(validation = Rule::new("!has(self.process) || !has(self.stage) || self.stage != 'silver' || (self.process.inputs.size() == 1 && self.process.inputs[0].name == 'bronze')").message("process.inputs: silver works on exactly one input, bronze"))]
#[x_kube(validation = Rule::new("self.type != 'Process' || (self.mode == 'Apply' && !has(self.planRef))").message("mode: a run of type Process is always applied; it has no plan to look at first"))]
pub struct StageRunSpec {
    /// The pipeline, in the same namespace. A run that is there before its Pipeline waits for it.
    pub pipeline_ref: PipelineRef,
    /// The stage: silver, gold, warehouse or catalog. Left out by kinds of work that span stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_stage")]
    pub stage: Option<Stage>,
    /// What kind of work; the field of that name says more.
    #[serde(rename = "type")]
    pub kind: StageRunType,
    /// Type Process: what is taken in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// Apply (default), the only one that works so far; Plan is refused until a type supports it.
    #[serde(default)]
    pub mode: RunMode,
    /// A run with `mode: Plan` whose plan is carried out. Refused until a type supports Plan; Apply is the only mode that works so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_ref: Option<PlanRef>,
}

/// The words of a stage or null, for a field that has a description of its own: an optional enum would bring the enum's.
fn optional_stage(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<_> = Stage::ALL.iter().map(|stage| stage.as_str()).collect();
    json_schema!({"type": "string", "enum": words, "nullable": true})
}

/// What a run of type Process takes in.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Source tables and the version of each up to which, inclusive, this run works; where it begins is not said, for each table of the stage knows what it has consumed. silver takes bronze alone, up to the `position` of that stage in the Pipeline's status; gold and warehouse take all tables of the layer before, as its `outputs` list them.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub inputs: Vec<TableVersion>,
}

/// Whether a run works or only tells what it would do.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum RunMode {
    /// Only what would be done is reported.
    Plan,
    /// The work is done.
    #[default]
    Apply,
    /// Of another version.
    #[serde(other)]
    #[schemars(skip)]
    Other,
}

/// A run with `mode: Plan` in the same namespace.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanRef {
    /// Name of the StageRun.
    #[schemars(length(min = 1, max = 58))]
    pub name: String,
}

impl StageRunSpec {
    /// What a run of type Process takes in; nothing for other types.
    pub fn inputs(&self) -> &[TableVersion] {
        self.process.as_ref().map_or(&[], |process| &process.inputs)
    }
}

/// A pipeline in the same namespace.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineRef {
    /// Name of the Pipeline.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
}

/// Kinds of work.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum StageRunType {
    /// Takes what lies between what the stage has consumed and the run's inputs.
    Process,
    /// Of another version.
    #[serde(other)]
    #[schemars(skip)]
    Other,
}

/// A table at a version.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableVersion {
    /// Name of the table; `bronze` for the Bronze table.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Version in the table's log.
    #[schemars(range(min = 0))]
    pub version: i64,
}

/// A table that a run left, at its version, and what made its rows.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputTable {
    /// Name of the table.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Version in the table's log; for the warehouse the version of the Gold table that it holds.
    #[schemars(range(min = 0))]
    pub version: i64,
    /// Digest of the dbt project that made the newest rows (tables of Silver and Gold).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub project: Option<String>,
    /// Digest of the oldest dbt project of which rows still stand in the table, when it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub oldest_project: Option<String>,
}

impl OutputTable {
    /// A table at a version, without word of a project.
    pub const fn new(name: String, version: i64) -> Self {
        Self {
            name,
            version,
            project: None,
            oldest_project: None,
        }
    }

    /// As the next stage takes it in.
    pub fn as_input(&self) -> TableVersion {
        TableVersion {
            name: self.name.clone(),
            version: self.version,
        }
    }
}

/// What is true of a run: written by the operator alone.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StageRunStatus {
    /// Generation of the spec that this status speaks of; -1 before the operator has seen the object.
    #[serde(default = "not_seen")]
    pub observed_generation: i64,
    /// Succeeded: Unknown while running, True or False at the end; and for generic tools Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Number of the attempt under way or the last one; 0 before the first. Stored before the attempt's Job exists.
    #[serde(default)]
    pub attempt: i32,
    /// Attempts that count against the retry limit. Disruptions and verifying attempts do not.
    #[serde(default)]
    pub failed_attempts: i32,
    /// Job of the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// When the first attempt was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the attempt under way was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_time: Option<Time>,
    /// Not before this time the next attempt begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_time: Option<Time>,
    /// The newest medallion.dev/requested-at that has taken away a wait of this run, or that came while an attempt was at work. It takes away no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_handled_requested_at: Option<String>,
    /// When the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Steps done and to do of the attempt under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<RunProgress>,
    /// Rows that the run wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// The stage's tables at the versions that this run left them at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub outputs: Vec<OutputTable>,
    /// The failed attempts, newest first, at most five.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub failures: Vec<AttemptFailure>,
}

const fn not_seen() -> i64 {
    -1
}

impl Default for StageRunStatus {
    fn default() -> Self {
        Self {
            observed_generation: not_seen(),
            conditions: Vec::new(),
            attempt: 0,
            failed_attempts: 0,
            job: None,
            start_time: None,
            attempt_time: None,
            retry_time: None,
            last_handled_requested_at: None,
            completion_time: None,
            progress: None,
            rows: None,
            outputs: Vec::new(),
            failures: Vec::new(),
        }
    }
}

/// Steps of a run.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunProgress {
    /// Steps done.
    pub done: i32,
    /// Steps in all; 0 while not known yet.
    pub total: i32,
    /// The step under way, for example a dbt model's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub current: Option<String>,
}

/// One failed attempt.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptFailure {
    /// Number of the attempt.
    pub attempt: i32,
    /// CamelCase word for why.
    pub reason: Reason,
    /// The last lines of the worker's error: node, message, what to do.
    #[schemars(length(max = 2048))]
    pub message: String,
    /// Exit code of the worker, when it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// When the attempt ended.
    pub time: Time,
    /// Whether it does not count against the retry limit: nobody failed, or nobody knows whether the work was done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncounted: bool,
}
