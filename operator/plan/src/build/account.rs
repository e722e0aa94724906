//! The identity of a worker's pods. No network.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use medallion_crds::Worker;

use super::meta;
use crate::model::child::Child;
use crate::model::config::OperatorConfig;
use crate::model::names;
use crate::model::pipeline::ValidatedPipeline;

/// The account made for a worker, without rights.
pub(crate) fn service_account(pipeline: &ValidatedPipeline, config: &OperatorConfig, worker: Worker) -> Child {
    let annotations = config.worker(worker).service_account_annotations;
    Child::ServiceAccount(ServiceAccount {
        metadata: ObjectMeta {
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            ..meta::child(pipeline, names::child(&pipeline.name, worker), worker, None)
        },
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    })
}
