//! What a worker's pod mounts: settings, contract, tokens, what the brokers ask for, room to work in. No network.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, DownwardAPIVolumeFile, DownwardAPIVolumeSource, EmptyDirVolumeSource, KeyToPath,
    ObjectFieldSelector, ProjectedVolumeSource, SecretProjection, SecretVolumeSource, Volume, VolumeMount,
    VolumeProjection,
};
use medallion_crds::labels;
use medallion_crds::launch::{
    CONTRACT_PATH, KAFKA_CA_PATH, KAFKA_CERTIFICATE_PATH, KAFKA_KEY_PATH, KAFKA_PASSWORD_PATH, KAFKA_USERNAME_PATH,
    SCRATCH_PATH, SETTINGS_PATH, TOKENS_PATH, TRUST_BUNDLE_PATH,
};
use medallion_crds::pipeline::{CertificateAuthority, KafkaAuthenticationType, SecretKeyRef, SecretSource};

use crate::model::config::OperatorConfig;
use crate::model::pipeline::ValidatedPipeline;

/// The volume with the certificates of the brokers' authority; the kubelet names it when it cannot be mounted.
pub(crate) const KAFKA_CA: &str = "kafka-ca";
/// The volume with what proves to the brokers who we are, likewise.
pub(crate) const KAFKA_CREDENTIALS: &str = "kafka-credentials";
/// Owner and group may read a private key or a password, nobody else: 0440.
const SECRET_MODE: i32 = 0o440;

/// Where a pod has its settings file from.
#[derive(Clone, Copy)]
pub(crate) enum SettingsFile<'a> {
    /// A `ConfigMap` of this name, for pods that are made again and again from one template.
    ConfigMap(&'a str),
    /// This text, in an annotation of its own: it is there as soon as the pod is, and goes with it. The API server takes
    /// 256 KiB of annotations; settings are a few.
    Annotation(&'a str),
}

/// What differs from pod to pod in what it mounts.
#[derive(Clone, Copy)]
pub(crate) struct VolumeRequest<'a> {
    pub settings: SettingsFile<'a>,
    /// Bearer tokens.
    pub tokens: Option<&'a SecretKeyRef>,
    pub uses_kafka: bool,
}

