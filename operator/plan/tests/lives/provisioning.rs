//! What stages wait for, and how changes reach many pipelines. No network.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::DeploymentSpec;
use kube::ResourceExt;
use medallion_crds::pipeline::{DependencyKind, DependencyState, StageState};
use medallion_crds::{Reason, Stage};
use rstest::rstest;
use serde_json::{Value, json};

use crate::world::{Outcome, Step, World};
use crate::{YAML, attempt, happens, started, with_catalog};

fn missing(name: &str) -> Step {
    Step::Missing(vec![name.to_owned()])
}

/// `Kind/name` of what the plan says will stand later.
fn later(world: &World) -> Vec<String> {
    let children = world.plan().later;
    let named = children.iter();
    named
        .map(|child| format!("{}/{}", child.kind(), child.name()))
        .collect()
}

#[test]
fn what_a_stage_begins_with_is_known_before_it_may_begin() {
    let mut world = World::new(YAML);
    world.settle();
    let found = later(&world);
    for child in [
        "Service/purchase-orders-gateway",
        "PodDisruptionBudget/purchase-orders-gateway",
        "Deployment/purchase-orders-exporter",
        "ServiceAccount/purchase-orders-consumer",
        "ServiceAccount/purchase-orders-loader",
    ] {
        assert!(found.iter().any(|name| name == child), "{child}: {found:?}");
    }
    happens(&mut world, Step::Provisioned);
    assert_eq!(later(&world), [""; 0], "it stands");
    happens(
        &mut world,
        Step::Configured(json!({"images": {"workers": "medallion:2"}})),
    );
    let again = later(&world);
    assert!(
        again.iter().all(|name| name.starts_with("ServiceAccount/")),
        "what stands is no beginning: {again:?}"
    );
}

#[test]
fn whether_the_provisioner_fails_is_not_read_from_words_for_people() {
    let mut world = World::new(YAML);
    world.settle();
    world.observed.jobs.clear();
    let stored = world.pipeline.status.as_mut().expect("a status");
    stored.provisioning.as_mut().expect("a try").message = Some("written for people".to_owned());
    let status = world.plan().status.expect("a status");
    let ready = medallion_plan::conditions::find(&status.conditions, "Ready").expect("a condition");
    assert_eq!(ready.reason, "Provisioning", "{}", ready.message);
}

#[test]
fn a_warehouse_that_is_not_there_stops_the_warehouse_alone() {
    let mut world = World::new(YAML);
    world.settle();
    happens(&mut world, missing("Schema/analytics.gold"));
    happens(&mut world, Step::WorkersReady);
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, attempt(Stage::Gold, Outcome::Succeeded));
    assert_eq!(world.stage(Stage::Gold).state, StageState::Idle);
    let warehouse = world.stage(Stage::Warehouse);
    assert_eq!(warehouse.state, StageState::Pending);
    assert!(warehouse.message.unwrap().contains("Schema/analytics.gold"));
    assert_eq!(world.condition("DependenciesReady").0, "False");
    assert_eq!(world.condition("Ready").1, "DependenciesMissing");

    happens(&mut world, Step::Pass(60));
    happens(&mut world, Step::Provisioned);
    assert_eq!(world.runs(Stage::Warehouse).len(), 1, "goes on by itself");
    assert_eq!(world.condition("DependenciesReady").0, "True");
}

#[test]
fn a_topic_that_is_not_there_stops_no_layer() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(
        &mut world,
        Step::Spec(json!({"kafka": {"bootstrapServers": ["kafka-2:9092"]}})),
    );
    happens(&mut world, missing("Topic/purchase_orders"));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert_eq!(world.runs(Stage::Gold).len(), 1);
}

#[test]
fn a_contract_that_is_refused_stops_no_layer_of_what_is_in_bronze() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, attempt(Stage::Gold, Outcome::Succeeded));
    happens(
        &mut world,
        Step::Spec(json!({"kafka": {"bootstrapServers": ["kafka-2:9092"]}})),
    );
    let (name, state) = ("Contract/v1".to_owned(), DependencyState::Differs);
    happens(&mut world, Step::Unmet { name, state });
    assert_eq!(world.condition("DependenciesReady").0, "False");
    happens(&mut world, Step::Pass(60));
    happens(&mut world, Step::Bronze(4));
    assert!(world.active_run(Stage::Silver).is_some());
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert!(world.active_run(Stage::Gold).is_some());

    // All pods mount it, whoever reads it.
    happens(&mut world, Step::ContractMissing);
    let silver = world.stage(Stage::Silver);
    assert_eq!(
        (silver.state, silver.reason),
        (StageState::Pending, Some(Reason::DependenciesMissing))
    );
}

