//! Containers that somebody puts into the workers' pods. No network.

use kube::ResourceExt;
use medallion_crds::{Reason, Stage};

use crate::world::{Outcome, Step, World};
use crate::{YAML, attempt, happens, started};

#[test]
fn a_committed_run_whose_job_is_held_open_ends_and_is_reported() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    let job = world.active_job(Stage::Silver).unwrap().name_any();
    world.step(attempt(Stage::Silver, Outcome::Succeeded));
    happens(&mut world, Step::Stranger);
    assert_eq!(
        world.runs(Stage::Gold).len(),
        1,
        "the report is the worker's, whoever stands before it"
    );
    assert!(world.observed.job(&job).is_some());
    happens(&mut world, Step::Pass(30));
    assert!(world.observed.job(&job).is_none(), "nothing waits for the stranger");
    let events = world.events.iter().filter(|event| event.reason == Reason::JobHeldOpen);
    let notes: Vec<_> = events.map(|event| event.note.as_str()).collect();
    let said = |note: &&str| note.contains("aa-proxy") && note.contains(&job);
    assert!(notes.iter().any(said), "{notes:?}");
}

#[test]
fn a_failed_attempt_whose_job_is_held_open_is_made_again() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    world.step(attempt(Stage::Silver, Outcome::EnvironmentError));
    happens(&mut world, Step::Stranger);
    happens(&mut world, Step::Pass(30));
    let status = world.runs(Stage::Silver)[0].status.clone().unwrap();
    assert_eq!(status.failures[0].reason, Reason::LakeUnavailable);
    happens(&mut world, Step::Pass(30));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    assert_eq!(world.runs(Stage::Gold).len(), 1);
}

#[test]
fn the_report_of_a_provisioner_beside_a_stranger_is_read() {
    let mut world = World::new(YAML);
    world.settle();
    world.step(Step::Provisioned);
    happens(&mut world, Step::Stranger);
    assert!(!world.observed.deployments.is_empty());
    happens(&mut world, Step::Pass(30));
    assert!(world.observed.jobs.is_empty(), "and its Job is ended");
}

#[test]
fn streaming_pods_are_judged_by_the_worker() {
    let mut world = started();
    happens(&mut world, Step::Stranger);
    assert_eq!(world.condition("Healthy").0, "True", "{:?}", world.condition("Healthy"));
    happens(&mut world, Step::Crashed(Stage::Bronze));
    happens(&mut world, Step::Stranger);
    assert_eq!(world.stage(Stage::Bronze).reason, Some(Reason::KafkaUnavailable));
}
