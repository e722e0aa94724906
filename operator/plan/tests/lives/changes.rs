//! A changed dbt project or warehouse starts a run although no input is new, once, and says so. No network.

use kube::ResourceExt;
use medallion_crds::{Stage, Worker, labels};
use serde_json::{Value, json};

use crate::world::{Outcome, Step, World};
use crate::{attempt, happens, started};

/// Everything is loaded, and no stage waits for its interval.
fn loaded() -> World {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    for stage in Stage::BATCH {
        happens(&mut world, attempt(stage, Outcome::Succeeded));
    }
    happens(&mut world, Step::Pass(60));
    world
}

fn counts(world: &World) -> [usize; 3] {
    [Stage::Silver, Stage::Gold, Stage::Warehouse].map(|stage| world.runs(stage).len())
}

fn started_by(world: &World, stage: Stage) -> String {
    let newest = *world.runs(stage).last().expect("a run");
    newest.annotations()[labels::STARTED_BY].clone()
}

fn image(name: &str) -> Step {
    Step::DbtImage(format!("dbt-purchases:{name}"))
}

fn redshift(fields: &Value) -> Step {
    Step::Spec(json!({"warehouse": {"redshift": fields}}))
}

#[test]
fn a_changed_dbt_project_starts_silver_then_gold_once_and_says_so() {
    let mut world = loaded();
    happens(&mut world, image("2"));
    assert_eq!(counts(&world), [2, 1, 1], "gold may read what only the new silver has");
    assert_eq!(started_by(&world, Stage::Silver), "changed dbt project");
    happens(&mut world, attempt(Stage::Silver, Outcome::AlreadyCommitted));
    assert_eq!(counts(&world), [2, 2, 1]);
    happens(&mut world, attempt(Stage::Gold, Outcome::AlreadyCommitted));
    for _ in 0..5 {
        happens(&mut world, Step::Pass(3600));
    }
    assert_eq!(counts(&world), [2, 2, 1], "a run with nothing to do is not made again");
    let note = &world.events.last().unwrap().note;
    assert!(
        note.starts_with("purchase-orders-gold-000002 (changed dbt project): "),
        "{note}"
    );
    assert_eq!(world.condition("Healthy").0, "True", "{:?}", world.condition("Healthy"));
}

#[test]
fn why_a_run_was_started_is_said_in_a_few_words() {
    let mut world = loaded();
    for stage in [Stage::Silver, Stage::Gold, Stage::Warehouse] {
        assert_eq!(started_by(&world, stage), "new data");
    }
    happens(&mut world, Step::RequestedAt("now".to_owned()));
    assert_eq!(started_by(&world, Stage::Silver), "requested");
    for _ in 0..4 {
        happens(&mut world, attempt(Stage::Silver, Outcome::OutOfMemory));
        happens(&mut world, Step::Pass(300));
    }
    happens(
        &mut world,
        Step::Memory {
            worker: Worker::DbtRunner,
            limit: "4Gi".to_owned(),
        },
    );
    assert_eq!(started_by(&world, Stage::Silver), "changed settings");
    happens(&mut world, attempt(Stage::Silver, Outcome::RecordError));
    happens(&mut world, image("2"));
    assert_eq!(started_by(&world, Stage::Silver), "changed dbt project");
    let saying_so = world
        .events
        .iter()
        .filter(|event| event.note.contains(" (requested): "));
    assert!(
        saying_so.count() > 1,
        "each failed attempt says it too: {:?}",
        world.events
    );
}

#[test]
fn a_changed_warehouse_starts_its_stage_alone() {
    let changes = [
        redshift(&json!({"workgroupName": "other"})),
        redshift(&json!({"workgroupName": null, "clusterIdentifier": "shop"})),
        Step::Spec(json!({"stages": {"warehouse": {"tables": [
            {"name": "orders", "mode": "ReplacePartitions"}, {"name": "daily_sales", "mode": "ReplacePartitions"},
        ]}}})),
    ];
    for change in changes {
        let mut world = loaded();
        happens(&mut world, change.clone());
        happens(&mut world, Step::Provisioned);
        assert_eq!(counts(&world), [1, 1, 2], "{change:?}");
        assert_eq!(started_by(&world, Stage::Warehouse), "changed warehouse");
        happens(&mut world, attempt(Stage::Warehouse, Outcome::Succeeded));
        happens(&mut world, Step::Pass(3600));
        assert_eq!(counts(&world), [1, 1, 2], "{change:?}");
    }
}