/// Whatever is not there, or cannot be looked at, as a warehouse that is paused.
#[rstest]
#[case::contract("Contract/v1", &[Stage::Ingest, Stage::Persist, Stage::Bronze])]
#[case::topic("Topic/purchase_orders", &[Stage::Ingest, Stage::Persist])]
#[case::dead_letter_topic("DeadLetterTopic/dlq.purchase_orders", &[Stage::Persist])]
#[case::group("ConsumerGroup/medallion.here.shop.purchase-orders", &[Stage::Persist])]
#[case::table("Table/purchase_orders", &[Stage::Persist, Stage::Bronze])]
#[case::bronze("BronzeBucket/shop-bronze", &[Stage::Bronze, Stage::Silver])]
#[case::silver("SilverBucket/shop-silver", &[Stage::Silver, Stage::Gold])]
#[case::gold("GoldBucket/shop-gold", &[Stage::Gold, Stage::Warehouse, Stage::Catalog])]
#[case::schema("WarehouseSchema/analytics.gold", &[Stage::Warehouse])]
fn what_is_not_met_stops_the_stages_that_need_it_and_no_other(
    #[case] name: &str,
    #[case] stopped: &[Stage],
    #[values(DependencyState::Missing, DependencyState::Differs, DependencyState::Unknown)] state: DependencyState,
) {
    let mut world = World::new(YAML);
    world.settle();
    happens(&mut world, with_catalog());
    let name = name.to_owned();
    happens(&mut world, Step::Unmet { name, state });
    happens(&mut world, Step::WorkersReady);
    let waiting = |world: &World| {
        let pending = |stage: &Stage| world.stage(*stage).state == StageState::Pending;
        Stage::ALL.into_iter().filter(pending).collect::<Vec<_>>()
    };
    assert_eq!(waiting(&world), stopped);

    happens(&mut world, Step::Pass(60));
    happens(&mut world, Step::Provisioned);
    happens(&mut world, Step::WorkersReady);
    assert_eq!(waiting(&world), [], "goes on by itself");
}

#[test]
fn tries_of_the_provisioner_are_spread_and_come_seldom_in_the_end() {
    let mut waits = Vec::new();
    for uid in ["one", "other"] {
        let mut world = World::new(YAML);
        world.pipeline.metadata.uid = Some(uid.to_owned());
        world.settle();
        for _ in 0..12 {
            happens(&mut world, missing("Topic/purchase_orders"));
            let retry = world.pipeline.status.clone().unwrap().provisioning.unwrap().retry_time;
            let wait = retry.unwrap().0.duration_since(world.now);
            waits.push(wait);
            world.now += wait;
            world.settle();
        }
    }
    let (one, other) = waits.split_at(12);
    assert!(one[11] > SignedDuration::from_secs(200), "{one:?}");
    assert_ne!(one, other, "pipelines that fail together do not try together");
}

/// The Secret and the `ConfigMap` under names that the spec no longer says are nobody's matter any more.
#[rstest]
#[case::another_secret(json!({"stages": {"ingest": {"authentication": {"bearerTokens": {"secretKeyRef": {"name": "other"}}}}}}), &["Secret/other"])]
#[case::no_secret(json!({"stages": {"ingest": {"authentication": {"type": "None", "bearerTokens": null}}}}), &[])]
#[case::no_gateway(json!({"stages": {"ingest": null}}), &[])]
fn what_the_spec_no_longer_names_leaves_the_dependencies(#[case] change: Value, #[case] secrets: &[&str]) {
    let named = |world: &World, kind: DependencyKind| -> Vec<String> {
        let all = world.pipeline.status.clone().unwrap().dependencies.into_iter();
        all.filter(|one| one.kind == kind).map(|one| one.name).collect()
    };
    let mut world = started();
    assert_eq!(named(&world, DependencyKind::Secret), ["Secret/shop-gateway"]);
    happens(&mut world, Step::Spec(change));
    assert_eq!(named(&world, DependencyKind::Secret), secrets);

    world.pipeline.spec.contract.versions[0].schema_ref.name = "renamed".to_owned();
    world.settle();
    assert_eq!(named(&world, DependencyKind::Contract), ["ConfigMap/renamed"]);
}

