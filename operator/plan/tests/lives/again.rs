//! What lets a stage work again: a request, new data after a failure, or somebody who helps. No network.

use medallion_crds::Stage;

use crate::world::{Outcome, Step, World};
use crate::{attempt, happens, started};

#[test]
fn a_request_is_answered_although_bronze_has_nothing_to_offer() {
    let mut world = started();
    happens(&mut world, Step::RequestedAt("now".to_owned()));
    let status = world.pipeline.status.clone().unwrap();
    assert_eq!(status.last_handled_requested_at.as_deref(), Some("now"));
    assert!(world.observed.runs.is_empty(), "there is nothing to run on");
}

#[test]
fn requests_that_differ_only_at_their_ends_are_two() {
    let mut world = started();
    let mut handled = |value: String| {
        happens(&mut world, Step::RequestedAt(value));
        let status = world.pipeline.status.clone().unwrap();
        status.last_handled_requested_at.expect("a request that was handled")
    };
    let long = "x".repeat(127);
    assert_eq!(handled(format!("{long}1")), format!("{long}1"), "as it stands");
    assert_eq!(handled(format!("{long}2")), format!("{long}2"));
    let [one, other] = ["1", "2"].map(|end| handled(format!("{}{end}", "x".repeat(500))));
    assert_ne!(one, other);
    assert!(one.len() <= 128, "{one}");
}

#[test]
fn a_request_takes_away_the_wait_under_way_and_no_other() {
    let attempts = |world: &World| world.runs(Stage::Silver)[0].status.clone().unwrap().attempt;
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::EnvironmentError));
    happens(&mut world, Step::RequestedAt("one".to_owned()));
    assert_eq!(attempts(&world), 2, "at once");
    happens(&mut world, attempt(Stage::Silver, Outcome::EnvironmentError));
    assert_eq!(attempts(&world), 2, "the next wait is as long as ever");
    happens(&mut world, Step::Pass(19));
    assert_eq!(attempts(&world), 2);
    happens(&mut world, Step::Pass(1));
    assert_eq!(attempts(&world), 3);

    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Running));
    happens(&mut world, Step::RequestedAt("one".to_owned()));
    happens(&mut world, attempt(Stage::Silver, Outcome::EnvironmentError));
    assert_eq!(attempts(&world), 1, "there was no wait when it came");
    happens(&mut world, Step::RequestedAt("two".to_owned()));
    assert_eq!(attempts(&world), 2, "another request is another one");
}

#[test]
fn a_stage_that_fails_again_and_again_is_started_ever_more_seldom() {
    let mut world = started();
    world.pipeline.spec.failed_runs_history_limit = 1;
    let mut waits = Vec::new();
    let mut since = 0;
    happens(&mut world, Step::Bronze(3));
    for version in 4..400 {
        if world.active_run(Stage::Silver).is_some() {
            happens(&mut world, attempt(Stage::Silver, Outcome::RecordError));
            waits.push(since);
            since = 0;
        }
        happens(&mut world, Step::Pass(10));
        happens(&mut world, Step::Bronze(version));
        since += 10;
    }
    // The stage's minIntervalSeconds is 30, its maxBackoffSeconds 300.
    assert_eq!(&waits[..8], &[0, 30, 30, 40, 80, 160, 300, 300]);

    happens(&mut world, Step::Pass(300));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, Step::Pass(30));
    happens(&mut world, Step::Bronze(500));
    happens(&mut world, attempt(Stage::Silver, Outcome::RecordError));
    happens(&mut world, Step::Bronze(501));
    let runs = world.runs(Stage::Silver).len();
    happens(&mut world, Step::Pass(30));
    assert_eq!(
        world.runs(Stage::Silver).len(),
        runs + 1,
        "a success begins the count anew"
    );
}

#[test]
fn what_new_data_cannot_help_waits_for_somebody() {
    for outcome in [Outcome::LossRisk, Outcome::BadSettings] {
        let failed = || {
            let mut world = started();
            happens(&mut world, Step::Bronze(3));
            happens(&mut world, attempt(Stage::Silver, outcome));
            for version in 4..20 {
                happens(&mut world, Step::Pass(600));
                happens(&mut world, Step::Bronze(version));
            }
            assert_eq!(world.runs(Stage::Silver).len(), 1, "{outcome:?}: new data is no reason");
            let message = world.stage(Stage::Silver).message.unwrap();
            assert!(!message.contains("new data"), "{message}");
            assert!(message.contains("medallion.dev/requested-at"), "{message}");
            world
        };
        for change in [
            Step::RequestedAt("one".to_owned()),
            Step::DbtImage("dbt-purchases:2".to_owned()),
            Step::Spec(serde_json::json!({"stages": {"silver": {"timeoutSeconds": 77}}})),
            Step::Adopt("elsewhere/shop/orders".to_owned()),
        ] {
            let mut world = failed();
            happens(&mut world, change.clone());
            happens(&mut world, Step::Provisioned);
            assert_eq!(world.runs(Stage::Silver).len(), 2, "{outcome:?}, {change:?}");
        }
    }
}

#[test]
fn a_good_end_is_an_event_if_an_attempt_failed_before_or_somebody_asked_for_the_run() {
    let ends = |world: &World| {
        let of_silver = world.events.iter().filter(|event| event.about.contains("silver"));
        of_silver.filter(|event| !event.warning).count()
    };
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert_eq!(ends(&world), 0, "{:?}", world.events);

    happens(&mut world, Step::Pass(60));
    happens(&mut world, Step::Bronze(4));
    happens(&mut world, attempt(Stage::Silver, Outcome::EnvironmentError));
    happens(&mut world, Step::Pass(60));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert_eq!(ends(&world), 1, "{:?}", world.events);

    happens(&mut world, Step::RequestedAt("now".to_owned()));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert_eq!(ends(&world), 2, "{:?}", world.events);
}
