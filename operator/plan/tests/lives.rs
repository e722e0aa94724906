//! What holds in every life of a pipeline: random things happen, and the promises are checked after each. No network.

mod world;

use std::collections::BTreeMap;

use kube::ResourceExt;
use medallion_crds::pipeline::StageState;
use medallion_crds::{Stage, StageRunStatus, Worker};
use proptest::prelude::*;
use world::{Outcome, Step, World};

const YAML: &str = include_str!("cases/pipeline.yaml");

fn started() -> World {
    let mut world = World::new(YAML);
    for step in [Step::Settle, Step::Provisioned, Step::WorkersReady] {
        world.step(step);
        world.settle();
    }
    world
}

fn happens(world: &mut World, step: Step) {
    world.step(step);
    world.settle();
}

fn attempt(stage: Stage, outcome: Outcome) -> Step {
    Step::Attempt { stage, outcome }
}

#[test]
fn data_goes_from_bronze_to_the_warehouse_and_everything_comes_to_rest() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    for stage in Stage::BATCH {
        assert!(world.active_job(stage).is_some(), "{stage} has a Job");
        happens(&mut world, attempt(stage, Outcome::Succeeded));
    }
    for stage in Stage::BATCH {
        assert!(world.active_run(stage).is_none());
        assert_eq!(world.runs(stage).len(), 1, "{stage} ran once");
    }
    assert_eq!(world.condition("Ready").0, "True", "{:?}", world.condition("Ready"));
    assert_eq!(world.condition("Healthy").0, "True", "{:?}", world.condition("Healthy"));
}

#[test]
fn stages_are_pipelined_but_no_stage_runs_twice_at_once() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, attempt(Stage::Gold, Outcome::Running));
    happens(&mut world, Step::Bronze(4));
    happens(&mut world, Step::Pass(60));
    assert!(
        world.active_run(Stage::Silver).is_some(),
        "silver goes on while gold works"
    );
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert_eq!(world.runs(Stage::Gold).len(), 1, "gold takes the next when it is done");
    happens(&mut world, attempt(Stage::Gold, Outcome::Succeeded));
    let runs = world.runs(Stage::Gold);
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[1].spec.inputs[0].version, 104, "with what silver left last");
}

#[test]
fn evictions_and_kills_do_not_use_up_the_attempts() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    for outcome in [
        Outcome::Evicted,
        Outcome::Killed,
        Outcome::ReportLost,
        Outcome::PodLost,
        Outcome::JobGone,
    ] {
        happens(&mut world, attempt(Stage::Silver, Outcome::Running));
        happens(&mut world, attempt(Stage::Silver, outcome));
        happens(&mut world, Step::Pass(60));
    }
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    let status = world.runs(Stage::Silver)[0].status.clone().unwrap();
    assert_eq!((status.attempt, status.failed_attempts), (6, 0));
    assert_eq!(status.outputs.len(), 1);
}

#[test]
fn a_run_that_is_killed_for_ever_ends_all_the_same() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    for _ in 0..40 {
        happens(&mut world, attempt(Stage::Silver, Outcome::Killed));
        happens(&mut world, Step::Pass(301));
    }
    assert!(world.active_run(Stage::Silver).is_none());
    assert_eq!(
        world.runs(Stage::Silver).len(),
        1,
        "and is not started again without a reason"
    );
}

#[test]
fn the_stage_fails_only_while_its_newest_run_has() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::RecordError));
    let silver = |world: &World| world.pipeline.status.clone().unwrap().stages[3].clone();
    assert_eq!(silver(&world).state, StageState::Failed);
    assert_eq!(silver(&world).reason.as_deref(), Some("ModelFailed"));
    assert_eq!(world.condition("Healthy").1, "ModelFailed");
    assert_eq!(
        world.condition("Ready").0,
        "True",
        "the workloads do what the spec says"
    );
    happens(&mut world, Step::RequestedAt("now".to_owned()));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert_eq!(silver(&world).state, StageState::Idle);
    assert_eq!(world.condition("Healthy").0, "True", "{:?}", world.condition("Healthy"));
}

