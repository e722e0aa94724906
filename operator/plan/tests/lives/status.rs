//! What the status says while things go wrong and when they are well again. No network.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PodCondition, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use medallion_crds::pipeline::{PipelineStatus, StageState};
use medallion_crds::{Reason, Stage, StageRun};

use crate::world::{Outcome, Step, World};
use crate::{YAML, attempt, happens, started};

#[test]
fn the_stage_fails_only_while_its_newest_run_has() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::RecordError));
    assert_eq!(world.stage(Stage::Silver).state, StageState::Failed);
    assert_eq!(world.stage(Stage::Silver).reason, Some(Reason::DbtFailed));
    assert_eq!(world.condition("Healthy").1, "DbtFailed");
    assert_eq!(
        world.condition("Ready").0,
        "True",
        "the workloads do what the spec says"
    );
    happens(&mut world, Step::RequestedAt("now".to_owned()));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert_eq!(world.stage(Stage::Silver).state, StageState::Idle);
    assert_eq!(world.condition("Healthy").0, "True", "{:?}", world.condition("Healthy"));
}

#[test]
fn a_time_between_two_seconds_is_reported_as_it_is_stored() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    for run in &mut world.observed.runs {
        let mut between = StageRun::clone(run);
        let completed = between
            .status
            .as_mut()
            .and_then(|status| status.completion_time.as_mut());
        // Gold's run has only begun.
        let Some(completed) = completed else { continue };
        completed.0 += jiff::SignedDuration::from_millis(151);
        *run = between.into();
    }
    let status = world.plan().status.unwrap();
    let stored: PipelineStatus = serde_json::from_value(serde_json::to_value(&status).unwrap()).unwrap();
    assert_eq!(stored, status, "else it is written again with each look");
}

#[test]
fn a_failed_stage_stays_failed_while_a_request_is_still_at_the_stage_before() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, attempt(Stage::Gold, Outcome::RecordError));
    happens(&mut world, Step::RequestedAt("now".to_owned()));
    assert!(world.active_run(Stage::Silver).is_some() && world.active_run(Stage::Gold).is_none());
    assert_eq!(world.stage(Stage::Gold).state, StageState::Failed);
    assert_eq!(world.condition("Healthy").0, "False");
}

#[test]
fn a_pod_that_says_nothing_is_not_taken_for_one_that_has_nothing_to_do() {
    let mut world = started();
    happens(&mut world, Step::Pass(60));
    let oldest = world.now;
    let uid = world.pods_of(Stage::Persist)[0].uid().unwrap();
    let work = &mut world.observed.progress.get_mut(&uid).unwrap().work;
    (work.lag, work.oldest_pending_time) = (Some(1000), Some(oldest));
    world.settle();
    assert_eq!(world.stage(Stage::Persist).lag, Some(1000));

    happens(&mut world, Step::Silent(Stage::Persist));
    for _ in 0..2 {
        assert_eq!(
            world.stage(Stage::Persist).lag,
            None,
            "the other pod's share is not all"
        );
        assert_eq!(
            world.condition("Healthy").0,
            "Unknown",
            "whether that waits still, nobody knows"
        );
        let (_, reason, message) = world.condition("Healthy");
        assert_eq!(reason, "Unreachable");
        assert!(message.contains("port 9090 in namespace shop"), "{message}");
        happens(&mut world, Step::Pass(400));
    }

    happens(&mut world, Step::WorkersReady);
    assert_eq!(world.stage(Stage::Persist).lag, Some(0));
    assert_eq!(world.condition("Healthy").0, "True", "{:?}", world.condition("Healthy"));
}