#[test]
fn what_changes_no_rows_starts_nothing() {
    let role = "arn:aws:iam::123456789012:role/another-copy";
    let changes = [
        Step::Configured(json!({"images": {"workers": "medallion:2"}, "environment": {"RUST_LOG": "debug"}})),
        Step::Configured(json!({"images": {"dbtProjects": {"others": "dbt-others:1"}}})),
        Step::Memory {
            worker: Worker::DbtRunner,
            limit: "4Gi".to_owned(),
        },
        redshift(&json!({"copyRoleArn": role, "loaderUser": "IAMR:shop-loader"})),
        Step::Spec(json!({"stages": {"silver": {"timeoutSeconds": 60}}})),
        // The same tables in another order.
        Step::Spec(json!({"stages": {"warehouse": {"tables": [
            {"name": "customer_value", "mode": "ReplaceTable"},
            {"name": "daily_sales", "mode": "ReplacePartitions"},
            {"name": "orders", "mode": "ReplacePartitions"},
        ]}}})),
    ];
    for change in changes {
        let mut world = loaded();
        let tables = json!([
            {"name": "orders", "mode": "ReplacePartitions"},
            {"name": "daily_sales", "mode": "ReplacePartitions"},
            {"name": "customer_value", "mode": "ReplaceTable"},
        ]);
        happens(
            &mut world,
            Step::Spec(json!({"stages": {"warehouse": {"tables": tables}}})),
        );
        happens(&mut world, Step::Provisioned);
        happens(&mut world, attempt(Stage::Warehouse, Outcome::Succeeded));
        let before = counts(&world);
        happens(&mut world, change.clone());
        happens(&mut world, Step::Provisioned);
        happens(&mut world, Step::WorkersReady);
        happens(&mut world, Step::Pass(3600));
        assert_eq!(counts(&world), before, "{change:?}");
    }
}

#[test]
fn a_run_of_an_earlier_version_counts_as_made_by_what_is_there_now() {
    let mut world = loaded();
    for run in &mut world.observed.runs {
        run.annotations_mut().remove(labels::PRODUCT_HASH);
    }
    for job in &mut world.observed.jobs {
        job.annotations_mut().remove(labels::PRODUCT_HASH);
    }
    happens(&mut world, image("2"));
    happens(&mut world, Step::Pass(3600));
    assert_eq!(counts(&world), [1, 1, 1], "an upgrade starts nothing");
    happens(&mut world, Step::Bronze(4));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, Step::Pass(60));
    happens(&mut world, image("3"));
    assert_eq!(counts(&world)[0], 3, "from then on it is known");
}

#[test]
fn a_change_keeps_the_interval_and_waits_while_the_stage_pauses() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, image("2"));
    assert_eq!(counts(&world)[0], 1, "minIntervalSeconds is 30");
    happens(&mut world, Step::Pass(30));
    assert_eq!(counts(&world)[0], 2);

    for pause in [
        json!({"suspend": true}),
        json!({"stages": {"silver": {"suspend": true}}}),
    ] {
        let mut world = loaded();
        happens(&mut world, Step::Spec(pause.clone()));
        happens(&mut world, image("2"));
        happens(&mut world, Step::Pass(60));
        assert_eq!(counts(&world)[0], 1, "{pause}");
        let resumed = json!({"suspend": false, "stages": {"silver": {"suspend": false}}});
        happens(&mut world, Step::Spec(resumed));
        assert_eq!(counts(&world)[0], 2, "{pause}");
    }
}

#[test]
fn a_stage_that_pauses_alone_holds_up_no_change() {
    let mut world = loaded();
    happens(&mut world, Step::Spec(json!({"stages": {"silver": {"suspend": true}}})));
    happens(&mut world, image("2"));
    assert_eq!(counts(&world), [1, 2, 1]);
}

#[test]
fn a_change_that_an_attempt_has_taken_up_already_starts_no_other_run() {
    let mut world = loaded();
    happens(&mut world, Step::Bronze(4));
    happens(&mut world, attempt(Stage::Silver, Outcome::EnvironmentError));
    happens(&mut world, image("2"));
    happens(&mut world, Step::Pass(60));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, Step::Pass(60));
    assert_eq!(counts(&world)[0], 2, "its second attempt was made by the new project");
}

