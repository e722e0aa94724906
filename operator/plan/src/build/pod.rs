//! The pod every worker runs in: restricted, settings mounted, no Kubernetes token. No network.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, DownwardAPIVolumeFile, DownwardAPIVolumeSource,
    EmptyDirVolumeSource, EnvFromSource, EnvVar, EnvVarSource, HTTPGetAction, KeyToPath, LocalObjectReference,
    ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ProjectedVolumeSource,
    ResourceRequirements, SeccompProfile, SecretEnvSource, SecretProjection, SecretVolumeSource, SecurityContext,
    TopologySpreadConstraint, Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use medallion_crds::launch::{
    ADMIN_PORT, CONTRACT_PATH, HTTP_PORT, KAFKA_CA_PATH, KAFKA_CERTIFICATE_PATH, KAFKA_KEY_PATH, KAFKA_PASSWORD_PATH,
    KAFKA_USERNAME_PATH, SCRATCH_PATH, SETTINGS_PATH, TERMINATION_PATH, TOKENS_PATH, TRUST_BUNDLE_PATH, environment,
};
use medallion_crds::pipeline::{CertificateAuthority, KafkaAuthenticationType, SecretKeyRef, SecretSource};
use medallion_crds::{Stage, Worker, labels};

use super::meta;
use crate::model::config::{OperatorConfig, WorkerConfig};
use crate::model::pipeline::ValidatedPipeline;
use crate::model::time::STARTUP_SECONDS;

/// User and group of all workers; the images know it by number.
const USER: i64 = 65532;

/// The volume with the certificates of the brokers' authority; the kubelet names it when it cannot be mounted.
pub(crate) const KAFKA_CA: &str = "kafka-ca";
/// The volume with what proves to the brokers who we are, likewise.
pub(crate) const KAFKA_CREDENTIALS: &str = "kafka-credentials";
/// Owner and group may read a private key or a password, nobody else: 0440.
const SECRET_MODE: i32 = 0o440;

/// What differs from worker to worker, whatever the pipeline.
#[derive(Clone, Copy, Debug)]
pub struct WorkerPod {
    /// The program.
    pub worker: Worker,
    /// How long it may take to end: what it has begun is finished or given up by then. A pipeline is gone within a minute.
    pub grace_seconds: i32,
    /// Whether it serves events over HTTP.
    pub serves_http: bool,
    /// Whether it speaks to AWS, and so gets credentials where pods have no identity of their own.
    pub uses_aws: bool,
    /// Whether it speaks to the brokers, and so gets what it needs to trust them and to be let in.
    pub uses_kafka: bool,
}

/// What differs from pod to pod.
pub(crate) struct PodRequest<'a> {
    pub pod: WorkerPod,
    pub stage: Option<Stage>,
    pub image: &'a str,
    pub settings: SettingsFile<'a>,
    pub settings_hash: &'a str,
    pub service_account: String,
    /// Wished size class.
    pub size: Option<&'a str>,
    /// Bearer tokens to mount.
    pub tokens: Option<&'a SecretKeyRef>,
    pub lifetime: Lifetime,
    /// Labels beside those of every child.
    pub labels: BTreeMap<String, String>,
}

/// Where a pod has its settings file from.
#[derive(Clone, Copy)]
pub(crate) enum SettingsFile<'a> {
    /// A `ConfigMap` of this name, for pods that are made again and again from one template.
    ConfigMap(&'a str),
    /// This text, in an annotation of its own: it is there as soon as the pod is, and goes with it. The API server takes
    /// 256 KiB of annotations; settings are a few.
    Annotation(&'a str),
}

/// How long a pod is meant to live.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Lifetime {
    /// Until it is replaced: probes, restarts.
    UntilReplaced,
    /// Until its work is done: no probes, no restarts.
    OneAttempt,
}