#[test]
fn what_keeps_pods_from_being_made_is_said_with_the_fix() {
    let said = |world: &World, stage: Stage| {
        let found = world.stage(stage);
        assert_eq!(found.state, StageState::Blocked);
        (found.reason.unwrap(), found.message.unwrap())
    };
    let mut world = started();
    let message = "pods \"x\" is forbidden: error looking up service account shop/medallion-x: serviceaccount \"medallion-x\" not found";
    happens(
        &mut world,
        Step::PodsRefused {
            stage: Stage::Persist,
            message: message.to_owned(),
        },
    );
    let (reason, message) = said(&world, Stage::Persist);
    assert_eq!(reason, Reason::ServiceAccountMissing);
    assert!(
        message.contains("create the ServiceAccount in namespace shop"),
        "{message}"
    );

    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    let message = "Error creating: pods \"x\" is forbidden: exceeded quota: compute, requested: memory=512Mi";
    happens(
        &mut world,
        Step::JobRefused {
            stage: Stage::Silver,
            message: message.to_owned(),
        },
    );
    let (reason, message) = said(&world, Stage::Silver);
    assert_eq!(reason, Reason::QuotaExceeded);
    assert!(
        message.contains("raise the ResourceQuota of namespace shop"),
        "{message}"
    );
    happens(&mut world, attempt(Stage::Silver, Outcome::TimedOut));
    let failure = world.runs(Stage::Silver)[0].status.clone().unwrap().failures[0].clone();
    assert_eq!(failure.reason, Reason::TimedOut);
    assert!(failure.message.contains("exceeded quota"), "{}", failure.message);
}

#[test]
fn why_the_pod_of_an_attempt_that_ran_out_of_time_did_not_start_is_known_without_reading_messages() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::ImageNotPulled));
    world.step(attempt(Stage::Silver, Outcome::TimedOut));
    for run in &mut world.observed.runs {
        for condition in &mut run.status.as_mut().expect("a status").conditions {
            condition.message = "written for people".to_owned();
        }
    }
    world.settle();
    let failure = world.runs(Stage::Silver)[0].status.clone().unwrap().failures[0].clone();
    let reason = Reason::ImageNotPulled;
    let why = format!("its pod did not start: {reason}: {}", reason.meaning());
    assert!(failure.message.contains(&why), "{}", failure.message);
}

#[test]
fn a_worker_that_failed_and_runs_again_is_not_merely_starting() {
    let mut world = started();
    happens(&mut world, Step::Crashed(Stage::Bronze));
    let bronze = world.stage(Stage::Bronze);
    assert_eq!(
        (bronze.state, bronze.reason),
        (StageState::Blocked, Some(Reason::KafkaUnavailable))
    );
    assert_eq!(world.condition("Healthy").1, "KafkaUnavailable");
    happens(&mut world, Step::WorkersReady);
    assert_eq!(world.condition("Healthy").0, "True", "{:?}", world.condition("Healthy"));
}

#[test]
fn ready_waits_for_any_change_not_for_changed_settings_alone() {
    for change in [
        serde_json::json!({"ingest": {"replicas": 3}}),
        serde_json::json!({"persist": {"serviceAccountName": "medallion-shop"}}),
        serde_json::json!({"ingest": {"authentication": {"bearerTokens": {"secretKeyRef": {"name": "other"}}}}}),
    ] {
        let mut world = started();
        world.step(Step::Spec(serde_json::json!({"stages": change})));
        let status = world.plan().status.unwrap();
        assert_eq!(status.observed_generation, 2);
        let ready = status.conditions.iter().find(|one| one.type_ == "Ready").unwrap();
        assert_eq!(
            (ready.status.as_str(), ready.reason.as_str()),
            ("False", "RollingOut"),
            "{change}"
        );
        world.settle();
        happens(&mut world, Step::WorkersReady);
        assert_eq!(world.condition("Ready").0, "True", "{change}");
    }
}

