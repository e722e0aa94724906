//! What pods run as and read: whose it is decides whether they may be made. No network.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PodTemplateSpec;

/// Whether the pods of a Job run as the account of that name, or mount the `ConfigMap` of that name.
pub fn job_uses(job: &Job, kind: &str, name: &str) -> bool {
    let spec = job.spec.as_ref();
    spec.is_some_and(|spec| uses(&spec.template, kind, name))
}

/// Whether pods of this template run as the account of that name, or mount the `ConfigMap` of that name.
pub(super) fn uses(template: &PodTemplateSpec, kind: &str, name: &str) -> bool {
    let Some(pod) = &template.spec else {
        return false;
    };
    match kind {
        "ServiceAccount" => pod.service_account_name.as_deref() == Some(name),
        "ConfigMap" => pod
            .volumes
            .iter()
            .flatten()
            .filter_map(|volume| volume.config_map.as_ref())
            .any(|source| source.name == name),
        _ => false,
    }
}
