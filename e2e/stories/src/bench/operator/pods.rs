//! Pods as the controllers of Deployments and Jobs make them, and what the kubelet would say of them. Touches no network.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use medallion_crds::launch::report::Report;
use serde_json::{Value, json};

/// A pod of a workload, which owns it: there is no `ReplicaSet` in between.
pub fn made_from<K: Resource<DynamicType = ()>>(owner: &K, template: &PodTemplateSpec) -> Pod {
    let mut metadata = template.metadata.clone().unwrap_or_default();
    metadata.generate_name = Some(format!("{}-", owner.name_any()));
    metadata.owner_references = owner.controller_owner_ref(&()).map(|reference| {
        vec![OwnerReference {
            block_owner_deletion: Some(true),
            ..reference
        }]
    });
    Pod {
        metadata,
        spec: template.spec.clone(),
        status: None,
    }
}

/// A pod whose worker works and is ready.
pub fn running(template: &PodTemplateSpec, address: Ipv4Addr, started: Timestamp) -> Value {
    let address = address.to_string();
    json!({
        "phase": "Running",
        "hostIP": "127.0.0.1",
        "podIP": &address,
        "podIPs": [{"ip": &address}],
        "startTime": started,
        "conditions": conditions("True", started),
        "containerStatuses": containers(template, true, &json!({"running": {"startedAt": started}})),
    })
}

/// A pod whose worker has ended well and left its report.
pub fn ended(template: &PodTemplateSpec, started: Timestamp, now: Timestamp, report: &Report) -> Value {
    let terminated = json!({"terminated": {
        "exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": now,
        "message": report.to_termination_message(),
    }});
    json!({
        "phase": "Succeeded",
        "startTime": started,
        "conditions": conditions("False", now),
        "containerStatuses": containers(template, false, &terminated),
    })
}

fn conditions(ready: &str, at: Timestamp) -> Value {
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": at});
    json!([
        condition("PodScheduled", "True"),
        condition("Initialized", "True"),
        condition("ContainersReady", ready),
        condition("Ready", ready),
    ])
}

fn containers(template: &PodTemplateSpec, ready: bool, state: &Value) -> Value {
    let containers = template.spec.iter().flat_map(|spec| &spec.containers);
    containers
        .map(|container| {
            json!({
                "name": container.name, "image": container.image, "imageID": "simulated", "ready": ready,
                "started": ready, "restartCount": 0, "state": state,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;

    use super::*;

    #[test]
    fn a_pod_has_the_labels_of_its_template_and_is_its_workloads() {
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": {"name": "orders-gateway", "namespace": "shop", "uid": "uid"},
            "spec": {
                "selector": {},
                "template": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {"containers": [{"name": "gateway", "image": "medallion:1"}]},
                },
            },
        }))
        .unwrap();
        let template = &deployment.spec.as_ref().unwrap().template;
        let pod = made_from(&deployment, template);
        assert_eq!(pod.labels()["a"], "b");
        let owner = &pod.owner_references()[0];
        assert_eq!(
            (owner.kind.as_str(), owner.uid.as_str(), owner.controller),
            ("Deployment", "uid", Some(true))
        );
        let status = running(template, Ipv4Addr::LOCALHOST, Timestamp::UNIX_EPOCH);
        assert_eq!(status["containerStatuses"][0]["name"], "gateway");
    }
}
