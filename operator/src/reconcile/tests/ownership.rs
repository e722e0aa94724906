//! Whose objects are: what is somebody's is neither touched nor used, and is named at once. No network.

use std::time::Duration;

use medallion_crds::labels;
use medallion_plan::{Child, Plan};
use rstest::rstest;
use serde_json::json;

use super::operator::{Operator, children, foreign};
use crate::failure::Failure;
use crate::reconcile::apply::Outcome;
use crate::watch::child_kinds::KINDS;

#[tokio::test]
async fn objects_of_others_are_never_touched_whatever_their_kind_and_all_are_named_at_once() {
    let mut operator = Operator::new();
    let before: Vec<_> = KINDS
        .iter()
        .map(|kind| {
            let plural = (kind.resource)().plural;
            (plural.clone(), operator.world.server.put(&plural, foreign(kind.name)))
        })
        .collect();
    let job = operator.world.server.put("jobs", foreign("Job"));
    let plan = Plan {
        children: operator.children(),
        create_jobs: vec![operator.job()],
        keep: Some(std::collections::BTreeSet::new()),
        ..Plan::default()
    };
    let outcome = operator.apply(&plan).await;
    for (plural, object) in before {
        let name = object["metadata"]["name"].as_str().unwrap();
        assert_eq!(
            operator.world.server.get(&plural, name),
            Some(object.clone()),
            "{plural}"
        );
    }
    assert_eq!(operator.world.server.get("jobs", "orders-job"), Some(job));
    let taken: Vec<_> = outcome
        .failures
        .iter()
        .filter(|failure| matches!(failure, Failure::Taken { .. }))
        .collect();
    assert_eq!(taken.len(), 6, "each child, and the Job: {:?}", outcome.failures);
}

#[rstest]
#[case::account("ServiceAccount", "serviceaccounts")]
#[case::settings("ConfigMap", "configmaps")]
#[tokio::test]
async fn nothing_is_made_that_runs_as_or_mounts_what_is_somebodys(#[case] kind: &'static str, #[case] plural: &str) {
    let mut operator = Operator::new();
    let theirs = operator.world.server.put(plural, foreign(kind));
    let name = theirs["metadata"]["name"].as_str().unwrap().to_owned();
    let plan = operator.users(1);
    let workloads = [("deployments", "orders-deployment"), ("jobs", "orders-job")];
    for _ in 0..3 {
        let outcome = operator.apply(&plan).await;
        let taken = Failure::Taken {
            kind,
            name: name.clone(),
        };
        assert_eq!(outcome.failures, [taken]);
        assert!(outcome.again.is_some(), "it is looked at again");
        for (plural, name) in workloads {
            assert!(operator.world.server.get(plural, name).is_none(), "{name}");
        }
    }
    assert!(operator.world.server.get("services", "orders-service").is_some());

    operator.world.server.remove(plural, &name);
    operator.passed += Duration::from_millis(550);
    assert!(operator.apply(&plan).await.failures.is_empty());
    for (plural, name) in workloads {
        assert!(operator.world.server.get(plural, name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_made_yet_is_named_too_when_its_name_is_somebodys() {
    let mut operator = Operator::new();
    for (plural, kind) in [
        ("serviceaccounts", "ServiceAccount"),
        ("deployments", "Deployment"),
        ("jobs", "Job"),
        ("services", "Service"),
    ] {
        operator.world.server.put(plural, foreign(kind));
    }
    let mut plan = operator.users(1);
    (plan.later, plan.children) = plan.children.into_iter().partition(|child| child.kind() == "Service");
    let kinds = |outcome: &Outcome| -> Vec<_> {
        let mut kinds: Vec<_> = outcome
            .failures
            .iter()
            .map(|failure| match failure {
                Failure::Taken { kind, .. } => *kind,
                other => panic!("{other:?}"),
            })
            .collect();
        kinds.sort_unstable();
        kinds
    };
    let all = ["Deployment", "Job", "Service", "ServiceAccount"];
    assert_eq!(kinds(&operator.apply(&plan).await), all);
    operator.world.server.requests();
    assert_eq!(kinds(&operator.apply(&plan).await), all, "each time");
    assert!(operator.world.server.requests().is_empty(), "no hurry");

    operator.world.server.remove("services", "orders-service");
    operator.passed += Duration::from_millis(550);
    assert_eq!(
        kinds(&operator.apply(&plan).await),
        ["Deployment", "Job", "ServiceAccount"]
    );
    assert!(
        operator.world.server.get("services", "orders-service").is_none(),
        "it was only looked at"
    );
}

#[tokio::test]
async fn what_stands_is_not_changed_while_its_account_is_somebodys_but_may_pause() {
    let mut operator = Operator::new();
    let plan = operator.users(1);
    for _ in 0..2 {
        operator.apply(&plan).await;
        operator.world.watch();
    }
    operator.world.server.remove("serviceaccounts", "orders-serviceaccount");
    operator.world.server.put("serviceaccounts", foreign("ServiceAccount"));
    operator.world.watch();
    for (wanted, stands) in [(2, 1), (0, 0)] {
        let plan = operator.users(wanted);
        let outcome = operator.apply(&plan).await;
        assert!(!outcome.failures.is_empty());
        let object = operator.world.server.get("deployments", "orders-deployment").unwrap();
        assert_eq!(object["spec"]["replicas"], stands, "{wanted} are wanted");
    }
}

#[tokio::test]
async fn an_object_with_our_labels_but_another_owner_is_not_ours() {
    let mut operator = Operator::new();
    let mut theirs = foreign("Service");
    theirs["metadata"]["labels"] = json!({labels::PIPELINE: "orders", labels::MANAGED_BY: labels::MANAGER});
    let theirs = operator.world.server.put("services", theirs);
    operator.world.watch();
    let outcome = operator.apply(&children(operator.children())).await;
    assert!(matches!(outcome.failures[..], [Failure::Taken { kind: "Service", .. }]));
    assert_eq!(operator.world.server.get("services", "orders-service"), Some(theirs));
}

#[tokio::test]
async fn the_object_of_an_earlier_pipeline_is_waited_for() {
    let mut operator = Operator::new();
    let mut old = foreign("Service");
    old["metadata"]["ownerReferences"] = operator.owner();
    old["metadata"]["ownerReferences"][0]["uid"] = json!("an-earlier-life");
    operator.world.server.put("services", old);
    let outcome = operator.apply(&children(operator.children())).await;
    assert!(matches!(outcome.failures[..], [Failure::Leaving { .. }]));
    assert_eq!(outcome.again, Some(Duration::from_secs(1)));
    operator.world.server.remove("services", "orders-service");
    operator.passed += Duration::from_millis(1050);
    let outcome = operator.apply(&children(operator.children())).await;
    assert!(outcome.failures.is_empty());
    assert!(operator.world.server.get("services", "orders-service").is_some());
}

#[tokio::test]
async fn another_object_in_place_of_ours_is_not_written_over() {
    let mut operator = Operator::new();
    let plan = children(operator.children());
    operator.apply(&plan).await;
    operator.world.watch();
    // Deleted and made by somebody else, which the watch has not shown.
    operator.world.server.remove("deployments", "orders-deployment");
    let theirs = operator.world.server.put("deployments", foreign("Deployment"));
    let changed = children(vec![Child::Deployment(Box::new(operator.deployment(2)))]);
    let outcome = operator.apply(&changed).await;
    assert_eq!(
        operator.world.server.get("deployments", "orders-deployment"),
        Some(theirs)
    );
    assert!(outcome.has_moved, "the next picture decides");
}
