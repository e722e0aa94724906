//! Settings of attempts and what is left of failed runs: what goes when, and what is made again. No network.

use kube::ResourceExt;
use medallion_crds::Stage;
use medallion_plan::Child;

use crate::world::{Outcome, Step, World};
use crate::{attempt, happens, started};

fn at_work() -> World {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Pending));
    world
}

/// Names and owners of the settings of attempts.
fn settings(world: &World) -> Vec<(String, Vec<String>)> {
    let all = world.observed.settings.iter();
    let of_attempts = all.filter(|(name, _)| name.starts_with("purchase-orders-silver-"));
    of_attempts
        .map(|(name, owners)| (name.clone(), owners.clone()))
        .collect()
}

/// Names of the settings of attempts that the plan makes again.
fn planned(world: &World) -> Vec<String> {
    let children = world.plan().children.into_iter();
    let settings = children.filter_map(|child| match child {
        Child::ConfigMap(settings) => Some(settings.name_any()),
        _ => None,
    });
    settings
        .filter(|name| name.starts_with("purchase-orders-silver-"))
        .collect()
}

#[test]
fn the_settings_of_an_attempt_are_its_jobs_and_go_with_it() {
    let mut world = at_work();
    let job = world.active_job(Stage::Silver).unwrap();
    let own = [(job.name_any(), vec![job.uid().unwrap()])];
    assert_eq!(settings(&world), own);
    for version in 4..7 {
        happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
        happens(&mut world, Step::Pass(60));
        happens(&mut world, Step::Bronze(version));
    }
    assert_eq!(world.runs(Stage::Silver).len(), 4, "the runs stay");
    let left: Vec<_> = settings(&world).into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["purchase-orders-silver-000004-1"]);
}

#[test]
fn settings_that_a_crash_kept_from_being_made_are_made_by_the_next_look() {
    let mut world = at_work();
    let before = settings(&world);
    world.step(Step::SettingsLost(Stage::Silver));
    assert_eq!(planned(&world).len(), 1);
    world.settle();
    assert_eq!(settings(&world), before);
    assert!(planned(&world).is_empty(), "once");
}

#[test]
fn a_job_that_was_made_from_other_settings_is_not_given_todays() {
    let mut world = at_work();
    let stuck = world.active_job(Stage::Silver).unwrap().uid();
    world.step(Step::SettingsLost(Stage::Silver));
    world.step(Step::DbtImage("dbt-purchases:2".to_owned()));
    assert!(planned(&world).is_empty());
    world.settle();
    happens(&mut world, Step::Pass(10));
    assert_ne!(world.active_job(Stage::Silver).unwrap().uid(), stuck, "it makes room");
}

#[test]
fn a_job_that_has_ended_needs_no_settings() {
    let mut world = at_work();
    happens(&mut world, attempt(Stage::Silver, Outcome::EnvironmentError));
    world.step(Step::SettingsLost(Stage::Silver));
    assert!(planned(&world).is_empty());
}

#[test]
fn settings_that_an_earlier_version_gave_to_the_run_are_left_as_they_are() {
    let mut world = at_work();
    let run = world.active_run(Stage::Silver).and_then(ResourceExt::uid).unwrap();
    let name = world.active_job(Stage::Silver).unwrap().name_any();
    world.observed.settings.insert(name.clone(), vec![run]);
    assert!(planned(&world).is_empty());
    world
        .observed
        .settings
        .insert(name.clone(), vec!["somebody".to_owned()]);
    assert_eq!(planned(&world), [name], "the server will say whose they are");
}

#[test]
fn the_newest_failed_run_keeps_its_last_job_until_the_run_goes() {
    let jobs = |world: &World| -> Vec<String> {
        let all = world.observed.jobs.iter().map(|job| job.name_any());
        all.filter(|name| name.contains("silver")).collect()
    };
    let mut world = started();
    world.pipeline.spec.failed_runs_history_limit = 1;
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::EnvironmentError));
    happens(&mut world, Step::Pass(60));
    happens(&mut world, attempt(Stage::Silver, Outcome::RecordError));
    assert_eq!(
        jobs(&world),
        ["purchase-orders-silver-000001-1", "purchase-orders-silver-000001-2"]
    );
    for version in 4..6 {
        happens(&mut world, Step::Pass(300));
        happens(&mut world, Step::Bronze(version));
        happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    }
    assert_eq!(
        jobs(&world),
        ["purchase-orders-silver-000001-2", "purchase-orders-silver-000003-1"]
    );
    let mut pods = world.observed.pods.iter().map(|pod| pod.name_any());
    assert!(
        pods.any(|name| name.starts_with("purchase-orders-silver-000001-2")),
        "and with it its pod and its log"
    );
    happens(&mut world, Step::Pass(300));
    happens(&mut world, Step::Bronze(6));
    happens(&mut world, attempt(Stage::Silver, Outcome::RecordError));
    happens(&mut world, Step::Pass(300));
    happens(&mut world, Step::Bronze(7));
    assert_eq!(
        jobs(&world),
        ["purchase-orders-silver-000004-1", "purchase-orders-silver-000005-1"],
        "the next failed run takes its place"
    );
}
