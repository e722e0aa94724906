//! Every pod of the product keeps the restricted Pod Security Standard, as the API server itself judges it. Touches the API server.

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::helm;
use crate::world::World;

/// What the operator makes of the shop's pipeline: the provisioner's Job, and the streaming workers. Those of the batch stages
/// are of the same template, and start in the stories' namespaces, which enforce the standard as well.
const PLANNED: [&str; 2] = [
    include_str!("../../../../operator/plan/tests/cases/new-pipeline/plan.yaml"),
    include_str!("../../../../operator/plan/tests/cases/provisioned/plan.yaml"),
];
/// The identity that they have here: one that is there must be named, and which does not matter.
const ACCOUNT: &str = "anybody";
const REFUSAL: &str = "violates PodSecurity \"restricted";

pub async fn restricted(world: &World, place: &str) -> Result<()> {
    let accounts: Api<ServiceAccount> = world.cluster.api(place);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}});
    world.cluster.apply(&accounts, ACCOUNT, &account).await?;

    let rendered: Vec<Value> = serde_saphyr::from_multiple(&helm::rendered(&world.stack).await?)?;
    let charts = specs(&Value::Array(rendered));
    ensure!(
        charts.len() == 2,
        "{} pods in the chart: the operator and its test",
        charts.len()
    );
    let mut workers = Vec::new();
    for text in PLANNED {
        workers.extend(specs(&serde_saphyr::from_str(text)?));
    }
    ensure!(workers.len() == 4, "{} planned pods", workers.len());

    let api: Api<DynamicObject> =
        Api::namespaced_with(world.cluster.client.clone(), place, &ApiResource::erase::<Pod>(&()));
    for spec in charts.iter().chain(&workers) {
        let name = name_of(spec);
        try_out(&api, spec)
            .await
            .with_context(|| format!("the pod of {name} is refused"))?;
        for (what, wrong) in wrongs(spec) {
            match try_out(&api, &wrong).await {
                Ok(()) => bail!("the pod of {name} is taken {what}"),
                Err(kube::Error::Api(status)) if status.message.contains(REFUSAL) => {}
                Err(error) => bail!("the pod of {name} {what} should be refused by the standard: {error}"),
            }
        }
    }
    Ok(())
}

/// Every pod's specification that stands somewhere in a tree of objects.
fn specs(tree: &Value) -> Vec<Value> {
    match tree {
        Value::Array(all) => all.iter().flat_map(specs).collect(),
        Value::Object(fields) => {
            if fields.get("containers").is_some_and(Value::is_array) {
                return vec![tree.clone()];
            }
            fields.values().flat_map(specs).collect()
        }
        _ => Vec::new(),
    }
}

fn name_of(spec: &Value) -> &str {
    spec["containers"][0]["name"].as_str().unwrap_or_default()
}

/// The same pod with one protection less each.
fn wrongs(spec: &Value) -> Vec<(&'static str, Value)> {
    let container = |name: &str, value: Value| {
        let mut wrong = spec.clone();
        wrong["containers"][0]["securityContext"][name] = value;
        wrong
    };
    let context = |name: &str, value: Value| {
        let mut wrong = spec.clone();
        wrong["securityContext"][name] = value;
        wrong
    };
    // What may not be privileged and yet not escalate is no pod at all, and is refused for that.
    let mut privileged = spec.clone();
    privileged["containers"][0]["securityContext"] = json!({"privileged": true});
    let mut in_its_network = spec.clone();
    in_its_network["hostNetwork"] = json!(true);
    let mut with_a_folder = spec.clone();
    let folder = json!({"name": "of-the-node", "hostPath": {"path": "/"}});
    match &mut with_a_folder["volumes"] {
        Value::Array(volumes) => volumes.push(folder),
        none => *none = json!([folder]),
    }
    vec![
        ("privileged", privileged),
        ("with escalation", container("allowPrivilegeEscalation", json!(true))),
        ("with all capabilities", container("capabilities", Value::Null)),
        ("as root", context("runAsUser", json!(0))),
        ("as anybody", context("runAsNonRoot", json!(false))),
        ("without seccomp", context("seccompProfile", Value::Null)),
        ("in the node's network", in_its_network),
        ("with a folder of the node", with_a_folder),
    ]
}

/// Whether the API server would take the pod; nothing is made.
async fn try_out(api: &Api<DynamicObject>, spec: &Value) -> Result<(), kube::Error> {
    let mut spec = spec.clone();
    spec["serviceAccountName"] = json!(ACCOUNT);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried-out"}, "spec": spec});
    let pod = serde_json::from_value(pod).map_err(kube::Error::SerdeError)?;
    let parameters = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    api.create(&parameters, &pod).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_found_wherever_they_stand_and_each_wrong_differs() {
        let pod = json!({"containers": [{"name": "a", "securityContext": {"capabilities": {"drop": ["ALL"]}}}],
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}});
        let tree = json!([{"kind": "Service", "spec": {"ports": []}}, {"kind": "Job", "spec": {"template": {"spec": pod}}}, {"spec": pod}]);
        assert_eq!(specs(&tree), [pod.clone(), pod.clone()]);
        for (what, wrong) in wrongs(&pod) {
            assert_ne!(wrong, pod, "{what}");
        }
    }
}
