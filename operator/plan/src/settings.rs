//! The launch settings of each worker, their text and digest. No network.

use std::fmt::Write as _;

use medallion_crds::Stage;
use medallion_crds::launch::{
    CONTRACT_PATH, ConsumerSettings, ContractSettings, DbtRunnerSettings, ExporterSettings, GatewaySettings,
    KafkaSettings, LakeSettings, LoaderSettings, PipelineIdentity, ProvisionerSettings, RunSettings, Settings,
    TOKENS_PATH, WarehouseSettings,
};
use medallion_crds::pipeline::IngestAuthenticationType;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::config::OperatorConfig;
use crate::names;
use crate::plan::PlanError;
use crate::validate::ValidatedPipeline;

/// Folder of the dbt project in its image.
const PROJECT_PATH: &str = "/project";

/// The text of a settings file and the digest of what the worker in the pod works with.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// Text of the file.
    pub text: String,
    /// Digest of text, contract and image: another digest is another pod.
    pub hash: String,
}

/// How long a gateway is unready before it closes its listener.
pub(crate) const DRAIN_SECONDS: i32 = 5;
/// Longest time for one request to the gateway.
pub(crate) const REQUEST_SECONDS: i32 = 30;

/// Builds the settings of all workers from one pipeline.
pub(crate) struct LaunchSettings<'a> {
    pub pipeline: &'a ValidatedPipeline,
    pub config: &'a OperatorConfig,
    /// Digest of the contract's text.
    pub contract_digest: &'a str,
}

impl LaunchSettings<'_> {
    pub fn provisioner(&self) -> Result<Launch, PlanError> {
        let spec = &self.pipeline.spec;
        let mut buckets: Vec<String> = [&spec.lake.bronze, &spec.lake.silver, &spec.lake.gold]
            .map(|layer| layer.bucket.clone())
            .into();
        buckets.sort();
        buckets.dedup();
        self.launch(
            None,
            &self.config.images.workers,
            ProvisionerSettings {
                management: spec.management,
                contract: self.contract(),
                kafka: self.kafka(),
                partitions: spec.kafka.partitions,
                table: spec.table.name.clone(),
                buckets,
                warehouse: self.warehouse(),
                timeout_seconds: 60,
            },
        )
    }

    pub fn gateway(&self) -> Result<Launch, PlanError> {
        let tokens = self.pipeline.spec.stages.ingest.authentication.kind == IngestAuthenticationType::BearerTokens;
        self.launch(
            Some(Stage::Ingest),
            &self.config.images.workers,
            GatewaySettings {
                contract: self.contract(),
                kafka: self.kafka(),
                tokens_path: tokens.then(|| TOKENS_PATH.to_owned()),
                drain_seconds: DRAIN_SECONDS,
                max_body_bytes: 8 * 1024 * 1024,
                max_events_per_request: 5000,
                request_timeout_seconds: REQUEST_SECONDS,
                max_buffer_bytes: 64 * 1024 * 1024,
            },
        )
    }

    pub fn consumer(&self) -> Result<Launch, PlanError> {
        self.launch(
            Some(Stage::Persist),
            &self.config.images.workers,
            ConsumerSettings {
                contract: self.contract(),
                kafka: self.kafka(),
                group: names::consumer_group(&self.pipeline.namespace, &self.pipeline.name),
                table: self.pipeline.spec.table.name.clone(),
                max_in_flight: 64,
                max_buffer_bytes: 64 * 1024 * 1024,
            },
        )
    }

    pub fn exporter(&self) -> Result<Launch, PlanError> {
        let flush = &self.pipeline.spec.stages.bronze.flush;
        self.launch(
            Some(Stage::Bronze),
            &self.config.images.workers,
            ExporterSettings {
                contract: self.contract(),
                table: self.pipeline.spec.table.name.clone(),
                lake: self.lake(),
                flush_max_bytes: flush.max_bytes,
                flush_max_age_seconds: flush.max_age_seconds,
                poll_milliseconds: 500,
            },
        )
    }

    pub fn dbt_runner(&self, stage: Stage, image: &str, run: RunSettings) -> Result<Launch, PlanError> {
        self.launch(
            Some(stage),
            image,
            DbtRunnerSettings {
                run,
                contract: self.contract(),
                lake: self.lake(),
                project_path: PROJECT_PATH.to_owned(),
                memory_bytes: self.config.dbt_runner.memory_bytes,
                threads: self.config.dbt_runner.threads,
            },
        )
    }

    pub fn loader(&self, run: RunSettings) -> Result<Launch, PlanError> {
        self.launch(
            Some(Stage::Warehouse),
            &self.config.images.workers,
            LoaderSettings {
                run,
                lake: self.lake(),
                warehouse: self.warehouse(),
                tables: self.pipeline.spec.stages.warehouse.tables.clone(),
            },
        )
    }

    fn launch<W: Serialize>(&self, stage: Option<Stage>, image: &str, worker: W) -> Result<Launch, PlanError> {
        let settings = Settings {
            pipeline: PipelineIdentity {
                namespace: self.pipeline.namespace.clone(),
                name: self.pipeline.name.clone(),
                uid: self.pipeline.uid.clone(),
            },
            stage,
            region: self.pipeline.spec.aws.region.clone(),
            worker,
        };
        let text = serde_json::to_string_pretty(&settings).map_err(PlanError::Settings)?;
        let hash = digest(&[&text, self.contract_digest, image]);
        Ok(Launch { text, hash })
    }

    fn contract(&self) -> ContractSettings {
        let contract = &self.pipeline.spec.contract;
        ContractSettings {
            schema_path: CONTRACT_PATH.to_owned(),
            key: contract.key.clone(),
            event_id: contract.event_id.clone(),
            event_time: contract.event_time.clone(),
            version: contract.version.clone(),
        }
    }

    fn kafka(&self) -> KafkaSettings {
        let kafka = &self.pipeline.spec.kafka;
        KafkaSettings {
            bootstrap_servers: kafka.bootstrap_servers.clone(),
            topic: kafka.topic.clone(),
            dead_letter_topic: kafka.dead_letter_topic.clone(),
        }
    }

    fn lake(&self) -> LakeSettings {
        let spec = &self.pipeline.spec;
        LakeSettings {
            bronze_table: format!("s3://{}/{}", spec.lake.bronze.bucket, spec.table.name),
            silver: format!("s3://{}", spec.lake.silver.bucket),
            gold: format!("s3://{}", spec.lake.gold.bucket),
        }
    }

    fn warehouse(&self) -> WarehouseSettings {
        let redshift = &self.pipeline.redshift;
        WarehouseSettings {
            workgroup_name: redshift.workgroup_name.clone(),
            cluster_identifier: redshift.cluster_identifier.clone(),
            database: redshift.database.clone(),
            schema: redshift.schema.clone(),
            copy_role_arn: redshift.copy_role_arn.clone(),
        }
    }
}

/// First 16 hex digits of the SHA-256 over the parts, each with its length, so that no two lists of parts run together.
pub fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
