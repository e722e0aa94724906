//! The requests to the dbt process and its answers: one JSON object per line. No network.

use std::collections::BTreeMap;

use medallion_lake::{DataFile, PartitionValues};
use serde::{Deserialize, Serialize};

/// What the runner asks the dbt process to do.
#[derive(Debug, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request<'r> {
    /// Parse the project and describe a layer.
    Open {
        /// Folder of the project.
        project: &'r str,
        /// Folder to work in.
        scratch: &'r str,
        /// Where the lake's files are served, with a slash at its end.
        lake: &'r str,
        /// The layer, which is the tag of its models.
        layer: &'r str,
        /// Memory for `DuckDB`.
        memory_bytes: i64,
        /// Threads for `DuckDB` and dbt.
        threads: i32,
    },
    /// Make views over lists of files.
    Views {
        /// The run.
        context: &'r RunContext,
        /// The views.
        views: &'r [View],
    },
    /// Build the models of changed rows.
    Changes {
        /// Their names.
        models: &'r [String],
    },
    /// Look up the partitions of changed rows, and where their keys stand.
    Touched {
        /// The table.
        table: &'r str,
        /// The model of its changed rows.
        changes: &'r str,
        /// The table's key.
        key: &'r [String],
        /// The table's partition columns.
        partition_by: &'r [String],
        /// The table's files.
        files: Vec<File>,
    },
    /// Build and test the layer.
    Build {
        /// The layer.
        layer: &'r str,
    },
    /// Write a built table as local Parquet files.
    Export {
        /// The table.
        table: &'r str,
        /// Its key, by which rows are sorted.
        key: &'r [String],
        /// Its partition columns.
        partition_by: &'r [String],
        /// Most rows in a file.
        max_file_rows: u64,
    },
}

/// What models can know of the run.
#[derive(Clone, Debug, Serialize)]
pub struct RunContext {
    /// When the run was made.
    pub as_of: String,
    /// UID of the run.
    pub run_uid: String,
}

/// A view over a list of files.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct View {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// All columns, partition columns included.
    pub columns: Vec<Column>,
    /// The columns that are not in the files.
    pub partition_by: Vec<String>,
    /// The files.
    pub files: Vec<File>,
}

/// A file and the partition of its rows.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct File {
    /// Address: in the lake, or where the reader serves it.
    pub url: String,
    /// Size in bytes.
    #[serde(skip)]
    pub size: u64,
    /// Partition values.
    pub partition: PartitionValues,
}

impl From<&DataFile> for File {
    fn from(file: &DataFile) -> Self {
        Self {
            url: file.url.clone(),
            size: file.size,
            partition: file.partition.clone(),
        }
    }
}

/// A column and its `DuckDB` type.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Type, as `DuckDB` spells it.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A line from the dbt process.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// dbt starts a node.
    Progress(NodeStart),
    /// The request is done.
    Result(serde_json::Value),
    /// The request failed.
    Error(Failure),
}

/// dbt starts a node.
#[derive(Debug, Deserialize)]
pub struct NodeStart {
    /// Nodes started before.
    pub done: i32,
    /// Nodes in all.
    pub total: i32,
    /// Name of the node.
    pub node: String,
}

/// A request failed.
#[derive(Debug, Deserialize)]
pub struct Failure {
    /// Whose fault it is.
    pub kind: FailureKind,
    /// The node that failed.
    pub node: Option<String>,
    /// Why.
    pub message: String,
    /// How many nodes failed.
    pub count: u32,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The project's, or the data's by the project's tests.
    Project,
    /// The project's: it uses what cannot be published.
    Unfit,
    /// Something outside.
    Environment,
}

/// Answer to [`Request::Open`].
#[derive(Debug, Deserialize)]
pub struct Layer {
    /// Published tables in the order in which to commit them.
    pub tables: Vec<TableModel>,
    /// The source tables that models of the layer read.
    pub sources: Vec<SourceName>,
}

/// A published table, as its model declares it.
#[derive(Clone, Debug, Deserialize)]
pub struct TableModel {
    /// Name.
    pub name: String,
    /// How it is replaced.
    pub replace: Replace,
    /// Columns that tell rows apart.
    pub key: Vec<String>,
    /// Partition columns.
    pub partition_by: Vec<String>,
    /// Model of the changed rows, where partitions do not follow those of the inputs.
    pub changes: Option<String>,
    /// All columns.
    pub columns: Vec<Column>,
}

/// How a table is replaced.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Replace {
    /// The touched partitions.
    Partitions,
    /// The whole table.
    Table,
}

/// A source table that a model reads.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct SourceName {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
}

/// Answer to [`Request::Views`], [`Request::Changes`] and [`Request::Build`].
#[derive(Debug, Deserialize)]
pub struct Timed {
    /// How long each view or node took.
    pub took: Vec<Took>,
}

/// How long something took.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Took {
    /// What.
    pub name: String,
    /// How long.
    pub seconds: f64,
}

/// Answer to [`Request::Touched`].
#[derive(Debug, Deserialize)]
pub struct TouchedAnswer {
    /// The partitions.
    pub partitions: Vec<BTreeMap<String, Option<String>>>,
}

/// Answer to [`Request::Export`].
#[derive(Debug, Deserialize)]
pub struct Exported {
    /// Rows of the table.
    pub rows: u64,
    /// Files written.
    pub files: Vec<ExportedFile>,
}

/// A local Parquet file with rows of one partition.
#[derive(Debug, Deserialize)]
pub struct ExportedFile {
    /// Where it is.
    pub path: std::path::PathBuf,
    /// The partition.
    pub partition: PartitionValues,
    /// Rows, as its footer counts them.
    pub rows: u64,
}