/// What the Deployments are made from.
fn deployed(world: &World) -> Vec<Option<DeploymentSpec>> {
    let all = world.observed.deployments.iter();
    all.map(|deployment| deployment.spec.clone()).collect()
}

/// Whether a try of the provisioner is under way.
fn provisions(world: &World) -> bool {
    let mut jobs = world.observed.jobs.iter();
    jobs.any(|job| job.status.is_none() && job.name_any().contains("provisioner"))
}

fn turn_of(world: &World) -> Timestamp {
    let status = world.pipeline.status.clone().expect("a status");
    let provisioning = status.provisioning.expect("a provisioning");
    provisioning.retry_time.expect("a time").0
}

/// Five a second, not all in the same few seconds.
fn are_spread(mut begins: Vec<i64>) {
    begins.sort_unstable();
    assert!(begins.iter().all(|wait| (0..200).contains(wait)), "{begins:?}");
    let crowded = begins.windows(6).filter(|window| window[5] - window[0] < 5).count();
    assert!(crowded < 4, "{begins:?}");
}

/// A Helm upgrade with a thousand pipelines: what pods are made from changes for all of them at once.
#[rstest]
#[case::image(json!({"images": {"workers": "medallion:2"}}))]
#[case::environment(json!({"environment": {"RUST_LOG": "debug"}}))]
#[case::sizes(json!({"sizes": {"small": {"resources": {"limits": {"memory": "2Gi"}}}}}))]
#[case::nodes(json!({"sizes": {"small": {"nodeSelector": {"pool": "big"}}}}))]
#[case::default_size(json!({"defaultSize": "large", "sizes": {"large": {"nodeSelector": {"pool": "big"}}}}))]
#[case::annotations(json!({"workers": {"gateway": {"podAnnotations": {"mesh": "in"}}}}))]
#[case::labels(json!({"workers": {"exporter": {"podLabels": {"mesh": "in"}}}}))]
#[case::pull_policy(json!({"imagePullPolicy": "Always"}))]
#[case::pull_secrets(json!({"imagePullSecrets": ["pull"]}))]
#[case::credentials(json!({"awsCredentialsSecret": "aws"}))]
#[case::trust(json!({"trustBundle": {"configMap": "authorities", "key": "all.pem"}}))]
fn a_helm_upgrade_reaches_many_pipelines_in_turns_while_everything_goes_on(#[case] change: Value) {
    let upgrade = Step::Configured(change);
    let mut begins = Vec::new();
    for number in 0..40 {
        let mut world = World::new(YAML);
        world.pipeline.metadata.uid = Some(format!("pipeline-{number}"));
        world.observed.pipelines = 1000;
        for step in [Step::Settle, Step::Provisioned, Step::WorkersReady, Step::Bronze(3)] {
            happens(&mut world, step);
        }
        happens(&mut world, attempt(Stage::Silver, Outcome::Running));
        let before = deployed(&world);
        happens(&mut world, upgrade.clone());
        if provisions(&world) {
            begins.push(0);
            continue;
        }
        let begun = world.now;
        assert_eq!(deployed(&world), before, "nothing rolls before its turn");
        assert_eq!(world.condition("DependenciesReady").0, "True");
        assert_eq!(world.condition("Ready").1, "RollingOut");
        happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
        assert_eq!(world.runs(Stage::Gold).len(), 1, "runs go on");
        let wait = turn_of(&world).duration_since(begun).as_secs();
        begins.push(wait);
        happens(&mut world, Step::Pass(wait));
        happens(&mut world, Step::Provisioned);
        assert_ne!(deployed(&world), before);
        happens(&mut world, Step::WorkersReady);
        assert_eq!(world.condition("Ready").0, "True", "{:?}", world.condition("Ready"));
    }
    are_spread(begins);
}