#[test]
fn a_failed_stage_stays_failed_while_a_request_is_still_at_the_stage_before() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, attempt(Stage::Gold, Outcome::RecordError));
    happens(&mut world, Step::RequestedAt("now".to_owned()));
    assert!(world.active_run(Stage::Silver).is_some() && world.active_run(Stage::Gold).is_none());
    assert_eq!(
        world.pipeline.status.clone().unwrap().stages[4].state,
        StageState::Failed
    );
    assert_eq!(world.condition("Healthy").0, "False");
}

#[test]
fn a_dependency_that_is_missing_for_days_leaves_no_trail() {
    let mut world = World::new(YAML);
    world.settle();
    for _ in 0..50 {
        happens(&mut world, Step::Missing(vec!["Topic/purchase_orders".to_owned()]));
        happens(&mut world, Step::Pass(61));
    }
    assert!(world.jobs_created.len() > 40, "it is tried again and again");
    assert_eq!(world.observed.jobs.len(), 1, "only the newest try stays");
    assert_eq!(world.job_settings.len(), 1, "with one settings file for all of them");
}

#[test]
fn a_table_that_is_added_to_the_warehouse_is_loaded_without_waiting_for_gold() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    for stage in Stage::BATCH {
        happens(&mut world, attempt(stage, Outcome::Succeeded));
    }
    let tables = serde_json::json!([
        {"name": "orders", "mode": "ReplacePartitions"}, {"name": "daily_sales", "mode": "ReplacePartitions"},
    ]);
    happens(
        &mut world,
        Step::Spec(serde_json::json!({"suspend": false, "stages": {"ingest": {"replicas": 3}}})),
    );
    assert_eq!(world.runs(Stage::Warehouse).len(), 1, "another change is no reason");
    happens(
        &mut world,
        Step::Spec(serde_json::json!({"stages": {"warehouse": {"tables": tables}}})),
    );
    assert_eq!(world.runs(Stage::Warehouse).len(), 2);
    // The worker of this world loads the first table only: that must not go on for ever.
    happens(&mut world, attempt(Stage::Warehouse, Outcome::Succeeded));
    assert_eq!(world.runs(Stage::Warehouse).len(), 2);
}

#[test]
fn a_run_that_is_being_deleted_gets_no_job() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Running));
    let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(world.now);
    world.observed.runs[0].metadata.deletion_timestamp = Some(now);
    happens(&mut world, attempt(Stage::Silver, Outcome::JobGone));
    happens(&mut world, Step::Pass(60));
    assert_eq!(world.runs(Stage::Silver).len(), 1, "and no other run begins beside it");
    assert!(world.active_job(Stage::Silver).is_none());
}

#[test]
fn settings_go_only_when_the_pods_that_mount_others_stand() {
    let mut world = started();
    let settings = |world: &World| {
        let all = world.children.iter();
        all.filter(|child| child.starts_with("ConfigMap/purchase-orders-exporter"))
            .count()
    };
    let flush = serde_json::json!({"stages": {"bronze": {"flush": {"maxAgeSeconds": 5}}}});
    happens(&mut world, Step::Spec(flush));
    world.observed.pods.clear();
    world.settle();
    assert_eq!(settings(&world), 2, "an old pod may have to be made again");
    happens(&mut world, Step::WorkersReady);
    assert_eq!(settings(&world), 1);
}

#[test]
fn history_keeps_the_newest_run_and_the_limits() {
    let mut world = started();
    world.pipeline.spec.successful_runs_history_limit = 2;
    for version in 1..8 {
        happens(&mut world, Step::Bronze(version));
        happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
        happens(&mut world, Step::Pass(60));
    }
    let names: Vec<_> = world.runs(Stage::Silver).iter().map(|run| run.name_any()).collect();
    assert_eq!(
        names,
        ["purchase-orders-silver-000006", "purchase-orders-silver-000007"]
    );
    let jobs = world
        .observed
        .jobs
        .iter()
        .filter(|job| job.name_any().contains("silver"));
    assert_eq!(
        jobs.map(ResourceExt::name_any).collect::<Vec<_>>(),
        ["purchase-orders-silver-000007-1"]
    );
}

#[test]
fn a_pipeline_whose_runs_are_gone_goes_on_counting_and_does_not_repeat() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    world.observed.runs.retain(|run| run.spec.stage != Stage::Silver);
    happens(&mut world, Step::Pass(60));
    assert!(
        world.runs(Stage::Silver).is_empty(),
        "what the status remembers is not done again"
    );
    happens(&mut world, Step::Bronze(4));
    assert_eq!(world.runs(Stage::Silver)[0].name_any(), "purchase-orders-silver-000002");
}

