//! The identity of a worker's pods. No network.

use k8s_openapi::api::core::v1::ServiceAccount;
use medallion_crds::Worker;

use super::meta;
use crate::model::child::Child;
use crate::model::names;
use crate::model::pipeline::ValidatedPipeline;

/// The account made for a worker, without rights.
pub(crate) fn service_account(pipeline: &ValidatedPipeline, worker: Worker) -> Child {
    Child::ServiceAccount(ServiceAccount {
        metadata: meta::child(pipeline, names::child(&pipeline.name, worker), worker, None),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    })
}
