//! Containers that somebody puts into the workers' pods. No network.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateWaiting};
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

/// The stranger's image is not there, so that none of the pods it is in is ready.
fn never_comes_up(world: &mut World) {
    world.step(Step::Stranger);
    for pod in &mut world.observed.pods {
        let status = pod.status.get_or_insert_default();
        status.conditions = None;
        let all = status.container_statuses.iter_mut().flatten();
        for stranger in all.filter(|container| container.name == "aa-proxy") {
            stranger.state = Some(ContainerState {
                waiting: Some(ContainerStateWaiting {
                    reason: Some("ImagePullBackOff".to_owned()),
                    message: Some("Back-off pulling image".to_owned()),
                }),
                ..ContainerState::default()
            });
        }
    }
    world.settle();
}

#[test]
fn a_stranger_that_never_comes_up_holds_no_attempt_open_either() {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    let job = world.active_job(Stage::Silver).unwrap().name_any();
    world.step(attempt(Stage::Silver, Outcome::EnvironmentError));
    never_comes_up(&mut world);
    happens(&mut world, Step::Pass(30));
    let status = world.runs(Stage::Silver)[0].status.clone().unwrap();
    let reasons: Vec<_> = status.failures.iter().map(|failure| &failure.reason).collect();
    assert_eq!(reasons, [&Reason::LakeUnavailable]);
    assert!(world.observed.job(&job).is_none(), "it is ended");
}

#[test]
fn a_stranger_that_keeps_workers_from_being_ready_is_named() {
    let mut world = started();
    never_comes_up(&mut world);
    let ingest = world.stage(Stage::Ingest);
    assert_eq!(ingest.reason, Some(Reason::PodNotStarting));
    let message = ingest.message.clone().unwrap_or_default();
    assert!(
        message.contains("aa-proxy") && message.contains("ImagePullBackOff"),
        "{message}"
    );
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