#[test]
fn a_run_of_an_earlier_pipeline_of_that_name_is_not_ours() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    world.pipeline.metadata.uid = Some("another-life".to_owned());
    assert!(world.plan().runs.is_empty());
}

#[test]
fn suspended_a_run_that_backs_off_is_still_finished() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::EnvironmentError));
    happens(&mut world, Step::Spec(serde_json::json!({"suspend": true})));
    happens(&mut world, Step::Pass(10));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert!(world.active_run(Stage::Silver).is_none());
    assert!(world.runs(Stage::Gold).is_empty());
    assert_eq!(world.condition("Ready"), {
        let (_, _, message) = world.condition("Ready");
        ("True".to_owned(), "Suspended".to_owned(), message)
    });
}

#[test]
fn a_pod_that_says_nothing_is_not_taken_for_one_that_has_nothing_to_do() {
    let mut world = started();
    happens(&mut world, Step::Pass(60));
    let persist = |world: &World| world.pipeline.status.clone().unwrap().stages[1].clone();
    let oldest = world.now;
    let uid = world.pods_of(Stage::Persist)[0].uid().unwrap();
    let work = &mut world.observed.progress.get_mut(&uid).unwrap().work;
    (work.lag, work.oldest_pending_time) = (Some(1000), Some(oldest));
    world.settle();
    assert_eq!(persist(&world).lag, Some(1000));

    happens(&mut world, Step::Silent(Stage::Persist));
    assert_eq!(persist(&world).lag, None, "the other pod's share is not all");
    assert_eq!(persist(&world).oldest_pending_time.unwrap().0, oldest);
    assert_eq!(world.condition("Healthy").1, "NotMeasured");
    happens(&mut world, Step::Pass(40));
    assert_eq!(world.condition("Healthy").1, "Stale", "what waited then waits still");

    happens(&mut world, Step::WorkersReady);
    assert_eq!(persist(&world).lag, Some(0));
    assert_eq!(world.condition("Healthy").0, "True", "{:?}", world.condition("Healthy"));
}

