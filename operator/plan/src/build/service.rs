//! How the gateway is reached and kept: Service, disruption budget, URL. No network.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use medallion_crds::{Stage, Worker};

use super::meta;
use crate::model::names;
use crate::model::pipeline::ValidatedPipeline;

/// URL that takes events by POST inside the cluster.
pub(crate) fn endpoint(pipeline: &ValidatedPipeline, worker: Worker) -> String {
    format!(
        "http://{}.{}.svc/v1/events",
        names::child(&pipeline.name, worker),
        pipeline.namespace
    )
}

/// The Service before a stage's pods.
pub(crate) fn service(pipeline: &ValidatedPipeline, stage: Stage, worker: Worker) -> Service {
    Service {
        metadata: metadata(pipeline, stage, worker),
        spec: Some(ServiceSpec {
            ports: Some(vec![ServicePort {
                name: Some("http".to_owned()),
                port: 80,
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::String("http".to_owned())),
                ..ServicePort::default()
            }]),
            selector: Some(meta::selector(pipeline, worker)),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// How many of a stage's pods may leave at once.
pub(crate) fn disruption_budget(pipeline: &ValidatedPipeline, stage: Stage, worker: Worker) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata(pipeline, stage, worker),
        spec: Some(PodDisruptionBudgetSpec {
            // One at a time also lets a single replica be moved: clients retry, and a drain must not hang.
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector {
                match_labels: Some(meta::selector(pipeline, worker)),
                ..LabelSelector::default()
            }),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

fn metadata(pipeline: &ValidatedPipeline, stage: Stage, worker: Worker) -> ObjectMeta {
    meta::child(pipeline, names::child(&pipeline.name, worker), worker, Some(stage))
}
