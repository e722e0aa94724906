//! How objects are written: once, put right when somebody changes them, removed when they are no longer planned. No network.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use medallion_crds::labels;
use medallion_plan::{Child, Plan};
use rstest::rstest;
use serde_json::{Value, json};

use super::operator::{Operator, children, foreign};
use crate::cache::Cache;
use crate::reconcile::children::{Step, WRITTEN, Wanted};
use crate::watch::child_kinds::KINDS;

#[tokio::test]
async fn what_is_planned_is_made_once_and_then_left_alone() {
    let mut operator = Operator::new();
    let plan = children(operator.children());
    let outcome = operator.apply(&plan).await;
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    let made: Vec<_> = operator.world.server.writes();
    assert_eq!(made.len(), 5, "{made:?}");
    assert!(made.iter().all(|line| line.starts_with("POST")), "{made:?}");
    operator.apply(&plan).await;
    assert!(
        operator.world.server.writes().is_empty(),
        "the watch has not shown them yet"
    );
    operator.world.watch();
    operator.apply(&plan).await;
    assert!(operator.world.server.writes().is_empty(), "it has");
}

#[tokio::test]
async fn an_operator_that_is_started_anew_writes_nothing_that_stands() {
    let mut operator = Operator::new();
    let plan = children(operator.children());
    operator.apply(&plan).await;
    operator.world.watch();
    operator.cache = Cache::default();
    operator.world.server.requests();
    operator.apply(&plan).await;
    assert!(operator.world.server.writes().is_empty());
}

#[rstest]
#[case::label("labels", "medallion.dev/pipeline")]
#[case::manager("labels", "app.kubernetes.io/managed-by")]
#[case::planned_hash("annotations", "medallion.dev/planned-hash")]
#[case::own_hash("annotations", WRITTEN)]
#[tokio::test]
async fn metadata_that_somebody_removed_comes_back(#[case] part: &str, #[case] key: &str) {
    for kind in &KINDS {
        let mut operator = Operator::new();
        let plan = children(operator.children());
        operator.apply(&plan).await;
        operator.world.watch();
        operator.apply(&plan).await;
        let (plural, name) = ((kind.resource)().plural, format!("orders-{}", kind.name.to_lowercase()));
        operator.world.server.edit(&plural, &name, |object| {
            object["metadata"][part].as_object_mut().unwrap().remove(key);
        });
        operator.world.watch();
        operator.world.server.requests();
        let outcome = operator.apply(&plan).await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        let object = operator.world.server.get(&plural, &name).unwrap();
        assert!(!object["metadata"][part][key].is_null(), "{} {key}", kind.name);
    }
}

#[tokio::test]
async fn a_changed_spec_is_put_right_and_so_is_one_that_was_changed_while_nobody_looked() {
    let mut operator = Operator::new();
    let plan = children(operator.children());
    operator.apply(&plan).await;
    operator.world.watch();
    let ways = [("kubectl-edit", None), ("kubectl", Some("scale"))];
    for (started_anew, (manager, subresource)) in [false, true].into_iter().flat_map(|anew| ways.map(|way| (anew, way)))
    {
        operator
            .world
            .server
            .edit("deployments", "orders-deployment", |object| {
                object["spec"]["replicas"] = json!(7);
                object["metadata"]["generation"] = json!(object["metadata"]["generation"].as_i64().unwrap() + 1);
                // By nobody else: each way is enough by itself.
                let writers = object["metadata"]["managedFields"].as_array_mut().unwrap();
                writers.retain(|writer| writer["manager"] == labels::MANAGER);
                writers.push(json!({
                    "manager": manager, "operation": "Update", "subresource": subresource,
                    "fieldsV1": {"f:spec": {"f:replicas": {}}},
                }));
            });
        operator.world.watch();
        if started_anew {
            operator.cache = Cache::default();
        }
        operator.apply(&plan).await;
        operator.world.watch();
        let object = operator.world.server.get("deployments", "orders-deployment").unwrap();
        assert_eq!(
            object["spec"]["replicas"], 1,
            "by {manager}, started anew: {started_anew}"
        );
        operator.world.server.requests();
        operator.apply(&plan).await;
        assert!(operator.world.server.writes().is_empty(), "once");
    }
}

