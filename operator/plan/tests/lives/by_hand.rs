//! Runs that people make: whose they are, what they count for, and what they are told. No network.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use medallion_crds::pipeline::StageState;
use medallion_crds::{Stage, StageRun};

use crate::world::{Outcome, Step, World};
use crate::{YAML, attempt, happens, started};

/// A run of the name that somebody makes.
fn by_hand(world: &mut World, name: &str) {
    let like: StageRun = (*world.observed.runs[0]).clone();
    let mut made = StageRun { status: None, ..like };
    made.metadata.name = Some(name.to_owned());
    made.metadata.uid = Some(format!("uid-of-{name}"));
    made.metadata.resource_version = Some(format!("rv-of-{name}"));
    made.metadata.creation_timestamp = Some(Time(world.now));
    (
        made.metadata.labels,
        made.metadata.annotations,
        made.metadata.owner_references,
    ) = (None, None, None);
    world.observed.runs.push(made.into());
}

#[test]
fn runs_that_people_make_do_not_use_up_the_numbers() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, Step::Pass(60));
    let last = "purchase-orders-silver-9223372036854775807";
    for name in [last, "purchase-orders-silver-000002", "purchase-orders-silver-000003"] {
        by_hand(&mut world, name);
        world.settle();
        happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
        happens(&mut world, Step::Pass(60));
    }
    // Those that somebody removes are not remembered either.
    world.observed.runs.retain(|run| run.name_any() != last);
    for version in [4, 5] {
        happens(&mut world, Step::Bronze(version));
        happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
        happens(&mut world, Step::Pass(60));
    }
    let mut names: Vec<_> = world.runs(Stage::Silver).iter().map(|run| run.name_any()).collect();
    names.sort();
    let numbers = [1, 2, 3, 4, 5].map(|number| format!("purchase-orders-silver-{number:06}"));
    assert_eq!(names, numbers, "the names that stand are passed over");
    assert_eq!(world.stage(Stage::Silver).position, Some(5));
}

#[test]
fn after_a_run_by_hand_that_failed_the_stage_waits_as_after_its_own() {
    let failed = || {
        let mut world = started();
        happens(&mut world, Step::Bronze(3));
        happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
        happens(&mut world, Step::Pass(600));
        by_hand(&mut world, "silver-once-more");
        world.settle();
        happens(&mut world, attempt(Stage::Silver, Outcome::RecordError));
        assert_eq!(succeeded(&world, "silver-once-more").0, "False");
        assert_eq!(world.runs(Stage::Silver).len(), 2, "nothing has changed");
        world
    };
    // The stage's minIntervalSeconds is 30, its backoffSeconds 10.
    let mut world = failed();
    happens(&mut world, Step::Bronze(4));
    happens(&mut world, Step::Pass(20));
    assert_eq!(world.runs(Stage::Silver).len(), 2, "new data is taken after a wait");
    happens(&mut world, Step::Pass(10));
    assert_eq!(world.runs(Stage::Silver).len(), 3);

    let mut world = failed();
    happens(&mut world, Step::DbtImage("dbt-purchases:2".to_owned()));
    happens(&mut world, Step::Provisioned);
    assert_eq!(world.runs(Stage::Silver).len(), 3, "what may help is tried at once");
}

/// What a person made and an earlier pipeline of the name carried out is no evidence of what this one has consumed: its tables may be others.
#[test]
fn a_run_by_hand_that_ended_before_the_pipeline_was_made_counts_for_nothing() {
    let mut world = started();
    happens(&mut world, Step::Bronze(50));
    by_hand(&mut world, "silver-once-more");
    world.settle();
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));

    let mut again = made_anew(&world, "silver-once-more");
    again.settle();
    happens(&mut again, Step::Provisioned);
    happens(&mut again, Step::WorkersReady);
    happens(&mut again, Step::Bronze(3));
    assert!(again.active_run(Stage::Silver).is_some(), "its Bronze is at version 3");
}

/// The run of a person and its Job, of a pipeline that is made anew under its name meanwhile.
#[test]
fn a_run_by_hand_at_work_for_an_earlier_pipeline_ends_and_is_no_success_of_the_new_one() {
    let mut world = started();
    happens(&mut world, Step::Bronze(50));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    by_hand(&mut world, "silver-once-more");
    world.settle();
    happens(&mut world, attempt(Stage::Silver, Outcome::Running));
    let name = "silver-once-more";
    let job = world.observed.job("silver-once-more-1").cloned().expect("a Job");

    let mut again = made_anew(&world, name);
    again.observed.jobs = vec![job.into()];
    again.settle();
    let succeeded = succeeded(&again, name);
    assert_eq!(
        (succeeded.0.as_str(), succeeded.1.as_str()),
        ("False", "PipelineMissing")
    );
    assert!(again.observed.job("silver-once-more-1").is_none());
}

#[test]
fn a_run_by_hand_that_was_there_before_its_pipeline_is_carried_out_whoevers_clock_is_ahead() {
    let mut world = started();
    happens(&mut world, Step::Bronze(50));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    by_hand(&mut world, "silver-once-more");
    let ahead = world.now + jiff::SignedDuration::from_secs(3);
    world.pipeline.metadata.creation_timestamp = Some(Time(ahead));
    world.settle();
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert_eq!(succeeded(&world, "silver-once-more").0, "True");
}

