//! Runs and their Jobs: when one begins, is tried again, ends, and is kept. No network.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use medallion_crds::{Stage, StageRun, Worker};
use medallion_plan::forget_details;

use crate::world::{Outcome, Step, World};
use crate::{YAML, attempt, happens, started, with_catalog};

#[test]
fn what_is_forgotten_of_old_runs_changes_no_decision() {
    let mut world = started();
    let outcomes = [
        Outcome::Succeeded,
        Outcome::RecordError,
        Outcome::Succeeded,
        Outcome::LossRisk,
        Outcome::AlreadyCommitted,
    ];
    for number in 1..15 {
        let outcome = outcomes[number % outcomes.len()];
        let steps = [
            Step::Bronze(i64::try_from(number).unwrap() + 2),
            attempt(Stage::Silver, outcome),
            attempt(Stage::Gold, Outcome::Succeeded),
            Step::Pass(700),
            Step::RequestedAt(format!("request {}", number / 3)),
            attempt(Stage::Silver, Outcome::Succeeded),
            Step::DbtImage(format!("dbt:{}", number / 4)),
        ];
        for step in steps {
            happens(&mut world, step);
            let mut observed = world.observed.clone();
            let mut runs: Vec<_> = observed.runs.iter().map(|run| Arc::new(StageRun::clone(run))).collect();
            for stage in [Stage::Silver, Stage::Gold, Stage::Warehouse] {
                forget_details(runs.iter_mut().filter(|run| run.spec.stage == Some(stage)));
            }
            observed.runs = runs.into_iter().map(Into::into).collect();
            let (whole, forgetful) = (world.plan(), world.plan_on(&world.pipeline, &observed));
            assert_eq!(format!("{whole:?}"), format!("{forgetful:?}"));
        }
    }
    assert!(world.runs(Stage::Silver).len() > 10, "there is a past");
}

#[test]
fn data_goes_from_bronze_to_warehouse_and_catalog_and_everything_comes_to_rest() {
    let mut world = started();
    happens(&mut world, with_catalog());
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
    assert_eq!(runs[1].spec.inputs()[0].version, 104, "with what silver left last");
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
fn whether_a_run_backs_off_is_known_by_its_failures_whatever_its_conditions_say() {
    for (outcome, backs_off) in [(Outcome::EnvironmentError, true), (Outcome::Evicted, false)] {
        let mut world = started();
        happens(&mut world, Step::Bronze(3));
        happens(&mut world, attempt(Stage::Silver, outcome));
        let status = world.observed.runs[0].status.as_mut().unwrap();
        status.conditions.retain(|condition| condition.type_ == "Succeeded");
        world.settle();
        assert_eq!(world.stage(Stage::Silver).reason.is_some(), backs_off, "{outcome:?}");
    }
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
fn a_dependency_that_is_missing_for_days_leaves_no_trail() {
    let mut world = World::new(YAML);
    world.settle();
    for _ in 0..50 {
        happens(&mut world, Step::Missing(vec!["Topic/purchase_orders".to_owned()]));
        happens(&mut world, Step::Pass(400));
    }
    assert!(world.jobs_created.len() > 40, "it is tried again and again");
    assert_eq!(world.observed.jobs.len(), 1, "only the newest try stays");
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
    happens(&mut world, Step::Pass(60));
    happens(
        &mut world,
        Step::Spec(serde_json::json!({"stages": {"warehouse": {"tables": tables}}})),
    );
    // The provisioner looks first whether the table is somebody else's.
    happens(&mut world, Step::Provisioned);
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
    let now = Time(world.now);
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
        jobs.map(|job| job.name_any()).collect::<Vec<_>>(),
        ["purchase-orders-silver-000007-1"]
    );
}

#[test]
fn a_pipeline_whose_runs_are_gone_goes_on_counting_and_does_not_repeat() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    world.observed.runs.retain(|run| run.spec.stage != Some(Stage::Silver));
    happens(&mut world, Step::Pass(60));
    assert!(
        world.runs(Stage::Silver).is_empty(),
        "what the status remembers is not done again"
    );
    happens(&mut world, Step::Bronze(4));
    assert_eq!(world.runs(Stage::Silver)[0].name_any(), "purchase-orders-silver-000002");
}

#[test]
fn inputs_that_a_long_status_leaves_out_are_what_the_stage_before_left() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    for stage in Stage::BATCH {
        happens(&mut world, attempt(stage, Outcome::Succeeded));
    }
    world.observed.runs.retain(|run| run.spec.stage != Some(Stage::Gold));
    let stages = &mut world.pipeline.status.as_mut().unwrap().stages;
    let gold = stages.iter_mut().find(|status| status.name == Stage::Gold).unwrap();
    let inputs = std::mem::take(&mut gold.inputs);
    assert!(!inputs.is_empty());
    happens(&mut world, Step::Pass(60));
    assert!(world.runs(Stage::Gold).is_empty(), "it is not done again");
    assert_eq!(world.stage(Stage::Gold).inputs, inputs, "there is room for them now");
    happens(&mut world, Step::Bronze(4));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, Step::Pass(60));
    assert_eq!(world.runs(Stage::Gold).len(), 1, "what comes is new");
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
        pod.metadata.deletion_timestamp = Some(Time(due));
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
fn a_job_that_could_only_be_made_late_has_all_of_its_time() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Running));
    let wanted = world.now - jiff::SignedDuration::from_hours(5);
    let status = world.observed.runs[0].status.as_mut().unwrap();
    status.attempt_time = Some(Time(wanted));
    let job = world.active_job(Stage::Silver).unwrap().uid();
    happens(&mut world, Step::Pass(60));
    assert_eq!(world.active_job(Stage::Silver).unwrap().uid(), job);
    happens(&mut world, Step::Pass(5 * 3600));
    assert!(
        world.observed.jobs.iter().all(|one| one.uid() != job),
        "stuck in the end"
    );
}

#[test]
fn a_pod_that_is_seen_before_its_job_is_not_waited_for() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Running));
    let job = world.active_job(Stage::Silver).unwrap().name_any();
    world.observed.jobs.retain(|one| one.name_any() != job);
    world.observed.runs[0].status.as_mut().unwrap().job = None;
    let step = world.plan().runs.remove(0);
    let said = serde_json::to_string(&step.status).unwrap();
    assert!(!said.contains("EarlierPodEnds"), "{said}");
    assert!(step.create_job.is_some(), "the API server knows whether it is there");
}

#[test]
fn a_job_under_way_that_has_lost_its_labels_is_still_its_runs() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    let name = world.active_job(Stage::Silver).unwrap().name_any();
    for job in world.observed.jobs.iter_mut().filter(|job| job.name_any() == name) {
        job.metadata.labels = None;
    }
    world.settle();
    assert!(
        world.observed.job(&name).is_some(),
        "it is not taken for the provisioner's"
    );
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert_eq!(world.runs(Stage::Gold).len(), 1);
}
