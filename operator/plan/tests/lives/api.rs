//! What the spec and the administrator's configuration can say, and what comes of it. No network.

use kube::ResourceExt;
use medallion_crds::pipeline::StageState;
use medallion_crds::{Reason, Stage};
use rstest::rstest;
use serde_json::json;

use crate::world::{Outcome, Step, World};
use crate::{YAML, attempt, happens, started};

fn replicas(world: &World, worker: &str) -> Option<i32> {
    let deployment = world.observed.deployment(&format!("purchase-orders-{worker}"));
    deployment
        .expect("a Deployment")
        .spec
        .as_ref()
        .expect("a spec")
        .replicas
}

#[test]
fn suspending_bronze_pauses_persist_and_shows_what_is_used_of_the_stream() {
    let mut world = started();
    happens(&mut world, Step::Spec(json!({"stages": {"bronze": {"suspend": true}}})));
    assert_eq!(
        (replicas(&world, "exporter"), replicas(&world, "consumer")),
        (Some(0), Some(0))
    );
    assert_eq!(replicas(&world, "gateway"), Some(2), "events are still taken");
    happens(&mut world, Step::WorkersReady);
    for stage in [Stage::Persist, Stage::Bronze] {
        assert_eq!(world.stage(stage).state, StageState::Suspended);
    }
    assert_eq!(world.condition("Ready").0, "True", "{:?}", world.condition("Ready"));
    assert_eq!(
        world.condition("Healthy").1,
        "Suspended",
        "{:?}",
        world.condition("Healthy")
    );

    happens(&mut world, Step::Pass(6 * 3600));
    let used = world.stage(Stage::Bronze).retention.unwrap();
    assert_eq!((used.used_seconds, used.of_seconds), (21_600, 86_400));
    happens(&mut world, Step::Pass(14 * 3600));
    assert_eq!(world.condition("Healthy").1, "RetentionAtRisk");

    happens(
        &mut world,
        Step::Spec(json!({"stages": {"bronze": {"suspend": false}}})),
    );
    happens(&mut world, Step::WorkersReady);
    assert_eq!(
        (replicas(&world, "exporter"), replicas(&world, "consumer")),
        (Some(1), Some(2))
    );
    assert_eq!(world.condition("Healthy").0, "True", "{:?}", world.condition("Healthy"));
}

/// A new pod of a stage that cannot get at its source knows nothing, whatever the one before it knew.
#[rstest]
#[case::what_waited_was_known(true)]
#[case::nothing_waited_yet(false)]
fn a_blocked_bronze_that_is_started_anew_still_shows_what_is_used_of_the_stream(#[case] waited: bool) {
    let mut world = started();
    let since = world.now;
    let said = |world: &mut World, lag: Option<i64>, oldest: Option<jiff::Timestamp>| {
        let uid = world.pods_of(Stage::Bronze)[0].uid().expect("a uid");
        let work = &mut world.observed.progress.get_mut(&uid).expect("progress").work;
        (work.lag, work.oldest_pending_time) = (lag, oldest);
    };
    if waited {
        said(&mut world, Some(5), Some(since));
        world.settle();
        happens(&mut world, Step::Pass(3600));
    }
    world.step(Step::WorkersReady);
    said(&mut world, None, None);
    // It has begun, and has not yet come to what is in its way.
    world.settle();
    let oldest = world.stage(Stage::Bronze).oldest_pending_time;
    assert_eq!(oldest.map(|time| time.0), waited.then_some(since));
    happens(
        &mut world,
        Step::Trouble {
            stage: Stage::Bronze,
            loss_risk: false,
            reason: Reason::LakeUnavailable,
        },
    );
    happens(&mut world, Step::Pass(20 * 3600));
    let used = world.stage(Stage::Bronze).retention.expect("it is shown");
    assert!(used.used_seconds >= 71_000 && used.of_seconds == 86_400, "{used:?}");
    assert_eq!(world.condition("Healthy").1, "RetentionAtRisk");

    said(&mut world, Some(0), None);
    world.settle();
    let bronze = world.stage(Stage::Bronze);
    assert_eq!(
        (bronze.oldest_pending_time, bronze.retention),
        (None, None),
        "all is read"
    );
}