#[test]
fn what_keeps_pods_from_being_made_is_said_with_the_fix() {
    let said = |world: &World, stage: Stage| {
        let all = world.pipeline.status.clone().unwrap().stages;
        let found = all.into_iter().find(|one| one.name == stage).unwrap();
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
    assert_eq!(reason, "ServiceAccountMissing");
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
    assert_eq!(reason, "QuotaExceeded");
    assert!(
        message.contains("raise the ResourceQuota of namespace shop"),
        "{message}"
    );
    happens(&mut world, attempt(Stage::Silver, Outcome::TimedOut));
    let failure = world.runs(Stage::Silver)[0].status.clone().unwrap().failures[0].clone();
    assert_eq!(failure.reason, "TimedOut");
    assert!(failure.message.contains("exceeded quota"), "{}", failure.message);
}

#[test]
fn a_worker_that_failed_and_runs_again_is_not_merely_starting() {
    let mut world = started();
    happens(&mut world, Step::Crashed(Stage::Bronze));
    let bronze = world.pipeline.status.clone().unwrap().stages[2].clone();
    assert_eq!(
        (bronze.state, bronze.reason.as_deref()),
        (StageState::Blocked, Some("BrokerNotReachable"))
    );
    assert_eq!(world.condition("Healthy").1, "BrokerNotReachable");
    happens(&mut world, Step::WorkersReady);
    assert_eq!(world.condition("Healthy").0, "True", "{:?}", world.condition("Healthy"));
}

#[test]
fn a_new_run_waits_until_the_pods_of_a_deleted_one_have_ended() {
    let deleted_while_at_work = || {
        let mut world = started();
        happens(&mut world, Step::Bronze(3));
        happens(&mut world, attempt(Stage::Silver, Outcome::Running));
        let job = world.active_job(Stage::Silver).unwrap().name_any();
        world.observed.runs.clear();
        world.observed.jobs.retain(|one| one.name_any() != job);
        let due = world.now + jiff::SignedDuration::from_secs(30);
        let pod = world.observed.pods.last_mut().unwrap();
        pod.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(due));
        happens(&mut world, Step::Pass(30));
        assert!(world.active_run(Stage::Silver).is_some(), "a new run is there");
        assert!(world.active_job(Stage::Silver).is_none(), "and waits");
        world
    };
    let mut world = deleted_while_at_work();
    world.observed.pods.pop();
    world.settle();
    assert!(world.active_job(Stage::Silver).is_some(), "the pod is gone");

    let mut world = deleted_while_at_work();
    happens(&mut world, Step::Pass(61));
    assert!(
        world.active_job(Stage::Silver).is_some(),
        "a lost node does not hold up the stage for ever"
    );
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
fn more_memory_in_the_helm_values_is_another_chance() {
    let memory = || Step::Memory {
        worker: Worker::DbtRunner,
        limit: "4Gi".to_owned(),
    };
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    for _ in 0..3 {
        happens(&mut world, attempt(Stage::Silver, Outcome::OutOfMemory));
        happens(&mut world, Step::Pass(60));
    }
    assert!(world.active_run(Stage::Silver).is_none(), "out of attempts");
    happens(&mut world, memory());
    assert!(world.active_run(Stage::Silver).is_some());

    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Pending));
    let stuck = world.active_job(Stage::Silver).unwrap().uid();
    happens(&mut world, memory());
    happens(&mut world, Step::Pass(10));
    let job = world.active_job(Stage::Silver).unwrap();
    assert_ne!(
        job.uid(),
        stuck,
        "a Job that does not start makes room for one that may"
    );
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
    let oldest = world.pipeline.status.clone().unwrap().stages[3]
        .oldest_pending_time
        .clone()
        .unwrap();
    assert_eq!(oldest.0, first, "later commits do not make it younger");
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    let oldest = world.pipeline.status.clone().unwrap().stages[3]
        .oldest_pending_time
        .clone()
        .unwrap();
    assert_eq!(
        oldest.0,
        world.runs(Stage::Silver)[0].creation_timestamp().unwrap().0,
        "what the run took is done"
    );
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Pending),
        Just(Outcome::ImageNotPulled),
        Just(Outcome::Running),
        Just(Outcome::Succeeded),
        Just(Outcome::Succeeded),
        Just(Outcome::AlreadyCommitted),
        Just(Outcome::RecordError),
        Just(Outcome::EnvironmentError),
        Just(Outcome::OutOfMemory),
        Just(Outcome::Killed),
        Just(Outcome::Evicted),
        Just(Outcome::ReportLost),
        Just(Outcome::PodLost),
        Just(Outcome::JobGone),
        Just(Outcome::TimedOut),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let stages = prop_oneof![Just(Stage::Silver), Just(Stage::Gold), Just(Stage::Warehouse)];
    prop_oneof![
        6 => (stages, outcomes()).prop_map(|(stage, outcome)| Step::Attempt { stage, outcome }),
        3 => (0_i64..20).prop_map(Step::Bronze),
        3 => (1_i64..400).prop_map(Step::Pass),
        1 => Just(Step::Provisioned),
        1 => Just(Step::Missing(vec!["Topic/purchase_orders".to_owned()])),
        1 => Just(Step::WorkersReady),
        1 => Just(Step::ContractMissing),
        1 => Just(Step::ContractFound),
        1 => (0_i64..200).prop_map(Step::DeadLetters),
        1 => any::<bool>().prop_map(|suspend| Step::Spec(serde_json::json!({"suspend": suspend}))),
        1 => (1_i32..5).prop_map(|replicas| Step::Spec(serde_json::json!({"stages": {"ingest": {"replicas": replicas}}}))),
        1 => (0_i32..3).prop_map(|limit| Step::Spec(serde_json::json!({"stages": {"silver": {"retry": {"limit": limit}}}}))),
        1 => (0_u8..5).prop_map(|value| Step::RequestedAt(format!("request-{value}"))),
        1 => (0_u8..3).prop_map(|value| Step::DbtImage(format!("dbt-purchases:{value}"))),
    ]
}