/// The pod template.
pub(crate) fn template(
    pipeline: &ValidatedPipeline,
    config: &OperatorConfig,
    request: &PodRequest<'_>,
) -> PodTemplateSpec {
    let word = request.pod.worker;
    let worker = config.worker(word);
    let size = config.size(word, request.size);
    let lasting = request.lifetime == Lifetime::UntilReplaced;
    let mut pod_labels = worker.pod_labels.clone();
    pod_labels.extend(meta::labels(pipeline, word, request.stage));
    pod_labels.extend(request.labels.clone());
    let mut annotations = worker.pod_annotations.clone();
    annotations.insert(labels::SETTINGS_HASH.to_owned(), request.settings_hash.to_owned());
    if let SettingsFile::Annotation(text) = request.settings {
        annotations.insert(labels::SETTINGS.to_owned(), text.to_owned());
    }
    let container = Container {
        name: word.to_string(),
        image: Some(request.image.to_owned()),
        image_pull_policy: config.image_pull_policy.clone(),
        command: Some(vec![format!("/usr/local/bin/{word}")]),
        env: Some(environment_of(pipeline, config, request)),
        env_from: credentials(pipeline, config, request.pod),
        ports: Some(ports(request.pod)),
        resources: Some(size.resources).filter(|resources| *resources != ResourceRequirements::default()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        startup_probe: lasting.then(|| probe("/livez", 1, STARTUP_SECONDS)),
        liveness_probe: lasting.then(|| probe("/livez", 10, 6)),
        readiness_probe: lasting.then(|| probe("/readyz", 2, 2)),
        termination_message_path: Some(TERMINATION_PATH.to_owned()),
        // A worker that dies without a report leaves the end of its log instead.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(mounts(pipeline, config, request)),
        ..Container::default()
    };
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(pod_labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            containers: vec![container],
            enable_service_links: Some(false),
            image_pull_secrets: pull_secrets(config, &worker),
            node_selector: Some(size.node_selector).filter(|selector| !selector.is_empty()),
            restart_policy: Some(if lasting { "Always" } else { "Never" }.to_owned()),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                run_as_group: Some(USER),
                fs_group: Some(USER),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    ..SeccompProfile::default()
                }),
                ..PodSecurityContext::default()
            }),
            service_account_name: Some(request.service_account.clone()),
            termination_grace_period_seconds: Some(i64::from(request.pod.grace_seconds)),
            tolerations: Some(size.tolerations).filter(|tolerations| !tolerations.is_empty()),
            volumes: Some(volumes(pipeline, config, request)),
            ..PodSpec::default()
        }),
    }
}

/// Spreads a worker's pods over nodes, as far as there are nodes.
pub(crate) fn spread(pipeline: &ValidatedPipeline, worker: Worker) -> Vec<TopologySpreadConstraint> {
    vec![TopologySpreadConstraint {
        label_selector: Some(LabelSelector {
            match_labels: Some(meta::selector(pipeline, worker)),
            ..LabelSelector::default()
        }),
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        ..TopologySpreadConstraint::default()
    }]
}

fn environment_of(pipeline: &ValidatedPipeline, config: &OperatorConfig, request: &PodRequest<'_>) -> Vec<EnvVar> {
    let mut values = BTreeMap::from([
        ("AWS_REGION".to_owned(), pipeline.region.clone()),
        // The root file system is read-only: whatever wants a home or a temporary folder finds it here.
        ("HOME".to_owned(), SCRATCH_PATH.to_owned()),
        ("TMPDIR".to_owned(), SCRATCH_PATH.to_owned()),
    ]);
    if config.trust_bundle.is_some() {
        values.insert(environment::TRUST_BUNDLE.to_owned(), TRUST_BUNDLE_PATH.to_owned());
    }
    values.extend(config.environment.clone());
    values.extend(config.worker(request.pod.worker).environment);
    values.insert(environment::SETTINGS_HASH.to_owned(), request.settings_hash.to_owned());
    let own = [
        (environment::POD_NAME, "metadata.name"),
        (environment::POD_UID, "metadata.uid"),
    ];
    // An apply refuses a list that names one twice.
    values.retain(|name, _| own.iter().all(|(own, _)| *own != name.as_str()));
    let plain = values.into_iter().map(|(name, value)| EnvVar {
        name,
        value: Some(value),
        value_from: None,
    });
    let own = own.map(|(name, path)| EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: Some("v1".to_owned()),
                field_path: path.to_owned(),
            }),
            ..EnvVarSource::default()
        }),
    });
    plain.chain(own).collect()
}

