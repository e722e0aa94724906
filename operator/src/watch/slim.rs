//! Takes out of watched objects what nobody here reads: a thousand pipelines must fit into memory. No network.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use medallion_crds::{Pipeline, StageRun, labels};
use medallion_plan::Pod;

use crate::watch::room::StoredChild;

/// What `kubectl apply` keeps of itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Something that can be made smaller.
pub(crate) trait Slim {
    /// Drops what is not read.
    fn slim(&mut self);
}

impl Slim for Pipeline {
    fn slim(&mut self) {
        metadata(&mut self.metadata);
    }
}

impl Slim for StageRun {
    fn slim(&mut self) {
        metadata(&mut self.metadata);
    }
}

impl Slim for Deployment {
    fn slim(&mut self) {
        metadata(&mut self.metadata);
        if let Some(spec) = &mut self.spec {
            spec.template = PodTemplateSpec::default();
        }
    }
}

impl Slim for Job {
    fn slim(&mut self) {
        metadata(&mut self.metadata);
        if let Some(spec) = &mut self.spec {
            spec.template = PodTemplateSpec::default();
        }
    }
}

impl Slim for Pod {
    fn slim(&mut self) {
        self.forget_unread();
    }
}

fn metadata(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

/// What is remembered of a child, of whatever kind.
pub(crate) fn child<K: Resource>(object: &K) -> StoredChild {
    let mut small = object.meta().clone();
    let writers = small.managed_fields.take().unwrap_or_default();
    // A status is not the child as it was planned; its scale is, although it is written apart.
    let direct = || writers.iter().filter(|writer| writer.subresource.is_none());
    let of_scale = writers
        .iter()
        .filter(|writer| writer.subresource.as_deref() == Some("scale"));
    let stored = StoredChild {
        has_other_writers: direct().chain(of_scale).any(|writer| {
            let fields = writer.fields_v1.as_ref().and_then(|fields| fields.0.as_object());
            writer.manager.as_deref() != Some(labels::MANAGER)
                && fields.is_some_and(|fields| {
                    fields
                        .keys()
                        .any(|field| !["f:metadata", "f:status"].contains(&field.as_str()))
                })
        }),
        was_created_plainly: direct().any(|writer| {
            writer.manager.as_deref() == Some(labels::MANAGER) && writer.operation.as_deref() == Some("Update")
        }),
        metadata: ObjectMeta::default(),
    };
    metadata(&mut small);
    StoredChild {
        metadata: small,
        ..stored
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_by_somebody_else_shows_in_who_wrote_what() {
        let written_by = |manager: &str, operation: &str, subresource: Option<&str>, field: &str| {
            let service: Service = serde_json::from_value(json!({
                "metadata": {"name": "s", "managedFields": [
                    {"manager": manager, "operation": operation, "subresource": subresource, "fieldsV1": {field: {}}},
                ]},
            }))
            .unwrap();
            let child = child(&service);
            (child.has_other_writers, child.was_created_plainly)
        };
        assert_eq!(written_by(labels::MANAGER, "Apply", None, "f:spec"), (false, false));
        assert_eq!(written_by(labels::MANAGER, "Update", None, "f:spec"), (false, true));
        assert_eq!(written_by("kubectl-edit", "Update", None, "f:spec"), (true, false));
        assert_eq!(written_by("kubectl-edit", "Update", None, "f:data"), (true, false));
        assert_eq!(
            written_by("kubectl", "Update", Some("scale"), "f:spec"),
            (true, false),
            "what has been scaled is not as it was planned"
        );
        assert_eq!(
            written_by("controller", "Update", Some("status"), "f:status"),
            (false, false)
        );
        assert_eq!(written_by("controller", "Update", None, "f:metadata"), (false, false));
    }
}