#[tokio::test]
async fn a_change_takes_over_the_fields_of_the_create_so_that_what_is_no_longer_planned_goes() {
    let mut operator = Operator::new();
    let plan = children(operator.children());
    operator.apply(&plan).await;
    operator.world.watch();
    let changed = children(vec![Child::Deployment(Box::new(operator.deployment(2)))]);
    operator.world.server.requests();
    operator.apply(&changed).await;
    let object = operator.world.server.get("deployments", "orders-deployment").unwrap();
    assert_eq!(object["spec"]["replicas"], 2);
    assert_eq!(object["metadata"]["managedFields"][0]["operation"], "Apply");
}

#[tokio::test]
async fn a_child_that_was_made_and_deleted_while_its_watch_was_down_is_made_again() {
    let operator = Operator::new();
    let child = &operator.children()[2];
    let wanted = Wanted::new(child.kind(), child.metadata(), child).unwrap();
    let now = Instant::now();
    let answer = wanted
        .create(&operator.world.context.client)
        .await
        .map_err(|_| ())
        .unwrap();
    let written = wanted.written(&answer, None, now);
    let step = |after| {
        wanted
            .step(None, Some(&written), now + Duration::from_secs(after))
            .unwrap()
    };
    assert_eq!(step(1), Step::Nothing, "the watch may be late");
    assert_eq!(step(31), Step::Create, "but not for ever");
}

#[tokio::test]
async fn what_is_no_longer_planned_goes_and_what_is_not_ours_stays() {
    let mut operator = Operator::new();
    let plan = children(operator.children());
    operator.apply(&plan).await;
    let mut theirs = foreign("other");
    theirs["metadata"]["labels"] = json!({labels::PIPELINE: "orders", labels::MANAGED_BY: labels::MANAGER});
    operator.world.server.put("services", theirs);
    operator.world.watch();
    operator.world.server.requests();
    let kept = children(vec![Child::ServiceAccount(operator.object::<ServiceAccount>(
        "ServiceAccount",
        "v1",
        &Value::Null,
    ))]);
    let kept = Plan {
        keep: Some(["ServiceAccount/orders-serviceaccount".to_owned()].into()),
        ..kept
    };
    operator.apply(&kept).await;
    let removed = operator.world.server.writes();
    assert_eq!(
        removed,
        [
            "DELETE deployments/orders-deployment",
            "DELETE poddisruptionbudgets/orders-poddisruptionbudget",
            "DELETE services/orders-service",
            "DELETE configmaps/orders-configmap",
        ]
    );
    assert!(operator.world.server.get("services", "orders-other").is_some());
}

#[tokio::test]
async fn what_goes_at_once_goes_although_something_else_cannot_be_made() {
    let mut operator = Operator::new();
    let plan = children(operator.children());
    operator.apply(&plan).await;
    operator.world.server.put("jobs", foreign("Job"));
    operator.world.watch();
    operator.world.server.requests();
    let plan = Plan {
        create_jobs: vec![operator.job()],
        keep: Some(std::collections::BTreeSet::new()),
        remove: ["Deployment/orders-deployment".to_owned()].into(),
        ..Plan::default()
    };
    let outcome = operator.apply(&plan).await;
    assert!(!outcome.failures.is_empty(), "the Job's name is somebody's");
    let mut removed = operator.world.server.writes();
    removed.retain(|line| line.starts_with("DELETE"));
    assert_eq!(removed, ["DELETE deployments/orders-deployment"]);
}

#[test]
fn each_kind_of_child_is_in_the_table() {
    fn kind<K: k8s_openapi::Resource>() -> &'static str {
        K::KIND
    }
    let children = [
        kind::<ServiceAccount>(),
        kind::<ConfigMap>(),
        kind::<Service>(),
        kind::<PodDisruptionBudget>(),
        kind::<Deployment>(),
    ];
    for child in children {
        assert!(KINDS.iter().any(|kind| kind.name == child), "{child}");
    }
}
