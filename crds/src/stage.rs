//! The words for stages and workers, one spelling everywhere: API, labels, binaries, metrics. No network.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One part of the way from HTTP to the warehouse.
#[derive(Clone, Copy, Debug, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd)]
#[schemars(rename_all = "lowercase")]
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
    /// Gold's tables into a catalog, by the cataloger.
    Catalog,
    /// Of another version of the product; kept as it is when read.
    #[schemars(skip)]
    Other(&'static str),
}

impl Stage {
    /// All stages in the order of the data.
    pub const ALL: [Self; 7] = [
        Self::Ingest,
        Self::Persist,
        Self::Bronze,
        Self::Silver,
        Self::Gold,
        Self::Warehouse,
        Self::Catalog,
    ];
    /// The stages that run as Jobs, one `StageRun` after the other.
    pub const BATCH: [Self; 4] = [Self::Silver, Self::Gold, Self::Warehouse, Self::Catalog];

    /// The stage's word, as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Persist => "persist",
            Self::Bronze => "bronze",
            Self::Silver => "silver",
            Self::Gold => "gold",
            Self::Warehouse => "warehouse",
            Self::Catalog => "catalog",
            Self::Other(word) => word,
        }
    }

    /// Whether the stage runs as Jobs.
    pub const fn is_batch(self) -> bool {
        matches!(self, Self::Silver | Self::Gold | Self::Warehouse | Self::Catalog)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl From<&str> for Stage {
    fn from(word: &str) -> Self {
        let known = Self::ALL.into_iter().find(|stage| stage.as_str() == word);
        known.unwrap_or_else(|| Self::Other(kept(word)))
    }
}

/// A word for as long as the process lives, each once: the schema lets few pass.
fn kept(word: &str) -> &'static str {
    static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = words.get(word) {
        return known;
    }
    let new: &'static str = Box::leak(word.into());
    words.insert(new);
    new
}

impl Serialize for Stage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Stage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(Cow::<str>::deserialize(deserializer)?.as_ref()))
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
    /// Gold's tables into a catalog.
    Cataloger,
}

impl Worker {
    /// All workers.
    pub const ALL: [Self; 7] = [
        Self::Provisioner,
        Self::Gateway,
        Self::Consumer,
        Self::Exporter,
        Self::DbtRunner,
        Self::Loader,
        Self::Cataloger,
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
            Self::Cataloger => "cataloger",
        }
    }
}

impl fmt::Display for Worker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_of_another_version_is_kept_as_it_is() {
        let text = "\"archive\"";
        let stage: Stage = serde_json::from_str(text).unwrap();
        assert_eq!(stage, Stage::from("archive"));
        assert_eq!(serde_json::to_string(&stage).unwrap(), text);
        assert_eq!(serde_json::from_str::<Stage>("\"gold\"").unwrap(), Stage::Gold);
    }
}
