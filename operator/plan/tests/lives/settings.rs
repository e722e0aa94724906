//! Where the settings of Jobs are, what an earlier version left of them, and what is left of failed runs. No network.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::ResourceExt;
use medallion_crds::stage_run::{Process, TableVersion};
use medallion_crds::{Stage, StageRun, labels};
use serde_json::{Value, json};

use crate::world::{Outcome, Step, World};
use crate::{YAML, attempt, happens, started};

fn at_work() -> World {
    let mut world = started();
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Pending));
    world
}

/// The settings on a Job's pods.
fn settings(job: &Job) -> Value {
    let template = &job.spec.as_ref().expect("a spec").template;
    let metadata = template.metadata.as_ref().expect("metadata");
    let text = metadata.annotations.as_ref().and_then(|all| all.get(labels::SETTINGS));
    serde_json::from_str(text.expect("the annotation")).expect("a settings file")
}

/// Path of the file and of the pod's field that it is made from.
fn mounted(job: &Job) -> (String, String) {
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let mut volumes = pod.expect("a pod").volumes.iter().flatten();
    let volume = volumes.find(|volume| volume.name == "settings").expect("the volume");
    let items = volume.downward_api.as_ref().and_then(|source| source.items.as_ref());
    let file = &items.expect("files")[0];
    let field = file.field_ref.as_ref().expect("a field");
    (file.path.clone(), field.field_path.clone())
}

#[test]
fn the_settings_of_an_attempt_stand_on_its_pods_and_are_mounted_from_there() {
    let mut world = at_work();
    let name = world.active_run(Stage::Silver).expect("a run").name_any();
    let job = world.active_job(Stage::Silver).expect("a Job");
    let run = settings(job)["worker"]["run"].clone();
    assert_eq!((&run["name"], &run["attempt"]), (&json!(name), &json!(1)), "{run}");
    let (file, field) = mounted(job);
    assert_eq!(file, "settings.json");
    assert_eq!(field, format!("metadata.annotations['{}']", labels::SETTINGS));

    happens(&mut world, attempt(Stage::Silver, Outcome::EnvironmentError));
    happens(&mut world, Step::Pass(60));
    let job = world.active_job(Stage::Silver).expect("the next Job");
    assert_eq!(settings(job)["worker"]["run"]["attempt"], 2, "each has its own");
}

#[test]
fn the_provisioner_has_its_settings_the_same_way() {
    let mut world = World::new(YAML);
    world.settle();
    let [job] = &world.observed.jobs[..] else {
        panic!("one Job: {:?}", world.observed.jobs)
    };
    assert_eq!(settings(job)["pipeline"]["name"], "purchase-orders");
    assert_eq!(mounted(job).0, "settings.json");
}

#[test]
fn the_longest_settings_are_far_from_what_annotations_may_hold() {
    let mut world = started();
    let adopted = (0..16).map(|number| format!("s3://{}/{number:02}", "b".repeat(500)));
    happens(&mut world, Step::Adopt(adopted.collect::<Vec<_>>().join(",")));
    happens(&mut world, Step::Provisioned);
    happens(&mut world, Step::WorkersReady);
    happens(&mut world, Step::Bronze(3));
    happens(&mut world, attempt(Stage::Silver, Outcome::Succeeded));
    let mut run = StageRun {
        status: None,
        ..(*world.observed.runs[0]).clone()
    };
    run.metadata = ObjectMeta {
        name: Some("by-hand".to_owned()),
        uid: Some("by-hand".to_owned()),
        creation_timestamp: Some(Time(world.now)),
        ..ObjectMeta::default()
    };
    let inputs = (0..64).map(|number| TableVersion {
        name: format!("{}{number:02}", "t".repeat(253)),
        version: i64::MAX,
    });
    run.spec.process = Some(Process {
        inputs: inputs.collect(),
    });
    world.observed.runs.push(run.into());
    world.settle();

    let job = world.active_job(Stage::Silver).expect("a Job");
    let settings = settings(job);
    let inputs = settings["worker"]["run"]["inputs"].as_array().expect("inputs");
    let adopted = settings["adopt"].as_array().expect("what is adopted");
    assert_eq!((inputs.len(), adopted.len()), (64, 16));
    let length = serde_json::to_string_pretty(&settings).expect("JSON").len();
    assert!(length < 64 * 1024, "{length} of 256 KiB: beyond them no Job is made");
}

#[test]
fn what_an_earlier_version_made_for_the_provisioner_goes_once_no_pod_mounts_it() {
    let left = "ConfigMap/purchase-orders-provisioner-1a2b3c4d";
    let mut world = started();
    world.children.insert(left.to_owned());
    let pod = json!({
        "metadata": {"name": "purchase-orders-provisioner-1", "uid": "of-an-earlier-version"},
        "spec": {"volumes": [{"configMap": {"name": "purchase-orders-provisioner-1a2b3c4d"}}]},
        "status": {"phase": "Running"},
    });
    world.observed.pods.push(serde_json::from_value(pod).expect("a pod"));
    happens(&mut world, Step::Pass(60));
    assert!(world.children.contains(left), "its pod may have to be made again");
    world.observed.pods.pop();
    happens(&mut world, Step::Pass(60));
    assert!(!world.children.contains(left));
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