/// What pauses needs nothing that may be missing.
#[rstest]
#[case::no_topic(vec![
    Step::Spec(json!({"kafka": {"bootstrapServers": ["kafka-2:9092"]}})),
    Step::Missing(vec!["Topic/purchase_orders".to_owned()]),
])]
#[case::another_image(vec![Step::Configured(json!({"images": {"workers": "medallion:2"}}))])]
fn a_stage_pauses_although_what_it_needs_is_not_there(#[case] before: Vec<Step>) {
    let pause =
        |suspend: bool| Step::Spec(json!({"stages": {"ingest": {"suspend": suspend}, "bronze": {"suspend": suspend}}}));
    let mut world = started();
    for step in before {
        happens(&mut world, step);
    }
    happens(&mut world, pause(true));
    for (stage, worker) in [
        (Stage::Ingest, "gateway"),
        (Stage::Persist, "consumer"),
        (Stage::Bronze, "exporter"),
    ] {
        assert_eq!(replicas(&world, worker), Some(0), "{worker}");
        assert_eq!(world.stage(stage).state, StageState::Suspended, "{worker}");
    }

    happens(&mut world, pause(false));
    let ingest = world.stage(Stage::Ingest);
    assert_eq!(
        (ingest.state, replicas(&world, "gateway")),
        (StageState::Pending, Some(0))
    );
    assert_ne!(ingest.reason, Some(Reason::Starting), "it says what it waits for");
    happens(&mut world, Step::Pass(60));
    happens(&mut world, Step::Provisioned);
    assert_eq!(replicas(&world, "gateway"), Some(2));
}

#[test]
fn a_stage_pauses_although_the_contract_is_not_there() {
    let mut world = started();
    happens(&mut world, Step::ContractMissing);
    happens(&mut world, Step::Spec(json!({"stages": {"bronze": {"suspend": true}}})));
    for worker in ["consumer", "exporter"] {
        let deployment = world.observed.deployment(&format!("purchase-orders-{worker}"));
        assert!(deployment.is_none(), "{worker}");
    }
    assert_eq!(replicas(&world, "gateway"), Some(2), "it does not pause");
    let bronze = world.stage(Stage::Bronze);
    assert_eq!(
        (bronze.state, bronze.reason),
        (StageState::Pending, Some(Reason::DependenciesMissing))
    );

    happens(&mut world, Step::ContractFound);
    assert_eq!(replicas(&world, "exporter"), Some(0));
    assert_eq!(world.stage(Stage::Bronze).state, StageState::Suspended);
}

/// Nothing can be made of what is refused, but what works can go.
#[rstest]
#[case::an_adoption_that_nobody_can_read(Step::Adopt("everything".to_owned()))]
#[case::beyond_the_limits_of_the_namespace(Step::Configured(json!({"limits": []})))]
#[case::no_such_size_for_the_provisioner(Step::Spec(json!({"provisioner": {"size": "huge"}})))]
#[case::no_such_size_for_the_stage(Step::Spec(json!({"stages": {"bronze": {"size": "huge"}}})))]
fn a_stage_pauses_although_the_pipeline_is_refused(#[case] refused: Step) {
    let works = |world: &World, worker: &str| {
        let found = world.observed.deployment(&format!("purchase-orders-{worker}"));
        found.is_some() && replicas(world, worker) != Some(0)
    };
    let mut world = started();
    happens(&mut world, refused);
    assert_eq!(world.stage(Stage::Bronze).state, StageState::Blocked);
    for worker in ["consumer", "exporter"] {
        assert!(works(&world, worker), "{worker}: what stands goes on");
    }
    happens(&mut world, Step::Spec(json!({"stages": {"bronze": {"suspend": true}}})));
    for worker in ["consumer", "exporter"] {
        assert!(!works(&world, worker), "{worker}");
    }
    assert!(works(&world, "gateway"), "it does not pause");
    let bronze = world.stage(Stage::Bronze);
    assert_eq!(bronze.state, StageState::Blocked, "it still says what is wrong");
}

