//! The words for stages and workers, one spelling everywhere: API, labels, binaries, metrics. No network.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One part of the way from HTTP to the warehouse.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// HTTP to Kafka, by the gateway.
    Ingest,
    /// Kafka to DynamoDB, by the consumer.
    Persist,
    /// DynamoDB Streams to Bronze, by the exporter.
    Bronze,
    /// Bronze to Silver, by the dbt-runner.
    Silver,
    /// Silver to Gold, by the dbt-runner.
    Gold,
    /// Gold to the warehouse, by the loader.
    Warehouse,
}

impl Stage {
    /// All stages in the order of the data.
    pub const ALL: [Self; 6] = [
        Self::Ingest,
        Self::Persist,
        Self::Bronze,
        Self::Silver,
        Self::Gold,
        Self::Warehouse,
    ];
    /// The stages that run as Jobs, one `StageRun` after the other.
    pub const BATCH: [Self; 3] = [Self::Silver, Self::Gold, Self::Warehouse];

    /// The stage's word, as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Persist => "persist",
            Self::Bronze => "bronze",
            Self::Silver => "silver",
            Self::Gold => "gold",
            Self::Warehouse => "warehouse",
        }
    }

    /// The worker that does this stage.
    pub const fn worker(self) -> Worker {
        match self {
            Self::Ingest => Worker::Gateway,
            Self::Persist => Worker::Consumer,
            Self::Bronze => Worker::Exporter,
            Self::Silver | Self::Gold => Worker::DbtRunner,
            Self::Warehouse => Worker::Loader,
        }
    }

    /// Whether the stage runs as Jobs.
    pub const fn is_batch(self) -> bool {
        matches!(self, Self::Silver | Self::Gold | Self::Warehouse)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A program of the product: crate, binary and pod label carry this word.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Worker {
    /// Creates or verifies everything a pipeline depends on.
    Provisioner,
    /// HTTP to Kafka.
    Gateway,
    /// Kafka to DynamoDB.
    Consumer,
    /// DynamoDB Streams to Bronze.
    Exporter,
    /// Silver and Gold.
    DbtRunner,
    /// Gold to the warehouse.
    Loader,
}

impl Worker {
    /// All workers.
    pub const ALL: [Self; 6] = [
        Self::Provisioner,
        Self::Gateway,
        Self::Consumer,
        Self::Exporter,
        Self::DbtRunner,
        Self::Loader,
    ];

    /// The worker's word, which is its binary's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioner => "provisioner",
            Self::Gateway => "gateway",
            Self::Consumer => "consumer",
            Self::Exporter => "exporter",
            Self::DbtRunner => "dbt-runner",
            Self::Loader => "loader",
        }
    }
}

impl fmt::Display for Worker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