#[test]
fn age_counts_from_the_first_commit_that_waits() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Running));
    let first = world.now;
    for version in 4..8 {
        world.pass(50);
        happens(&mut world, Step::Bronze(version));
    }
    let oldest = world.stage(Stage::Silver).oldest_pending_time.unwrap();
    assert_eq!(oldest.0, first, "later commits do not make it younger");
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    let oldest = world.stage(Stage::Silver).oldest_pending_time.unwrap();
    assert_eq!(
        oldest.0,
        world.runs(Stage::Silver)[0].creation_timestamp().unwrap().0,
        "what the run took is done"
    );
}

#[test]
fn what_a_pod_that_has_just_begun_may_have_to_do_counts_until_it_can_tell() {
    let mut world = started();
    let oldest = world.now;
    let uids: Vec<_> = world
        .pods_of(Stage::Persist)
        .iter()
        .filter_map(|pod| pod.uid())
        .collect();
    for uid in &uids {
        world.observed.progress.get_mut(uid).unwrap().work.oldest_pending_time = Some(oldest);
    }
    world.settle();
    for uid in &uids {
        world.observed.progress.get_mut(uid).unwrap().work.oldest_pending_time = None;
    }
    world.observed.progress.remove(&uids[0]);
    let begun = Time(world.now);
    let pod = world
        .observed
        .pods
        .iter_mut()
        .find(|pod| pod.uid().as_ref() == Some(&uids[0]));
    let state = &mut pod
        .unwrap()
        .status
        .as_mut()
        .unwrap()
        .container_statuses
        .as_mut()
        .unwrap()[0];
    state.state.as_mut().unwrap().running.as_mut().unwrap().started_at = Some(begun);
    world.settle();
    assert_eq!(
        world.stage(Stage::Persist).oldest_pending_time.map(|time| time.0),
        Some(oldest)
    );
    happens(&mut world, Step::Pass(16));
    assert_eq!(
        world.stage(Stage::Persist).oldest_pending_time,
        None,
        "it should have reported by now"
    );
}

#[test]
fn a_pod_that_a_node_refused_is_not_one_on_its_way() {
    let mut world = started();
    let mut pod = world.pods_of(Stage::Persist)[0].clone();
    pod.metadata.uid = Some("refused".to_owned());
    pod.metadata.name = Some("refused".to_owned());
    let status = pod.status.as_mut().unwrap();
    (status.container_statuses, status.conditions) = (None, None);
    status.phase = Some("Failed".to_owned());
    world.observed.pods.push(pod.into());
    let event = "Node didn't have enough resource: cpu".to_owned();
    world.observed.warnings.insert("refused".to_owned(), event);
    world.settle();
    let persist = world.stage(Stage::Persist);
    assert_eq!((persist.state, persist.reason), (StageState::Running, None));
}

#[test]
fn an_old_failure_is_not_blamed_for_what_is_in_the_way_today() {
    let mut world = started();
    happens(&mut world, Step::Crashed(Stage::Bronze));
    let reason = |world: &World| world.stage(Stage::Bronze).reason;
    assert_eq!(reason(&world), Some(Reason::KafkaUnavailable));
    happens(&mut world, Step::Pass(121));
    assert_ne!(reason(&world), Some(Reason::KafkaUnavailable));
}

#[test]
fn words_of_any_length_fit_into_what_is_said_of_the_provisioner() {
    let mut world = World::new(YAML);
    happens(&mut world, Step::Settle);
    let job = world.observed.jobs[0].uid().unwrap();
    let words = format!("admission webhook denied the request: {}", "policy ".repeat(300));
    world.observed.warnings.insert(job, words);
    world.settle();
    let said = |world: &World| {
        world
            .pipeline
            .status
            .clone()
            .unwrap()
            .provisioning
            .unwrap()
            .message
            .unwrap()
    };
    assert!(
        said(&world).starts_with("PodRefused: admission webhook"),
        "{}",
        said(&world)
    );
    assert!(said(&world).len() <= 1024, "the API server takes no more");
}

