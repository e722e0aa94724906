//! How objects are written: ownership, conflicts, drift, back-off. No network.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use medallion_crds::labels;
use medallion_plan::{Child, Plan, PlannedJob};
use rstest::rstest;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::world::World;
use crate::cache::Cache;
use crate::failure::Failure;
use crate::mock::NO_ANSWER;
use crate::reconcile::apply::{Applier, Outcome};
use crate::reconcile::children::{Step, WRITTEN, Wanted};
use crate::watch::child_kinds::KINDS;
use crate::watch::room::Room;

/// Looks and writes of one operator, which remembers what it wrote.
pub(super) struct Operator {
    pub world: World,
    pub cache: Cache,
}

impl Operator {
    pub fn new() -> Self {
        let world = World::new();
        world.server.requests();
        Self {
            world,
            cache: Cache::default(),
        }
    }

    /// Carries a plan out.
    pub async fn apply(&mut self, plan: &Plan) -> Outcome {
        let pipeline = self.world.validated();
        let room = self.world.context.index.room(&self.world.key).unwrap_or_default();
        let mut applier = Applier {
            context: &self.world.context,
            room: &room,
            pipeline: &pipeline,
            cache: &mut self.cache,
            outcome: Outcome::default(),
        };
        applier.apply(plan).await.unwrap();
        applier.outcome
    }

    fn room(&self) -> Room {
        self.world.context.index.room(&self.world.key).unwrap_or_default()
    }

    fn owner(&self) -> Value {
        let pipeline = self.world.pipeline();
        json!([{
            "apiVersion": "medallion.dev/v1alpha1", "kind": "Pipeline", "name": "orders",
            "uid": pipeline.metadata.uid, "controller": true,
        }])
    }

    /// One child of each kind.
    fn children(&self) -> Vec<Child> {
        vec![
            Child::ServiceAccount(self.object("ServiceAccount", "v1", &Value::Null)),
            Child::ConfigMap(self.object("ConfigMap", "v1", &Value::Null)),
            Child::Service(Box::new(self.object(
                "Service",
                "v1",
                &json!({"ports": [{"port": 80}]}),
            ))),
            Child::PodDisruptionBudget(Box::new(self.object("PodDisruptionBudget", "policy/v1", &Value::Null))),
            Child::Deployment(Box::new(self.deployment(1))),
        ]
    }

    fn deployment(&self, replicas: i32) -> Deployment {
        let spec = json!({"replicas": replicas, "selector": {}, "template": {}});
        self.object("Deployment", "apps/v1", &spec)
    }

    /// A Deployment that runs as the account and mounts the settings, before both of them, and a Job that does so too.
    fn users(&self, replicas: i32) -> Plan {
        let template = json!({"spec": {
            "serviceAccountName": "orders-serviceaccount",
            "containers": [],
            "volumes": [{"name": "settings", "configMap": {"name": "orders-configmap"}}],
        }});
        let spec = json!({"replicas": replicas, "selector": {}, "template": template});
        let mut children = self.children();
        children.pop();
        children.insert(
            0,
            Child::Deployment(Box::new(self.object("Deployment", "apps/v1", &spec))),
        );
        Plan {
            children,
            create_jobs: vec![PlannedJob {
                job: Box::new(self.object::<Job>("Job", "batch/v1", &json!({"template": template}))),
                ..self.job()
            }],
            ..Plan::default()
        }
    }