#[test]
fn a_stage_is_suspended_once_no_pod_of_it_is_wanted() {
    let mut world = started();
    world.step(Step::Spec(json!({"stages": {"ingest": {"suspend": true}}})));
    let state = |world: &World| {
        let status = world.plan().status.unwrap();
        status
            .stages
            .iter()
            .find(|one| one.name == Stage::Ingest)
            .unwrap()
            .state
    };
    assert_eq!(state(&world), StageState::Running);
    world.settle();
    assert_eq!(state(&world), StageState::Suspended);
}

/// Whoever takes the gateway out wants no more events, whatever becomes of the other stages.
#[rstest]
#[case::another_starts(Step::PodsWait { stage: Stage::Persist, event: "secret \"kafka-ca\" not found".to_owned() })]
#[case::no_contract(Step::ContractMissing)]
#[case::another_image(Step::Configured(json!({"images": {"workers": "medallion:2"}})))]
#[case::a_fault(Step::Spec(json!({"stages": {"gold": {"size": "huge"}}})))]
#[case::refused(Step::Adopt("everything".to_owned()))]
fn a_stage_that_is_taken_out_ends_although_something_else_is_not_well(#[case] trouble: Step) {
    let mut world = started();
    happens(&mut world, trouble);
    happens(&mut world, Step::Spec(json!({"stages": {"ingest": null}})));
    assert!(world.plan().keep.is_none(), "what others may need still stays");
    assert!(world.observed.deployment("purchase-orders-gateway").is_none());
    for kind in ["Deployment", "Service", "PodDisruptionBudget"] {
        let child = format!("{kind}/purchase-orders-gateway");
        assert!(!world.children.contains(&child), "{child}");
    }
    assert_eq!(replicas(&world, "consumer"), Some(2));
}

#[test]
fn a_suspended_batch_stage_alone_starts_no_runs_and_holds_up_no_request() {
    let mut world = started();
    happens(&mut world, Step::Spec(json!({"stages": {"gold": {"suspend": true}}})));
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert!(world.runs(Stage::Gold).is_empty());
    assert_eq!(world.stage(Stage::Gold).state, StageState::Suspended);
    happens(&mut world, Step::Pass(3600));
    assert_eq!(world.condition("Healthy").0, "True", "{:?}", world.condition("Healthy"));
    happens(&mut world, Step::RequestedAt("now".to_owned()));
    happens(&mut world, attempt(Stage::Silver, Outcome::AlreadyCommitted));
    let status = world.pipeline.status.clone().unwrap();
    assert_eq!(status.last_handled_requested_at.as_deref(), Some("now"));
    happens(&mut world, Step::Spec(json!({"stages": {"gold": {"suspend": false}}})));
    assert_eq!(world.runs(Stage::Gold).len(), 1, "and takes up what has come meanwhile");
}

/// Whether the run before went well or not.
#[rstest]
fn each_batch_stage_keeps_its_minimal_interval(
    #[values(Stage::Silver, Stage::Gold, Stage::Warehouse)] stage: Stage,
    #[values(Outcome::Succeeded, Outcome::RecordError)] first: Outcome,
) {
    let mut world = started();
    let wish = json!({"stages": {(stage.as_str()): {"minIntervalSeconds": 200, "retry": {"backoffSeconds": 1}}}});
    happens(&mut world, Step::Spec(wish));
    for version in [3, 4] {
        happens(&mut world, Step::Bronze(version));
        for one in Stage::BATCH {
            let outcome = if one == stage { first } else { Outcome::Succeeded };
            happens(&mut world, attempt(one, outcome));
        }
        assert_eq!(world.runs(stage).len(), 1, "version {version}");
        happens(&mut world, Step::Pass(60));
    }
    happens(&mut world, Step::Pass(79));
    assert_eq!(world.runs(stage).len(), 1);
    happens(&mut world, Step::Pass(1));
    assert_eq!(world.runs(stage).len(), 2);
}