#[test]
fn a_port_that_does_not_answer_is_named_within_half_a_minute_and_a_warning() {
    let mut world = started();
    for stage in [Stage::Ingest, Stage::Persist, Stage::Bronze] {
        happens(&mut world, Step::Silent(stage));
    }
    happens(&mut world, Step::Pass(20));
    assert_eq!(world.condition("Healthy").1, "Unreachable");
    let event = world.events.iter().find(|event| event.reason == Reason::Unreachable);
    assert!(event.is_some_and(|event| event.warning));
}

#[test]
fn what_was_true_minutes_ago_is_not_known_to_be_true() {
    let mut world = started();
    happens(&mut world, Step::Pass(60));
    let uid = world.pods_of(Stage::Bronze)[0].uid().unwrap();
    world.observed.progress_ages.insert(uid.clone(), 100);
    world.settle();
    assert_eq!(world.condition("Healthy").0, "True", "{:?}", world.condition("Healthy"));
    world.observed.progress_ages.insert(uid, 150);
    world.settle();
    let (status, reason, message) = world.condition("Healthy");
    assert_eq!((status.as_str(), reason.as_str()), ("Unknown", "NotMeasured"));
    assert!(message.contains("150 s ago"), "{message}");
    assert_eq!(world.stage(Stage::Bronze).lag, None);
}

#[test]
fn a_first_failed_attempt_is_an_event_and_the_second_a_matter_of_health() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::EnvironmentError));
    let said = world
        .events
        .iter()
        .any(|event| event.warning && event.reason.as_str() == "LakeUnavailable");
    assert!(said, "{:?}", world.events);
    assert_eq!(world.condition("Healthy").0, "True", "{:?}", world.condition("Healthy"));
    let silver = world.stage(Stage::Silver);
    assert_eq!(
        (silver.state, silver.reason),
        (StageState::Running, Some(Reason::LakeUnavailable))
    );

    happens(&mut world, Step::Pass(10));
    assert_eq!(world.condition("Healthy").0, "True");
    happens(&mut world, attempt(Stage::Silver, Outcome::EnvironmentError));
    let wrong = |world: &World| {
        let (status, reason, _) = world.condition("Healthy");
        assert_eq!((status.as_str(), reason.as_str()), ("False", "LakeUnavailable"));
        assert_eq!(world.stage(Stage::Silver).state, StageState::Blocked);
    };
    wrong(&world);
    happens(&mut world, Step::Pass(20));
    wrong(&world);
    happens(&mut world, attempt(Stage::Silver, Outcome::Running));
    wrong(&world);
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert_eq!(world.condition("Healthy").0, "True", "{:?}", world.condition("Healthy"));
    let turns = world
        .events
        .iter()
        .filter(|event| event.about == "Healthy" && event.note.contains("is False"));
    assert_eq!(turns.count(), 1, "it turned once");
}

/// The scheduler finds no node for the pods.
fn finds_no_node(world: &mut World, pods: &[String]) {
    for pod in &mut world.observed.pods {
        let uid = pod.uid().expect("the server gives one");
        if !pods.contains(&uid) {
            continue;
        }
        world.observed.progress.remove(&uid);
        let event = "0/3 nodes are available: 3 Insufficient cpu".to_owned();
        world.observed.warnings.insert(uid, event.clone());
        pod.status = Some(PodStatus {
            phase: Some("Pending".to_owned()),
            conditions: Some(vec![PodCondition {
                type_: "PodScheduled".to_owned(),
                status: "False".to_owned(),
                reason: Some("Unschedulable".to_owned()),
                message: Some(event),
                last_transition_time: Some(Time(world.now)),
                ..PodCondition::default()
            }]),
            ..PodStatus::default()
        });
    }
}