    fn object<K: DeserializeOwned>(&self, kind: &str, version: &str, spec: &Value) -> K {
        let mut object = json!({
            "apiVersion": version, "kind": kind,
            "metadata": {
                "name": format!("orders-{}", kind.to_lowercase()),
                "namespace": "shop",
                "labels": {labels::PIPELINE: "orders", labels::MANAGED_BY: labels::MANAGER},
                "annotations": {labels::PLANNED_HASH: "planned"},
                "ownerReferences": self.owner(),
            },
        });
        if !spec.is_null() {
            object["spec"] = spec.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    fn job(&self) -> PlannedJob {
        PlannedJob {
            settings: self.object("ConfigMap", "v1", &Value::Null),
            job: Box::new(self.object::<Job>("Job", "batch/v1", &json!({"template": {}}))),
        }
    }
}

fn children(children: Vec<Child>) -> Plan {
    Plan {
        children,
        ..Plan::default()
    }
}

/// Somebody's object, without any label of ours.
fn foreign(kind: &str) -> Value {
    json!({"metadata": {"name": format!("orders-{}", kind.to_lowercase())}, "spec": {"theirs": true}})
}

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
    assert_eq!(
        taken.len(),
        6,
        "each child, whose settings are the Job's too, and the Job: {:?}",
        outcome.failures
    );
}

#[tokio::test]
async fn settings_of_an_attempt_that_are_somebodys_are_not_taken_over() {
    let mut operator = Operator::new();
    let theirs = operator.world.server.put("configmaps", foreign("ConfigMap"));
    let plan = Plan {
        create_jobs: vec![operator.job()],
        ..Plan::default()
    };
    let outcome = operator.apply(&plan).await;
    assert_eq!(
        operator.world.server.get("configmaps", "orders-configmap"),
        Some(theirs)
    );
    assert!(
        operator.world.server.get("jobs", "orders-job").is_none(),
        "no Job mounts them"
    );
    assert!(matches!(outcome.failures[0], Failure::Taken { kind: "ConfigMap", .. }));
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
    tokio::time::sleep(Duration::from_millis(550)).await;
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
    tokio::time::sleep(Duration::from_millis(550)).await;
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
    tokio::time::sleep(Duration::from_millis(1050)).await;
    let outcome = operator.apply(&children(operator.children())).await;
    assert!(outcome.failures.is_empty());
    assert!(operator.world.server.get("services", "orders-service").is_some());
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
    assert!(outcome.again.is_some(), "the next picture decides");
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
async fn what_is_refused_is_tried_again_after_its_own_time_however_often_the_pipeline_is_looked_at() {
    let mut operator = Operator::new();
    let plan = Plan {
        children: operator.children(),
        create_jobs: vec![operator.job()],
        ..Plan::default()
    };
    operator.world.server.refuse("POST services", 403);
    let mut tries = 0;
    for _ in 0..20 {
        let outcome = operator.apply(&plan).await;
        assert_eq!(outcome.failures.len(), 1, "it is said all the time");
        let requests = operator.world.server.requests();
        tries += requests.iter().filter(|line| line.starts_with("POST services")).count();
    }
    assert_eq!(tries, 1, "no hurry");
    assert!(
        operator.world.server.get("jobs", "orders-job").is_some(),
        "others are made"
    );
    operator.world.server.refuse("POST services", 0);
    tokio::time::sleep(Duration::from_millis(550)).await;
    assert!(operator.apply(&plan).await.failures.is_empty());
}

#[rstest]
#[case::too_busy("POST", 503, 1)]
#[case::silent("", NO_ANSWER, 2)]
#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_work_is_not_asked_for_the_rest(
    #[case] refused: &str,
    #[case] code: u16,
    #[case] asked: usize,
) {
    let operator = Operator::new();
    operator.world.server.refuse(refused, code);
    let pipeline = operator.world.validated();
    let mut cache = Cache::default();
    let room = operator.room();
    let mut applier = Applier {
        context: &operator.world.context,
        room: &room,
        pipeline: &pipeline,
        cache: &mut cache,
        outcome: Outcome::default(),
    };
    assert!(applier.apply(&children(operator.children())).await.is_err());
    assert_eq!(operator.world.server.requests().len(), asked);
}

#[tokio::test]
async fn one_kind_whose_webhook_fails_does_not_keep_the_rest_from_being_made() {
    let mut operator = Operator::new();
    operator.world.server.refuse("POST services", 500);
    let plan = Plan {
        children: operator.children(),
        create_jobs: vec![operator.job()],
        ..Plan::default()
    };
    let outcome = operator.apply(&plan).await;
    assert!(
        matches!(outcome.failures[..], [Failure::Refused(_)]),
        "{:?}",
        outcome.failures
    );
    assert!(outcome.again.is_some(), "it is tried again");
    for (plural, name) in [("deployments", "orders-deployment"), ("jobs", "orders-job")] {
        assert!(operator.world.server.get(plural, name).is_some(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_kind_whose_webhook_never_answers_does_not_keep_the_rest_from_being_made_either() {
    let mut operator = Operator::new();
    operator.world.server.refuse("POST services", NO_ANSWER);
    let plan = Plan {
        children: operator.children(),
        create_jobs: vec![operator.job()],
        ..Plan::default()
    };
    let outcome = operator.apply(&plan).await;
    let [Failure::Refused(words)] = &outcome.failures[..] else {
        panic!("{:?}", outcome.failures)
    };
    assert!(words.contains("no answer") && words.contains("webhooks"), "{words}");
    assert!(outcome.again.is_some(), "it is tried again");
    for (plural, name) in [("deployments", "orders-deployment"), ("jobs", "orders-job")] {
        assert!(operator.world.server.get(plural, name).is_some(), "{name}");
    }
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
