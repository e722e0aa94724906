//! The pod every worker runs in: restricted, settings mounted, no Kubernetes token. No network.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvFromSource, EnvVar, EnvVarSource, HTTPGetAction, LocalObjectReference,
    ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile,
    SecretEnvSource, SecurityContext, TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use medallion_crds::launch::{ADMIN_PORT, HTTP_PORT, SCRATCH_PATH, TERMINATION_PATH, TRUST_BUNDLE_PATH, environment};
use medallion_crds::pipeline::{KafkaAuthenticationType, SecretKeyRef};
use medallion_crds::{Stage, Worker, labels};

use super::meta;
use super::volumes::{self, SettingsFile, VolumeRequest};
use crate::model::config::{OperatorConfig, WorkerConfig};
use crate::model::pipeline::ValidatedPipeline;
use crate::model::time::STARTUP_SECONDS;

/// User and group of all workers; the images know it by number.
const USER: i64 = 65532;

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
    let mounted = VolumeRequest {
        settings: request.settings,
        tokens: request.tokens,
        uses_kafka: request.pod.uses_kafka,
    };
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
        volume_mounts: Some(volumes::mounts(pipeline, config, &mounted)),
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
            volumes: Some(volumes::all(pipeline, config, &mounted)),
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