/// AWS credentials where pods have no identity of their own. Brokers with IAM ask every worker who it is there.
fn credentials(pipeline: &ValidatedPipeline, config: &OperatorConfig, pod: WorkerPod) -> Option<Vec<EnvFromSource>> {
    let is_asked = pod.uses_kafka && pipeline.kafka.authentication.kind == KafkaAuthenticationType::MskIam;
    let shared = config
        .aws_credentials_secret
        .as_ref()
        .filter(|_| pod.uses_aws || is_asked);
    let own = config
        .workers
        .get(&pod.worker)
        .and_then(|worker| worker.aws_credentials_secret.as_ref());
    let secret = own.or(shared).filter(|secret| !secret.is_empty())?;
    Some(vec![EnvFromSource {
        secret_ref: Some(SecretEnvSource {
            name: secret.clone(),
            optional: Some(false),
        }),
        ..EnvFromSource::default()
    }])
}

fn ports(pod: WorkerPod) -> Vec<ContainerPort> {
    let port = |name: &str, number: u16| ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    let mut all = vec![port("admin", ADMIN_PORT)];
    if pod.serves_http {
        all.insert(0, port("http", HTTP_PORT));
    }
    all
}

fn probe(path: &str, period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("admin".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        timeout_seconds: Some(5),
        failure_threshold: Some(failure_threshold),
        ..Probe::default()
    }
}

fn mounts(pipeline: &ValidatedPipeline, config: &OperatorConfig, request: &PodRequest<'_>) -> Vec<VolumeMount> {
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
    if authority(pipeline, request.pod).is_some() {
        all.push(read_only(KAFKA_CA, KAFKA_CA_PATH));
    }
    if !proofs(pipeline, request.pod).is_empty() {
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

fn volumes(pipeline: &ValidatedPipeline, config: &OperatorConfig, request: &PodRequest<'_>) -> Vec<Volume> {
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
    if let Some(authority) = authority(pipeline, request.pod) {
        let of_config_map = authority.config_map_key_ref.as_ref();
        all.extend(of_config_map.map(|found| config_map(KAFKA_CA, &found.name, &found.key, KAFKA_CA_PATH)));
        let of_secret = authority.secret_key_ref.as_ref();
        all.extend(of_secret.map(|found| secret(KAFKA_CA, found, KAFKA_CA_PATH)));
    }
    let proofs = proofs(pipeline, request.pod);
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
fn authority(pipeline: &ValidatedPipeline, pod: WorkerPod) -> Option<&CertificateAuthority> {
    let tls = pipeline.kafka.tls.as_ref().filter(|_| pod.uses_kafka)?;
    tls.ca.as_ref()
}

/// What proves to the brokers who we are, and where each part of it is mounted.
fn proofs(pipeline: &ValidatedPipeline, pod: WorkerPod) -> Vec<(&SecretKeyRef, &'static str)> {
    if !pod.uses_kafka {
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

fn pull_secrets(config: &OperatorConfig, worker: &WorkerConfig) -> Option<Vec<LocalObjectReference>> {
    let mut all: Vec<LocalObjectReference> = Vec::new();
    for name in config.image_pull_secrets.iter().chain(&worker.image_pull_secrets) {
        // An apply refuses a list that names one twice.
        if all.iter().all(|known| known.name != *name) {
            all.push(LocalObjectReference { name: name.clone() });
        }
    }
    Some(all).filter(|all| !all.is_empty())
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(folder, _)| folder)
}

fn file(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, file)| file)
}