/// Where the container finds them.
pub(crate) fn mounts(
    pipeline: &ValidatedPipeline,
    config: &OperatorConfig,
    request: &VolumeRequest<'_>,
) -> Vec<VolumeMount> {
    let read_only = |name: &str, path: &str| VolumeMount {
        name: name.to_owned(),
        mount_path: folder(path).to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    let mut all = vec![
        read_only("settings", SETTINGS_PATH),
        read_only("contract", CONTRACT_PATH),
    ];
    if request.tokens.is_some() {
        all.push(read_only("tokens", TOKENS_PATH));
    }
    if authority(pipeline, request.uses_kafka).is_some() {
        all.push(read_only(KAFKA_CA, KAFKA_CA_PATH));
    }
    if !proofs(pipeline, request.uses_kafka).is_empty() {
        all.push(read_only(KAFKA_CREDENTIALS, KAFKA_USERNAME_PATH));
    }
    if config.trust_bundle.is_some() {
        all.push(read_only("trust-bundle", TRUST_BUNDLE_PATH));
    }
    all.push(VolumeMount {
        name: "scratch".to_owned(),
        mount_path: SCRATCH_PATH.to_owned(),
        ..VolumeMount::default()
    });
    all
}

/// All volumes.
pub(crate) fn all(pipeline: &ValidatedPipeline, config: &OperatorConfig, request: &VolumeRequest<'_>) -> Vec<Volume> {
    let contract = &pipeline.schema_ref;
    let config_map = |volume: &str, name: &str, key: &str, path: &str| Volume {
        name: volume.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: name.to_owned(),
            items: Some(vec![item(key, path)]),
            optional: Some(false),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    };
    let secret = |volume: &str, reference: &SecretKeyRef, path: &str| Volume {
        name: volume.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(reference.name.clone()),
            items: Some(vec![item(&reference.key, path)]),
            optional: Some(false),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    let settings = match request.settings {
        SettingsFile::ConfigMap(name) => config_map("settings", name, file(SETTINGS_PATH), SETTINGS_PATH),
        SettingsFile::Annotation(_) => annotation("settings", labels::SETTINGS, SETTINGS_PATH),
    };
    let mut all = vec![
        settings,
        config_map("contract", &contract.name, &contract.key, CONTRACT_PATH),
    ];
    if let Some(tokens) = request.tokens {
        all.push(secret("tokens", tokens, TOKENS_PATH));
    }
    if let Some(authority) = authority(pipeline, request.uses_kafka) {
        let of_config_map = authority.config_map_key_ref.as_ref();
        all.extend(of_config_map.map(|found| config_map(KAFKA_CA, &found.name, &found.key, KAFKA_CA_PATH)));
        let of_secret = authority.secret_key_ref.as_ref();
        all.extend(of_secret.map(|found| secret(KAFKA_CA, found, KAFKA_CA_PATH)));
    }
    let proofs = proofs(pipeline, request.uses_kafka);
    if !proofs.is_empty() {
        all.push(projected(KAFKA_CREDENTIALS, &proofs));
    }
    if let Some(bundle) = &config.trust_bundle {
        all.push(config_map(
            "trust-bundle",
            &bundle.config_map,
            &bundle.key,
            TRUST_BUNDLE_PATH,
        ));
    }
    all.push(Volume {
        name: "scratch".to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    });
    all
}

/// Who signs the brokers' certificates, if the worker speaks to them and the user names somebody.
fn authority(pipeline: &ValidatedPipeline, uses_kafka: bool) -> Option<&CertificateAuthority> {
    let tls = pipeline.kafka.tls.as_ref().filter(|_| uses_kafka)?;
    tls.ca.as_ref()
}

/// What proves to the brokers who we are, and where each part of it is mounted.
fn proofs(pipeline: &ValidatedPipeline, uses_kafka: bool) -> Vec<(&SecretKeyRef, &'static str)> {
    if !uses_kafka {
        return Vec::new();
    }
    let authentication = &pipeline.kafka.authentication;
    let pair = match authentication.kind {
        KafkaAuthenticationType::None | KafkaAuthenticationType::MskIam => None,
        KafkaAuthenticationType::MutualTls => authentication
            .mutual_tls
            .as_ref()
            .map(|part| [(&part.certificate, KAFKA_CERTIFICATE_PATH), (&part.key, KAFKA_KEY_PATH)]),
        KafkaAuthenticationType::Plain => {
            let part = authentication.plain.as_ref();
            part.map(|part| user(&part.username, &part.password))
        }
        KafkaAuthenticationType::Scram => {
            let part = authentication.scram.as_ref();
            part.map(|part| user(&part.username, &part.password))
        }
    };
    let all = pair.into_iter().flatten();
    all.map(|(source, path)| (&source.secret_key_ref, path)).collect()
}

fn user<'a>(username: &'a SecretSource, password: &'a SecretSource) -> [(&'a SecretSource, &'static str); 2] {
    [(username, KAFKA_USERNAME_PATH), (password, KAFKA_PASSWORD_PATH)]
}

/// Keys of Secrets in one folder that the kubelet changes at once, so that a certificate never stands there with another's key.
fn projected(volume: &str, sources: &[(&SecretKeyRef, &str)]) -> Volume {
    let sources = sources.iter().map(|(reference, path)| VolumeProjection {
        secret: Some(SecretProjection {
            name: reference.name.clone(),
            items: Some(vec![item(&reference.key, path)]),
            optional: Some(false),
        }),
        ..VolumeProjection::default()
    });
    Volume {
        name: volume.to_owned(),
        projected: Some(ProjectedVolumeSource {
            default_mode: Some(SECRET_MODE),
            sources: Some(sources.collect()),
        }),
        ..Volume::default()
    }
}

/// An annotation of the pod itself, as a file.
fn annotation(volume: &str, name: &str, path: &str) -> Volume {
    Volume {
        name: volume.to_owned(),
        downward_api: Some(DownwardAPIVolumeSource {
            items: Some(vec![DownwardAPIVolumeFile {
                field_ref: Some(ObjectFieldSelector {
                    api_version: Some("v1".to_owned()),
                    field_path: format!("metadata.annotations['{name}']"),
                }),
                path: file(path).to_owned(),
                ..DownwardAPIVolumeFile::default()
            }]),
            ..DownwardAPIVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn item(key: &str, path: &str) -> KeyToPath {
    KeyToPath {
        key: key.to_owned(),
        path: file(path).to_owned(),
        mode: None,
    }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(folder, _)| folder)
}

fn file(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, file)| file)
}
