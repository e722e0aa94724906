//! The gateway's objects: deployment, service, disruption budget. No network.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use medallion_crds::{Stage, Worker};

use crate::child::Child;
use crate::config::OperatorConfig;
use crate::plan::PlanError;
use crate::settings::Launch;
use crate::standing::{self, Standing};
use crate::validate::ValidatedPipeline;
use crate::{meta, names};

pub(crate) fn children(
    pipeline: &ValidatedPipeline,
    config: &OperatorConfig,
    launch: &Launch,
) -> Result<Vec<Child>, PlanError> {
    let ingest = &pipeline.spec.stages.ingest;
    let mut all = standing::children(
        pipeline,
        config,
        &Standing {
            stage: Stage::Ingest,
            replicas: ingest.replicas,
            recreate: false,
            tokens: ingest
                .authentication
                .bearer_tokens
                .as_ref()
                .map(|tokens| &tokens.secret_key_ref),
            launch,
        },
    )?;
    all.push(Child::Service(Box::new(service(pipeline))));
    all.push(Child::PodDisruptionBudget(Box::new(disruption_budget(pipeline))));
    Ok(all)
}

/// URL that takes events by POST inside the cluster.
pub(crate) fn endpoint(pipeline: &ValidatedPipeline) -> String {
    format!(
        "http://{}.{}.svc/v1/events",
        names::child(&pipeline.name, Worker::Gateway),
        pipeline.namespace
    )
}

fn service(pipeline: &ValidatedPipeline) -> Service {
    Service {
        metadata: metadata(pipeline),
        spec: Some(ServiceSpec {
            ports: Some(vec![ServicePort {
                name: Some("http".to_owned()),
                port: 80,
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::String("http".to_owned())),
                ..ServicePort::default()
            }]),
            selector: Some(meta::selector(pipeline, Worker::Gateway)),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn disruption_budget(pipeline: &ValidatedPipeline) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata(pipeline),
        spec: Some(PodDisruptionBudgetSpec {
            // One at a time also lets a single replica be moved: clients retry, and a drain must not hang.
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector {
                match_labels: Some(meta::selector(pipeline, Worker::Gateway)),
                ..LabelSelector::default()
            }),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

fn metadata(pipeline: &ValidatedPipeline) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
    meta::child(
        pipeline,
        names::child(&pipeline.name, Worker::Gateway),
        Worker::Gateway,
        Some(Stage::Ingest),
    )
}