/// An image that cannot be pulled has come to all of a thousand pipelines; its mend and the way back come to all of them as well.
#[rstest]
#[case::mend("medallion:3")]
#[case::way_back("medallion:1")]
fn what_follows_a_broken_image_reaches_many_pipelines_in_turns(#[case] next: &str) {
    let mut begins = Vec::new();
    for number in 0..40 {
        let mut world = World::new(YAML);
        world.pipeline.metadata.uid = Some(format!("pipeline-{number}"));
        world.observed.pipelines = 1000;
        for step in [Step::Settle, Step::Provisioned, Step::WorkersReady] {
            happens(&mut world, step);
        }
        let before = deployed(&world);
        world.config.images.workers = "medallion:2".to_owned();
        world.settle();
        happens(&mut world, Step::Pass(200));
        assert!(provisions(&world), "its pod waits for the image");
        assert_eq!(deployed(&world), before);

        world.config.images.workers = next.to_owned();
        world.settle();
        if provisions(&world) {
            begins.push(0);
            continue;
        }
        assert_eq!(world.condition("DependenciesReady").0, "True");
        assert_eq!(world.condition("Ready").1, "RollingOut");
        begins.push(turn_of(&world).duration_since(world.now).as_secs());
    }
    are_spread(begins);
}

#[test]
fn until_its_turn_a_pipeline_says_what_was_found_before() {
    let waits = |steps: &[Step]| {
        let mut world = World::new(YAML);
        world.pipeline.metadata.uid = Some("pipeline-1".to_owned());
        world.observed.pipelines = 1000;
        for step in steps {
            happens(&mut world, step.clone());
        }
        happens(
            &mut world,
            Step::Configured(json!({"images": {"workers": "medallion:2"}})),
        );
        assert!(!provisions(&world), "it waits for its turn");
        world.condition("DependenciesReady")
    };
    let (ready, reason, message) = waits(&[Step::Settle]);
    assert_eq!((ready.as_str(), reason.as_str()), ("Unknown", "Provisioning"));
    assert!(message.contains("in turns"), "{message}");
    let (ready, reason, message) = waits(&[Step::Settle, missing("Topic/purchase_orders")]);
    assert_eq!((ready.as_str(), reason.as_str()), ("False", "DependenciesMissing"));
    assert!(message.contains("Topic/purchase_orders"), "{message}");
}

/// The provisioner's pod waits for a Secret that is not there, until the administrator writes its name as it is.
#[test]
fn a_mended_helm_value_replaces_the_try_that_could_not_start() {
    let secrets = |world: &World| -> Vec<String> {
        let pods = world
            .observed
            .jobs
            .iter()
            .filter_map(|job| job.spec.as_ref()?.template.spec.as_ref());
        let sources = pods.flat_map(|pod| &pod.containers).flat_map(|one| &one.env_from);
        sources
            .flatten()
            .filter_map(|source| Some(source.secret_ref.as_ref()?.name.clone()))
            .collect()
    };
    let mut world = World::new(YAML);
    for name in ["misspelt", "aws"] {
        happens(&mut world, Step::Configured(json!({"awsCredentialsSecret": name})));
        assert_eq!(secrets(&world), [name]);
    }
}

#[test]
fn what_the_administrator_decides_about_runs_alone_rolls_nothing() {
    let mut world = started();
    let before = deployed(&world);
    let change = json!({"workers": {"dbt-runner": {"environment": {"RUST_LOG": "debug"}}}, "sizes": {"small": {"dbt": {"threads": 4}}}});
    happens(&mut world, Step::Configured(change));
    assert!(!provisions(&world));
    assert_eq!(deployed(&world), before);
    assert_eq!(world.condition("Ready").0, "True", "{:?}", world.condition("Ready"));
}

#[test]
fn a_changed_image_reaches_a_few_pipelines_at_once() {
    let mut world = started();
    world.config.images.workers = "medallion:2".to_owned();
    world.settle();
    let waits = world.observed.jobs.iter().any(|job| job.status.is_none());
    assert!(waits, "the provisioner of the new image is at work");
}
