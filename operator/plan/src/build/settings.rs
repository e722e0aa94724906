//! The settings file of a worker: the parts that several share, its text and digest. No network.

use std::collections::BTreeMap;

use medallion_crds::hex::hex;
use medallion_crds::launch::{
    CONTRACT_PATH, ContractSettings, ContractVersionSettings, KAFKA_CA_PATH, KafkaSettings, KafkaTlsSettings,
    LakeSettings, PipelineIdentity, SETTINGS_PATH, Settings, WarehouseSettings,
};
use medallion_crds::pipeline::Kafka;
use medallion_crds::{Owner, Stage};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::model::config::OperatorConfig;
use crate::model::pipeline::{ValidatedPipeline, Warehouse};

/// The text of a settings file and the digest of what the worker in the pod works with.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Text of the file.
    pub text: String,
    /// Digest of text, contract and image: another digest is another pod.
    pub hash: String,
}

/// What the settings of all workers of a pipeline are built from.
#[derive(Clone, Copy)]
pub struct LaunchSettings<'a> {
    /// The wish.
    pub pipeline: &'a ValidatedPipeline,
    /// What the administrator decides.
    pub config: &'a OperatorConfig,
    /// Digest of the text of the contract's schema, which workers compare with what is mounted for them.
    pub contract_digest: &'a str,
}

impl LaunchSettings<'_> {
    /// The whole file for a worker's own part.
    pub(crate) fn launch<W: Serialize>(&self, stage: Option<Stage>, image: &str, worker: W) -> Launch {
        let settings = Settings {
            pipeline: PipelineIdentity {
                installation: self.config.installation.clone(),
                namespace: self.pipeline.namespace.clone(),
                name: self.pipeline.name.clone(),
                uid: self.pipeline.uid.clone(),
            },
            adopt: self.pipeline.adopt.clone(),
            stage,
            region: self.pipeline.region.clone(),
            worker,
        };
        let text = format_json(&settings, serde_json::to_string_pretty);
        let hash = digest(&[&text, &self.pipeline.schema_ref.name, self.contract_digest, image]);
        Launch { text, hash }
    }

    /// The event contract.
    pub(crate) fn contract(&self) -> ContractSettings {
        let contract = &self.pipeline.contract;
        let versions = contract.versions.iter().map(|version| ContractVersionSettings {
            name: version.name.clone(),
            schema_path: CONTRACT_PATH.to_owned(),
            digest: self.contract_digest.to_owned(),
        });
        ContractSettings {
            versions: versions.collect(),
            key: contract.key.clone(),
            event_id: contract.event_id.clone(),
            event_time: contract.event_time.clone(),
            event_version: contract.event_version.clone(),
        }
    }

    /// Brokers and topics.
    pub(crate) fn kafka(&self) -> KafkaSettings {
        let kafka = &self.pipeline.kafka;
        KafkaSettings {
            bootstrap_servers: kafka.bootstrap_servers.clone(),
            topic: kafka.topic.clone(),
            dead_letter_topic: kafka.dead_letter_topic.clone(),
            tls: kafka.tls.as_ref().map(|tls| KafkaTlsSettings {
                ca_path: tls.ca.as_ref().map(|_| KAFKA_CA_PATH.to_owned()),
            }),
        }
    }

    /// The named consumer group, or the one that belongs to the owner alone.
    pub(crate) fn consumer_group(&self) -> String {
        consumer_group(&self.pipeline.kafka, &owner(self.pipeline, self.config))
    }

    /// Where the layers live.
    pub(crate) fn lake(&self) -> LakeSettings {
        let lake = &self.pipeline.lake;
        LakeSettings {
            bronze_table: format!("s3://{}/{}", lake.bronze.bucket, self.pipeline.table),
            silver: format!("s3://{}", lake.silver.bucket),
            gold: format!("s3://{}", lake.gold.bucket),
        }
    }
}

/// Who the pipeline is in everything that it writes.
pub(crate) fn owner(pipeline: &ValidatedPipeline, config: &OperatorConfig) -> Owner {
    Owner {
        installation: config.installation.clone(),
        namespace: pipeline.namespace.clone(),
        name: pipeline.name.clone(),
    }
}

/// The named consumer group, or the one that belongs to the owner alone.
pub fn consumer_group(kafka: &Kafka, owner: &Owner) -> String {
    let named = kafka.consumer_group.clone();
    named.unwrap_or_else(|| owner.consumer_group())
}

/// The warehouse as a worker sees it.
pub(crate) fn warehouse(warehouse: &Warehouse) -> WarehouseSettings {
    let redshift = &warehouse.redshift;
    WarehouseSettings {
        workgroup_name: redshift.workgroup_name.clone(),
        cluster_identifier: redshift.cluster_identifier.clone(),
        database: redshift.database.clone(),
        schema: redshift.schema.clone(),
        loader_user: redshift.loader_user.clone(),
        copy_role_arn: redshift.copy_role_arn.clone(),
    }
}

/// The data of a `ConfigMap` with a settings file.
pub(crate) fn data(text: &str) -> BTreeMap<String, String> {
    let file = SETTINGS_PATH.rsplit('/').next().unwrap_or(SETTINGS_PATH);
    BTreeMap::from([(file.to_owned(), text.to_owned())])
}

/// The digest of an object's JSON.
pub(crate) fn digest_of<T: Serialize>(value: &T) -> String {
    digest(&[&format_json(value, serde_json::to_string)])
}

/// JSON of our own structs and those of Kubernetes: their fields have names and their maps have keys of text, so there is always one.
fn format_json<T: Serialize>(value: &T, format: fn(&T) -> serde_json::Result<String>) -> String {
    format(value).unwrap_or_else(|error| unreachable!("a struct without a JSON form: {error}"))
}

/// First 16 hex digits of the SHA-256 over the parts, each with its length, so that no two lists of parts run together.
pub fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut text = hex(&hasher.finalize());
    text.truncate(16);
    text
}
