//! The settings file of a worker: the parts that several share, its text and digest. No network.

use std::collections::BTreeMap;

use medallion_crds::hex::hex;
use medallion_crds::launch::{
    CONTRACT_PATH, ContractSettings, ContractVersionSettings, KAFKA_CA_PATH, KAFKA_CERTIFICATE_PATH, KAFKA_KEY_PATH,
    KAFKA_PASSWORD_PATH, KAFKA_USERNAME_PATH, KafkaAuthenticationSettings, KafkaSettings, KafkaTlsSettings,
    LakeSettings, PipelineIdentity, SETTINGS_PATH, Settings, WarehouseSettings,
};
use medallion_crds::pipeline::{Kafka, KafkaAuthenticationType};
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
            authentication: self.kafka_authentication(),
        }
    }

    /// Where the workers find what proves to the brokers who they are.
    fn kafka_authentication(&self) -> KafkaAuthenticationSettings {
        let kafka = &self.pipeline.kafka;
        let authentication = &kafka.authentication;
        let (username_path, password_path) = (KAFKA_USERNAME_PATH.to_owned(), KAFKA_PASSWORD_PATH.to_owned());
        match authentication.kind {
            KafkaAuthenticationType::None => KafkaAuthenticationSettings::None,
            KafkaAuthenticationType::MutualTls => KafkaAuthenticationSettings::MutualTls {
                certificate_path: KAFKA_CERTIFICATE_PATH.to_owned(),
                key_path: KAFKA_KEY_PATH.to_owned(),
            },
            KafkaAuthenticationType::Plain => KafkaAuthenticationSettings::Plain {
                username_path,
                password_path,
            },
            KafkaAuthenticationType::Scram => KafkaAuthenticationSettings::Scram {
                mechanism: authentication
                    .scram
                    .as_ref()
                    .map(|scram| scram.mechanism)
                    .unwrap_or_default(),
                username_path,
                password_path,
            },
            KafkaAuthenticationType::MskIam => {
                let named = authentication.msk_iam.as_ref().and_then(|part| part.region.as_deref());
                let region = named.or_else(|| region_of(&kafka.bootstrap_servers));
                KafkaAuthenticationSettings::MskIam {
                    region: region.unwrap_or(&self.pipeline.region).to_owned(),
                }
            }
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

/// The region in the brokers' host names, as Amazon MSK gives them: `b-1.shop.a1b2c3.c2.kafka.eu-west-1.amazonaws.com:9098`,
/// and with `kafka-serverless` for a serverless cluster. Names of a company's own say nothing.
fn region_of(bootstrap_servers: &[String]) -> Option<&str> {
    bootstrap_servers.iter().find_map(|server| {
        let host = server.rsplit_once(':').map_or(server.as_str(), |(host, _)| host);
        let host = [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu"]
            .iter()
            .find_map(|suffix| host.strip_suffix(suffix))?;
        let (rest, region) = host.rsplit_once('.')?;
        matches!(rest.rsplit('.').next(), Some("kafka" | "kafka-serverless")).then_some(region)
    })
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::provisioned("b-1.shop.a1b2c3.c2.kafka.eu-west-1.amazonaws.com:9098", Some("eu-west-1"))]
    #[case::serverless("boot-a1b2c3.c1.kafka-serverless.us-east-2.amazonaws.com:9098", Some("us-east-2"))]
    #[case::china("b-1.shop.a1b2c3.c2.kafka.cn-north-1.amazonaws.com.cn:9098", Some("cn-north-1"))]
    #[case::government("b-1.shop.a1b2c3.c2.kafka.us-gov-west-1.amazonaws.com:9098", Some("us-gov-west-1"))]
    #[case::europe("b-1.shop.a1b2c3.c2.kafka.eusc-de-east-1.amazonaws.eu:9098", Some("eusc-de-east-1"))]
    #[case::own_name("kafka.shop.example:9098", None)]
    #[case::another_service("x.ec2.eu-west-1.amazonaws.com:9098", None)]
    #[case::no_host("amazonaws.com:9098", None)]
    fn the_region_is_read_from_the_hosts_that_amazon_names(#[case] server: &str, #[case] region: Option<&str>) {
        assert_eq!(region_of(&[server.to_owned()]), region);
        let others = ["10.0.0.7:9098".to_owned(), server.to_owned()];
        assert_eq!(region_of(&others), region, "whichever of them says it");
    }
}