#[test]
fn a_run_of_a_stage_that_the_pipeline_does_not_have_ends_and_says_so() {
    let mut world = World::new(YAML);
    world.start_from(serde_json::json!({"warehouse": null, "stages": {"warehouse": null}}));
    for step in [Step::Settle, Step::Provisioned, Step::WorkersReady, Step::Bronze(50)] {
        happens(&mut world, step);
    }
    by_hand(&mut world, "into-nothing");
    let run = world.observed.runs.last_mut().expect("the run");
    run.spec.stage = Some(Stage::Warehouse);
    world.settle();
    let (status, reason, message) = succeeded(&world, "into-nothing");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", "StageMissing"),
        "{message}"
    );
    assert!(message.contains("no stage warehouse"), "{message}");

    // One at work when its stage goes.
    let mut world = started();
    happens(&mut world, Step::Bronze(50));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, attempt(Stage::Gold, Outcome::Succeeded));
    happens(&mut world, attempt(Stage::Warehouse, Outcome::Running));
    let name = world.runs(Stage::Warehouse)[0].name_any();
    world.table.retain(|entry| entry.stage != Stage::Warehouse);
    world.settle();
    assert_eq!(succeeded(&world, &name).1, "StageMissing");
    assert!(world.observed.job(&format!("{name}-1")).is_none());
}

#[test]
fn a_run_whose_job_cannot_be_made_says_why() {
    let size = |size: serde_json::Value| Step::Spec(serde_json::json!({"stages": {"silver": {"size": size}}}));
    for (broken, mended, reason, words) in [
        (
            size("huge".into()),
            size(serde_json::Value::Null),
            "SizeNotAllowed",
            "spec.stages.silver.size",
        ),
        (
            Step::ContractMissing,
            Step::ContractFound,
            "DependenciesMissing",
            "no ConfigMap",
        ),
    ] {
        let mut world = started();
        happens(&mut world, Step::Bronze(50));
        happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
        happens(&mut world, broken);
        by_hand(&mut world, "silver-once-more");
        world.settle();
        let said = succeeded(&world, "silver-once-more");
        assert_eq!((said.0.as_str(), said.1.as_str()), ("Unknown", reason), "{}", said.2);
        assert!(said.2.contains(words), "{}", said.2);
        happens(&mut world, mended);
        assert!(world.observed.job("silver-once-more-1").is_some(), "{reason}");
    }
}

/// A newer version of the operator made it, before this one was put back.
#[test]
fn a_run_of_a_type_of_another_version_holds_its_stage_and_says_so() {
    let [by_type, by_mode]: [fn(&mut StageRun); 2] = [
        |run| run.spec.kind = serde_json::from_value("Replay".into()).expect("a type"),
        |run| run.spec.mode = serde_json::from_value("Rehearse".into()).expect("a mode"),
    ];
    for other in [by_type, by_mode] {
        let mut world = started();
        happens(&mut world, Step::Bronze(50));
        happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
        by_hand(&mut world, "of-another-version");
        other(world.observed.runs.last_mut().expect("the run"));
        world.settle();
        happens(&mut world, Step::Pass(600));
        happens(&mut world, Step::Bronze(51));
        let (status, reason, message) = succeeded(&world, "of-another-version");
        assert_eq!(
            (status.as_str(), reason.as_str()),
            ("Unknown", "NotReadable"),
            "{message}"
        );
        assert!(message.contains("upgrade the operator"), "{message}");
        assert!(world.observed.job("of-another-version-1").is_none());
        assert_eq!(world.runs(Stage::Silver).len(), 2, "no other begins beside it");
        let stage = world.stage(Stage::Silver);
        assert_eq!(stage.state, StageState::Blocked);
        assert!(
            stage
                .message
                .is_some_and(|message| message.contains("of-another-version"))
        );
        world.observed.runs.retain(|run| run.name_any() != "of-another-version");
        world.settle();
        assert!(world.active_run(Stage::Silver).is_some(), "once it is deleted");
    }
}

/// The pipeline is deleted and made again a minute later; what it owned goes with it, the person's run of that name stays.
fn made_anew(world: &World, run: &str) -> World {
    let mut again = World::new(YAML);
    let kept = world.observed.runs.iter().filter(|kept| kept.name_any() == run);
    again.observed.runs = kept.cloned().collect();
    assert_eq!(again.observed.runs.len(), 1);
    again.now = world
        .now
        .checked_add(jiff::SignedDuration::from_secs(60))
        .expect("a time");
    again.pipeline.metadata.creation_timestamp = Some(Time(again.now));
    again.pipeline.metadata.uid = Some("another-uid".to_owned());
    again
}

/// Status, reason and message of a run's condition.
fn succeeded(world: &World, name: &str) -> (String, String, String) {
    let run = world.observed.runs.iter().find(|run| run.name_any() == name);
    let conditions = run.and_then(|run| run.status.clone()).expect("a status").conditions;
    let found = conditions.into_iter().find(|condition| condition.type_ == "Succeeded");
    let found = found.expect("the condition");
    (found.status, found.reason, found.message)
}