#[test]
fn a_change_while_an_attempt_is_at_work_starts_the_next_run() {
    let mut world = loaded();
    happens(&mut world, Step::Bronze(4));
    happens(&mut world, attempt(Stage::Silver, Outcome::Running));
    happens(&mut world, image("2"));
    happens(&mut world, Step::Pass(60));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert_eq!(counts(&world)[0], 3);
    assert_eq!(started_by(&world, Stage::Silver), "changed dbt project");
    happens(&mut world, attempt(Stage::Silver, Outcome::AlreadyCommitted));
    happens(&mut world, Step::Pass(60));
    assert_eq!(counts(&world)[0], 3);
}

#[test]
fn a_change_that_fails_waits_like_any_failure() {
    let mut world = loaded();
    happens(&mut world, image("2"));
    happens(&mut world, attempt(Stage::Silver, Outcome::RecordError));
    happens(&mut world, Step::Pass(3600));
    assert_eq!(counts(&world), [2, 1, 1]);
    happens(&mut world, image("3"));
    assert_eq!(counts(&world)[0], 3, "at once");
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, attempt(Stage::Gold, Outcome::Succeeded));
    happens(&mut world, Step::Pass(3600));
    assert_eq!(counts(&world), [3, 2, 1]);
}

#[test]
fn after_a_failed_gold_run_a_changed_project_still_goes_through_silver_first() {
    let mut world = loaded();
    happens(&mut world, Step::Bronze(4));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, Step::Pass(60));
    happens(&mut world, attempt(Stage::Gold, Outcome::RecordError));
    happens(&mut world, Step::Pass(60));
    assert_eq!(counts(&world), [2, 2, 1]);
    happens(&mut world, image("2"));
    assert_eq!(counts(&world), [3, 2, 1], "gold may read what only the new silver has");
    happens(&mut world, attempt(Stage::Silver, Outcome::RecordError));
    happens(&mut world, Step::Pass(3600));
    assert_eq!(counts(&world), [3, 2, 1], "silver has not taken it up");
    happens(&mut world, image("3"));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert_eq!(counts(&world), [4, 3, 1]);
    assert_eq!(started_by(&world, Stage::Gold), "changed dbt project");
    happens(&mut world, attempt(Stage::Gold, Outcome::Succeeded));
    assert_eq!(counts(&world), [4, 3, 2]);
}

#[test]
fn the_next_attempt_of_a_gold_run_takes_a_change_up_only_after_silver_too() {
    let mut world = loaded();
    happens(&mut world, Step::Bronze(4));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, attempt(Stage::Gold, Outcome::EnvironmentError));
    happens(&mut world, Step::Pass(1));
    happens(&mut world, image("2"));
    happens(&mut world, Step::Pass(300));
    assert_eq!(counts(&world), [3, 2, 1]);
    let gold = world.active_run(Stage::Gold).expect("a run").status.clone().unwrap();
    assert_eq!(gold.attempt, 2, "its turn has come");
    assert!(
        world.active_job(Stage::Gold).is_none(),
        "gold may read what only the new silver has"
    );
    let succeeded = &gold.conditions[0];
    assert_eq!(succeeded.reason, "RollingOut", "{}", succeeded.message);
    assert!(succeeded.message.contains("dbt project"), "{}", succeeded.message);

    happens(&mut world, attempt(Stage::Silver, Outcome::AlreadyCommitted));
    assert!(world.active_job(Stage::Gold).is_some());
    happens(&mut world, attempt(Stage::Gold, Outcome::Succeeded));
    happens(&mut world, Step::Pass(3600));
    assert_eq!(counts(&world), [3, 2, 2], "that attempt was made by the new project");
}

#[test]
fn the_next_attempt_of_a_gold_run_waits_for_no_silver_that_pauses_alone() {
    let mut world = loaded();
    happens(&mut world, Step::Bronze(4));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, attempt(Stage::Gold, Outcome::EnvironmentError));
    happens(&mut world, Step::Spec(json!({"stages": {"silver": {"suspend": true}}})));
    happens(&mut world, image("2"));
    happens(&mut world, Step::Pass(300));
    assert!(world.active_job(Stage::Gold).is_some());
}
