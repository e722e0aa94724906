//! A pod as far as it is read: thousands are kept, and whole ones would be what an operator's memory is full of. No network.

use std::borrow::Cow;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{self, ContainerStatus, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use medallion_crds::labels;
use serde::{Deserialize, Serialize};

/// Labels and annotations that begin so are the product's.
const OWN: &str = "medallion.dev/";
/// The conditions that are read.
const CONDITIONS: [&str; 3] = ["Ready", "PodScheduled", "DisruptionTarget"];

/// A pod as far as it is read. Its containers are not: a volume alone is three kilobytes large, with room for all that it could be.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pod {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// What it is made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<PodSpec>,
    /// What the kubelet says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<PodStatus>,
}

/// What a pod is made from.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// What it mounts.
    pub volumes: Vec<Volume>,
}

/// What a pod mounts.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// `None`: something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapVolume>,
}

/// A `ConfigMap` that a pod mounts.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigMapVolume {
    /// Its name.
    pub name: String,
}

impl From<v1::PodSpec> for PodSpec {
    fn from(whole: v1::PodSpec) -> Self {
        let volumes = whole.volumes.unwrap_or_default().into_iter();
        Self {
            volumes: volumes
                .map(|volume| Volume {
                    config_map: volume.config_map.map(|source| ConfigMapVolume { name: source.name }),
                })
                .collect(),
        }
    }
}

impl Resource for Pod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        v1::Pod::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        v1::Pod::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        v1::Pod::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        v1::Pod::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Pod {
    /// Drops what a plan does not read.
    pub fn forget_unread(&mut self) {
        let metadata = &mut self.metadata;
        (metadata.managed_fields, metadata.generate_name) = (None, None);
        for words in [&mut metadata.labels, &mut metadata.annotations].into_iter().flatten() {
            words.retain(|key, _| key.starts_with(OWN) && key != labels::SETTINGS);
        }
        if let Some(spec) = &mut self.spec {
            spec.volumes.retain(|volume| volume.config_map.is_some());
            spec.volumes.shrink_to_fit();
        }
        self.status = self.status.take().map(read_of_status);
    }
}

fn read_of_status(status: PodStatus) -> PodStatus {
    let conditions = status.conditions.map(|mut conditions| {
        conditions.retain(|condition| CONDITIONS.contains(&condition.type_.as_str()));
        conditions.shrink_to_fit();
        conditions
    });
    let containers = status.container_statuses.map(|containers| {
        let read = containers.into_iter().map(read_of_container);
        read.collect()
    });
    PodStatus {
        conditions,
        container_statuses: containers,
        phase: status.phase,
        pod_ip: status.pod_ip,
        reason: status.reason,
        ..PodStatus::default()
    }
}

fn read_of_container(container: ContainerStatus) -> ContainerStatus {
    ContainerStatus {
        image: container.image,
        last_state: container.last_state,
        name: container.name,
        ready: container.ready,
        restart_count: container.restart_count,
        state: container.state,
        ..ContainerStatus::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whole() -> serde_json::Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "p", "generateName": "p-", "managedFields": [{"manager": "kubelet"}],
                "labels": {"medallion.dev/worker": "gateway", "pod-template-hash": "1"},
                "annotations": {"medallion.dev/settings-hash": "a", "medallion.dev/settings": "long"},
            },
            "spec": {
                "containers": [{"name": "gateway", "image": "medallion:1", "env": [{"name": "A", "value": "b"}]}],
                "volumes": [
                    {"name": "scratch", "emptyDir": {}},
                    {"name": "settings", "configMap": {"name": "shop-gateway-1234", "optional": false}},
                ],
            },
            "status": {
                "phase": "Running", "podIP": "10.0.0.1", "qosClass": "Burstable",
                "conditions": [
                    {"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "True"},
                ],
                "containerStatuses": [{
                    "name": "gateway", "image": "medallion:1", "imageID": "sha256:0", "containerID": "containerd://0",
                    "ready": true, "restartCount": 1, "state": {"running": {}},
                }],
            },
        })
    }

    #[test]
    fn a_pod_keeps_what_is_read_of_it() {
        let mut pod: Pod = serde_json::from_value(whole()).unwrap();
        pod.forget_unread();
        assert_eq!(
            serde_json::to_value(&pod).unwrap(),
            json!({
                "metadata": {
                    "name": "p", "labels": {"medallion.dev/worker": "gateway"},
                    "annotations": {"medallion.dev/settings-hash": "a"},
                },
                "spec": {"volumes": [{"configMap": {"name": "shop-gateway-1234"}}]},
                "status": {
                    "phase": "Running", "podIP": "10.0.0.1",
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "containerStatuses": [{
                        "name": "gateway", "image": "medallion:1", "imageID": "", "ready": true, "restartCount": 1,
                        "state": {"running": {}},
                    }],
                },
            })
        );
    }

    #[test]
    fn a_pod_is_asked_for_where_pods_are() {
        assert_eq!(Pod::url_path(&(), Some("shop")), "/api/v1/namespaces/shop/pods");
        let spec: v1::Pod = serde_json::from_value(whole()).unwrap();
        let pod: Pod = serde_json::from_value(whole()).unwrap();
        assert_eq!(pod.spec, spec.spec.map(PodSpec::from));
        assert!(size_of::<Pod>() < 1280, "{} bytes", size_of::<Pod>());
    }
}
