//! Jobs of attempts: made with the number of the attempt, once, and never on an old picture of the run. No network.

use serde_json::{Value, json};

use super::world::World;

const RUN: &str = "by-hand";
const JOB: &str = "by-hand-1";

/// A pipeline with a run that somebody has just made.
fn with_run() -> World {
    let world = World::new();
    world.server.put(
        "stageruns",
        json!({
            "apiVersion": "medallion.dev/v1alpha1", "kind": "StageRun", "metadata": {"name": RUN},
            "spec": {
                "pipelineRef": {"name": "orders"}, "stage": "silver", "type": "Process",
                "process": {"inputs": [{"name": "bronze", "version": 3}]},
            },
        }),
    );
    world.watch();
    world.server.requests();
    world
}

/// What was asked about runs and Jobs of runs.
fn of_runs(world: &World) -> Vec<String> {
    let mut requests = world.server.requests();
    requests.retain(|line| line.contains(RUN));
    requests
}

fn annotation(job: &Value, name: &str) -> String {
    let annotations = &job["spec"]["template"]["metadata"]["annotations"];
    annotations[name].as_str().expect("the annotation").to_owned()
}

#[tokio::test]
async fn an_attempt_costs_the_write_of_its_number_and_that_of_its_job() {
    let world = with_run();
    world.look().await;
    assert_eq!(
        of_runs(&world),
        [format!("PUT stageruns/{RUN}/status"), format!("POST jobs/{JOB}")]
    );
    let job = world.server.get("jobs", JOB).expect("the Job");
    let settings = annotation(&job, medallion_crds::labels::SETTINGS);
    let settings: Value = serde_json::from_str(&settings).expect("the settings file");
    assert_eq!(settings["worker"]["run"]["attempt"], 1);
}

#[tokio::test]
async fn a_job_that_no_watch_has_shown_is_not_made_a_second_time() {
    let world = with_run();
    world.look().await;
    let job = world.server.get("jobs", JOB);
    world.look().await;
    let asked = of_runs(&world);
    assert!(
        !asked.iter().skip(2).any(|line| line.starts_with("POST")),
        "decided on the run as it was: {asked:?}"
    );
    let run = world.server.get("stageruns", RUN).expect("the run");
    assert_eq!(run["status"]["attempt"], 1);

    // The run is shown now, and the Job is not.
    for object in world.server.all("stageruns") {
        let run: medallion_crds::StageRun = serde_json::from_value(object).expect("a run");
        world.context.index.put("StageRun", Some(world.key.clone()), run);
    }
    world.look().await;
    assert_eq!(world.server.get("jobs", JOB), job, "it is the same");
}

#[tokio::test]
async fn a_job_that_could_not_be_made_is_made_later_unless_the_run_has_changed_meanwhile() {
    let world = with_run();
    world.server.refuse(&format!("POST jobs/{JOB}"), 403);
    world.look().await;
    world.watch();
    let run = world.server.get("stageruns", RUN).expect("the run");
    assert_eq!(run["status"]["attempt"], 1);
    let (_, reason, message) = world.condition("Ready");
    assert_eq!(reason, "ApplyFailed", "{message}");
    assert!(message.contains(JOB), "{message}");

    world.server.refuse(&format!("POST jobs/{JOB}"), 0);
    // As after a restart.
    world.context.caches.forget(&world.key);
    world.server.edit("stageruns", RUN, |run| {
        run["metadata"]["annotations"] = json!({"somebody": "was here"});
    });
    world.server.requests();
    world.look().await;
    assert_eq!(
        of_runs(&world),
        [format!("GET stageruns/{RUN}")],
        "the watch does not show the change yet"
    );
    world.watch();
    world.look().await;
    assert!(world.server.get("jobs", JOB).is_some());
}

#[tokio::test]
async fn settings_that_an_earlier_version_made_are_in_nobodys_way() {
    let world = with_run();
    let earlier = json!({"metadata": {"name": JOB}, "data": {"settings.json": "earlier"}});
    let earlier = world.server.put("configmaps", earlier);
    world.look().await;
    assert!(world.server.get("jobs", JOB).is_some());
    assert_eq!(world.server.get("configmaps", JOB), Some(earlier));
}