#[test]
fn a_size_is_a_class_of_the_configuration_or_is_refused_in_words() {
    let mut world = World::new(YAML);
    let big = json!({"sizes": {"large": {
        "resources": {"limits": {"memory": "8Gi"}}, "nodeSelector": {"pool": "big"},
        "dbt": {"memoryBytes": 6_442_450_944_i64, "threads": 4},
    }}});
    world.step(Step::Configured(big));
    world.start_from(json!({"stages": {"silver": {"size": "large"}, "gold": {"size": "huge"}}}));
    for step in [Step::Settle, Step::Provisioned, Step::WorkersReady, Step::Bronze(3)] {
        happens(&mut world, step);
    }
    let spec = world.active_job(Stage::Silver).unwrap().spec.clone().unwrap();
    let pod = spec.template.spec.unwrap();
    assert_eq!(pod.node_selector.unwrap()["pool"], "big");
    let limits = pod.containers[0].resources.clone().unwrap().limits.unwrap();
    assert_eq!(limits["memory"].0, "8Gi");

    let (status, reason, message) = world.condition("Accepted");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "SizeNotAllowed"));
    assert!(
        message.contains("spec.stages.gold.size") && message.contains("large, small"),
        "{message}"
    );
    assert_eq!(world.stage(Stage::Gold).state, StageState::Blocked);
}

#[test]
fn what_the_limits_of_a_namespace_do_not_allow_is_all_named_and_nothing_is_made() {
    let limits = |namespaces: &str| {
        json!({"limits": [{"namespaces": [namespaces], "topics": ["orders*"], "buckets": ["shop-*"], "schemas": ["gold"],
            "roles": ["arn:aws:iam::*:role/other-*"], "brokers": ["kafka:*"]}]})
    };
    let mut world = World::new(YAML);
    world.step(Step::Configured(limits("sh*")));
    world.settle();
    let (status, reason, message) = world.condition("Accepted");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "NotAllowedInNamespace"));
    for named in [
        "spec.kafka.topic: purchase_orders",
        "spec.kafka.deadLetterTopic",
        "copyRoleArn",
    ] {
        assert!(message.contains(named), "{named}: {message}");
    }
    assert!(
        !message.contains("bucket") && !message.contains("bootstrapServers"),
        "{message}"
    );
    assert!(world.children.is_empty() && world.observed.jobs.is_empty());
    assert_eq!(world.condition("Stalled").0, "True");

    world.step(Step::Configured(limits("other")));
    world.settle();
    let (_, _, message) = world.condition("Accepted");
    assert!(
        message.contains("no entry of the Helm value limits names namespace shop"),
        "{message}"
    );

    world.config.limits = None;
    world.settle();
    assert_eq!(world.condition("Accepted").0, "True");
    assert!(!world.observed.jobs.is_empty());
}

#[test]
fn what_may_be_taken_over_reaches_the_workers_or_is_refused_in_words() {
    let mut world = World::new(YAML);
    let values = " gold.orders,there/shop/purchase-orders , gold.orders".to_owned();
    happens(&mut world, Step::Adopt(values));
    assert!(world.plan().create_jobs.is_empty(), "the Job stands already");
    happens(&mut world, Step::Provisioned);
    let job = &world.plan().children.iter().find_map(|child| match child {
        medallion_plan::Child::ConfigMap(map) if map.name_any().contains("exporter") => map.data.clone(),
        _ => None,
    });
    let text = &job.as_ref().unwrap()["settings.json"];
    let settings: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(settings["adopt"], json!(["gold.orders", "there/shop/purchase-orders"]));
    assert_eq!(settings["pipeline"]["installation"], "here");

    happens(&mut world, Step::Adopt("everything".to_owned()));
    assert_eq!(world.condition("Accepted").1, "AdoptionNotReadable");
}

#[test]
fn the_group_and_the_owner_stand_in_status() {
    let mut world = started();
    let status = world.pipeline.status.clone().unwrap();
    assert_eq!(status.owner.as_deref(), Some("here/shop/purchase-orders"));
    let kafka = status.kafka.unwrap();
    assert_eq!(kafka.consumer_group, "medallion.here.shop.purchase-orders");
    happens(
        &mut world,
        Step::Retention {
            stage: Stage::Persist,
            used_seconds: 600_000,
            of_seconds: 604_800,
        },
    );
    assert_eq!(world.condition("Healthy").1, "RetentionAtRisk");
}