#[test]
fn a_pod_without_a_node_is_given_two_minutes() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Pending));
    let of_silver = world.observed.pods.last().unwrap().uid().unwrap();
    let of_bronze = world.pods_of(Stage::Bronze)[0].uid().unwrap();
    finds_no_node(&mut world, &[of_silver, of_bronze]);
    let states = |world: &World| [Stage::Bronze, Stage::Silver].map(|stage| world.stage(stage).state);
    for seconds in [0, 119] {
        happens(&mut world, Step::Pass(seconds));
        assert_eq!(states(&world), [StageState::Pending, StageState::Running]);
        assert_ne!(
            world.condition("Healthy").0,
            "False",
            "{:?}",
            world.condition("Healthy")
        );
    }
    happens(&mut world, Step::Pass(1));
    assert_eq!(states(&world), [StageState::Blocked; 2]);
    assert_eq!(world.condition("Healthy").1, "Unschedulable");
}

/// A pod of the stage that is just being made, like those that stand.
fn is_being_made(world: &mut World, stage: Stage, name: &str) {
    let mut pod = world.pods_of(stage)[0].clone();
    (pod.metadata.name, pod.metadata.uid) = (Some(name.to_owned()), Some(name.to_owned()));
    pod.metadata.creation_timestamp = Some(Time(world.now));
    pod.status = Some(PodStatus {
        phase: Some("Pending".to_owned()),
        ..PodStatus::default()
    });
    world.observed.pods.push(pod.into());
}

#[test]
fn what_an_autoscaler_adds_is_no_reason_to_be_unready() {
    let gateway = |world: &mut World, change: &dyn Fn(&mut Deployment)| {
        let mut all = world.observed.deployments.iter_mut();
        let found = all.find(|one| one.name_any().ends_with("gateway")).expect("a gateway");
        change(found);
    };
    let grows = |spec: serde_json::Value| {
        let mut world = World::new(YAML);
        world.start_from(spec);
        for step in [Step::Settle, Step::Provisioned, Step::WorkersReady] {
            happens(&mut world, step);
        }
        assert_eq!(world.condition("Ready").0, "True", "{:?}", world.condition("Ready"));
        gateway(&mut world, &|deployment| {
            let wanted = deployment.spec.as_mut().unwrap();
            wanted.replicas = Some(wanted.replicas.unwrap_or(1) + 1);
            deployment.metadata.generation = deployment.metadata.generation.map(|generation| generation + 1);
        });
        world.events.clear();
        world
    };
    let scales = serde_json::json!({"stages": {"ingest": {"replicas": null}}});
    let mut world = grows(scales.clone());
    let seen = |deployment: &mut Deployment| {
        let status = deployment.status.as_mut().unwrap();
        status.observed_generation = deployment.metadata.generation;
        (status.replicas, status.updated_replicas) = (Some(2), Some(2));
    };
    let ready = |world: &World| world.plan().status.unwrap().conditions;
    let is_ready = |world: &World| {
        ready(world)
            .iter()
            .any(|one| one.type_ == "Ready" && one.status == "True")
    };
    assert!(is_ready(&world), "before its controller has looked");
    world.settle();
    is_being_made(&mut world, Stage::Ingest, "another");
    gateway(&mut world, &seen);
    for _ in 0..3 {
        happens(&mut world, Step::Pass(20));
        assert_eq!(world.condition("Ready").0, "True", "{:?}", world.condition("Ready"));
    }
    assert!(world.events.iter().all(|event| event.about != "Ready"));

    // What keeps the new pod from starting is reported.
    world
        .observed
        .warnings
        .insert("another".to_owned(), "secret \"shop-gateway\" not found".to_owned());
    happens(&mut world, Step::Pass(5));
    assert_eq!(world.condition("Ready").1, "SecretMissing");

    // One that stood is lost: that is another matter, and stays one until all stand.
    let mut world = grows(scales.clone());
    is_being_made(&mut world, Stage::Ingest, "another");
    gateway(&mut world, &seen);
    world.settle();
    let lost = world.pods_of(Stage::Ingest)[0].uid();
    world.observed.pods.retain(|pod| pod.uid() != lost);
    for _ in 0..3 {
        happens(&mut world, Step::Pass(20));
        assert_eq!(world.condition("Ready").0, "False");
    }

    // Another template, or more pods that the spec wants: waited for as ever.
    let mut world = grows(scales);
    world.step(Step::Spec(
        serde_json::json!({"stages": {"ingest": {"serviceAccountName": "medallion-shop"}}}),
    ));
    world.settle();
    assert_eq!(world.condition("Ready").1, "RollingOut");
    let mut world = grows(serde_json::json!({"stages": {"ingest": {"replicas": 1}}}));
    is_being_made(&mut world, Stage::Ingest, "another");
    gateway(&mut world, &seen);
    world.settle();
    assert_eq!(world.condition("Ready").0, "False");
}