/// The promises that hold whatever happens.
fn check(world: &World, ended: &mut BTreeMap<String, StageRunStatus>) {
    let plan = world.plan();
    assert!(
        plan.wake_at.is_some_and(|time| time > world.now),
        "a settled pipeline has a timer ahead of it"
    );
    let same = serde_json::to_string(&world.plan()).ok() == serde_json::to_string(&plan).ok();
    assert!(same, "the same observation gives the same plan");
    assert!(
        plan.create_runs.is_empty() && plan.create_jobs.is_empty(),
        "a restart repeats nothing"
    );
    assert!(
        plan.runs
            .iter()
            .all(|run| run.status.is_none() && run.create_job.is_none()),
        "a restart repeats nothing"
    );
    for stage in Stage::BATCH {
        let active = world
            .runs(stage)
            .iter()
            .filter(|run| !medallion_plan::is_over(run))
            .count();
        assert!(active <= 1, "never two runs of {stage} at once");
    }
    for run in &world.observed.runs {
        let status = run.status.clone().unwrap_or_default();
        assert!(status.attempt <= 21 + 11, "attempts are bounded");
        let live = world.observed.jobs.iter().filter(|job| {
            job.owner_references()
                .iter()
                .any(|owner| Some(&owner.uid) == run.metadata.uid.as_ref())
                && job.status.as_ref().is_none_or(|status| status.conditions.is_none())
        });
        assert!(live.count() <= 1, "at most one live Job per run");
        if medallion_plan::is_over(run) {
            let first = ended.entry(run.uid().expect("a uid")).or_insert_with(|| status.clone());
            assert_eq!(*first, status, "an end is final");
        } else {
            let condition = status
                .conditions
                .iter()
                .find(|condition| condition.type_ == "Succeeded");
            assert!(
                condition.is_some_and(|condition| condition.status == "Unknown"),
                "a run under way says so"
            );
        }
    }
    for (job, times) in &world.jobs_created {
        assert_eq!(*times, 1, "{job} was created once");
    }
    let status = world.pipeline.status.clone().expect("a status");
    assert!(
        serde_json::to_string(&status).expect("JSON").len() < 32 * 1024,
        "the status stays small"
    );
    let of = |kind: &str| status.conditions.iter().any(|condition| condition.type_ == kind);
    assert!(of("Ready") && of("Healthy") && !(of("Reconciling") && of("Stalled")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_promises_hold_in_every_life(all in prop::collection::vec(steps(), 1..40)) {
        let mut world = started();
        let mut ended = BTreeMap::new();
        for step in all {
            happens(&mut world, step);
            check(&world, &mut ended);
        }
    }

    /// A crash between any two writes: only the first writes of a plan are done, then everything starts anew.
    #[test]
    fn a_crash_after_any_write_is_just_another_start(
        all in prop::collection::vec((steps(), 0_usize..6), 1..25),
    ) {
        let mut world = started();
        let mut ended = BTreeMap::new();
        for (step, writes) in all {
            world.step(step);
            let plan = world.plan();
            world.apply(cut_short(plan, writes));
            world.settle();
            check(&world, &mut ended);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    /// Watches lag: some passes are decided on what stood a few steps ago. (A status is written from what the watch of runs has
    /// shown, so it is never ahead of it.)
    #[test]
    fn an_old_picture_repeats_nothing(all in prop::collection::vec((steps(), 1_usize..4), 1..25)) {
        let mut world = started();
        let mut ended = BTreeMap::new();
        let mut pictures = vec![(world.pipeline.clone(), world.observed.clone())];
        for (step, age) in all {
            happens(&mut world, step);
            let (pipeline, observed) = &pictures[pictures.len().saturating_sub(age)];
            world.apply_late(pipeline, observed);
            pictures.push((world.pipeline.clone(), world.observed.clone()));
            world.settle();
            check(&world, &mut ended);
        }
    }
}

/// The first so many writes of a plan, in the order in which the operator makes them.
fn cut_short(mut plan: medallion_plan::Plan, writes: usize) -> medallion_plan::Plan {
    let mut left = writes;
    let mut take = |length: usize| {
        let taken = length.min(left);
        left -= taken;
        taken
    };
    plan.children.truncate(take(plan.children.len()));
    plan.create_jobs.truncate(take(plan.create_jobs.len()));
    plan.runs.truncate(take(plan.runs.len()));
    plan.create_runs.truncate(take(plan.create_runs.len()));
    plan.delete_jobs.truncate(take(plan.delete_jobs.len()));
    plan.delete_runs.truncate(take(plan.delete_runs.len()));
    if take(1) == 0 {
        plan.keep = None;
        plan.status = None;
    }
    plan
}