#[test]
fn what_an_autoscaler_takes_away_is_no_reason_to_be_unready() {
    let shrinks = || {
        let mut world = World::new(YAML);
        world.start_from(serde_json::json!({"stages": {"ingest": {"replicas": null}}}));
        world.step(Step::Settle);
        world.settle();
        happens(&mut world, Step::Provisioned);
        scale(&mut world, 3);
        happens(&mut world, Step::WorkersReady);
        assert_eq!(world.stage(Stage::Ingest).ready_replicas, Some(3));
        assert_eq!(world.condition("Ready").0, "True", "{:?}", world.condition("Ready"));
        scale(&mut world, 2);
        world.events.clear();
        world
    };
    let lose = |world: &mut World| {
        let lost = world.pods_of(Stage::Ingest)[0].uid();
        world.observed.pods.retain(|pod| pod.uid() != lost);
        world.settle();
    };
    let mut world = shrinks();
    world.settle();
    assert_eq!(world.condition("Ready").0, "True", "before its controller has looked");
    lose(&mut world);
    assert_eq!(world.condition("Ready").0, "True", "before it has counted");
    let gateway = world
        .observed
        .deployments
        .iter_mut()
        .find(|one| one.name_any().ends_with("gateway"));
    let gateway = gateway.unwrap();
    let generation = gateway.metadata.generation;
    let status = gateway.status.as_mut().unwrap();
    status.observed_generation = generation;
    (status.replicas, status.updated_replicas) = (Some(2), Some(2));
    (status.ready_replicas, status.available_replicas) = (Some(2), Some(2));
    world.settle();
    assert_eq!(world.condition("Ready").0, "True", "{:?}", world.condition("Ready"));
    assert!(
        world.events.iter().all(|event| event.about != "Ready"),
        "never in between"
    );

    let mut world = shrinks();
    lose(&mut world);
    lose(&mut world);
    assert_eq!(
        world.condition("Ready").0,
        "False",
        "one more is lost than it takes away"
    );
}

/// The autoscaler wants so many gateways.
fn scale(world: &mut World, replicas: i32) {
    let mut all = world.observed.deployments.iter_mut();
    let gateway = all.find(|one| one.name_any().ends_with("gateway")).expect("a gateway");
    gateway.spec.as_mut().expect("a spec").replicas = Some(replicas);
    gateway.metadata.generation = gateway.metadata.generation.map(|generation| generation + 1);
}

#[test]
fn a_suspended_pipeline_names_the_batch_stages_that_it_has() {
    let mut world = World::new(YAML);
    world.start_from(serde_json::json!({"warehouse": null, "suspend": true, "stages": {"warehouse": null}}));
    for step in [Step::Settle, Step::Provisioned, Step::WorkersReady] {
        happens(&mut world, step);
    }
    for condition in ["Ready", "Healthy"] {
        let (_, reason, message) = world.condition(condition);
        assert_eq!(reason, "Suspended");
        assert!(message.contains("silver and gold"), "{message}");
        assert!(!message.contains("warehouse"), "{message}");
    }
}
