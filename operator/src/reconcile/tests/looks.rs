//! How many looks one run leads to, from what an API server sends for it. No network.

use std::time::{Duration, Instant};

use k8s_openapi::api::batch::v1::Job;
use medallion_crds::{Pipeline, StageRun, labels};
use medallion_plan::Pod;
use serde_json::{Value, json};

use crate::key::PipelineKey;
use crate::reconcile::queue::Queue;
use crate::requests::{Request, Urgency};
use crate::watch::guard::Guarded;
use crate::watch::index::{Index, POD};

const RUN: &str = "orders-silver-000002";

/// What comes to the operator.
enum Comes {
    /// An answer of a worker.
    Answer(Urgency),
    /// The pipeline's status as the operator has written it.
    PipelineStatus,
    Run(Value),
    Job(Value),
    Pod(Value),
}

fn metadata(name: &str, version: u64) -> Value {
    json!({
        "name": name, "namespace": "shop", "uid": name, "resourceVersion": version.to_string(),
        "labels": {labels::PIPELINE: "orders", labels::RUN: RUN, labels::WORKER: "dbt-runner"},
    })
}

fn file(index: &Index, comes: Comes, version: u64) -> Vec<Request> {
    let key = PipelineKey::new("shop", "orders");
    match comes {
        Comes::Answer(urgency) => vec![Request { key, urgency }],
        Comes::PipelineStatus => {
            let text = include_str!("../../../../crds/examples/smallest.yaml");
            let mut pipeline: Pipeline = serde_saphyr::from_str(text).unwrap();
            pipeline.metadata = serde_json::from_value(metadata("orders", version)).unwrap();
            index.put_pipeline(Guarded(Ok(pipeline)))
        }
        Comes::Run(status) => {
            let run: StageRun = serde_json::from_value(json!({
                "metadata": metadata(RUN, version), "status": status,
                "spec": {
                    "pipelineRef": {"name": "orders"}, "stage": "silver", "type": "Process",
                    "process": {"inputs": [{"name": "bronze", "version": 3}]},
                },
            }))
            .unwrap();
            index.put("StageRun", Some(key), run)
        }
        Comes::Job(status) => {
            let job = json!({"metadata": metadata("job", version), "status": status});
            index.put("Job", Some(key), serde_json::from_value::<Job>(job).unwrap())
        }
        Comes::Pod(status) => {
            let pod = json!({"metadata": metadata("pod", version), "status": status});
            index.put(POD, Some(key), serde_json::from_value::<Pod>(pod).unwrap())
        }
    }
}

fn run(attempt: i32, succeeded: &str, message: &str) -> Comes {
    Comes::Run(json!({"observedGeneration": 1, "attempt": attempt, "conditions": [{
        "type": "Succeeded", "status": succeeded, "reason": "Any", "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}))
}

fn pod(state: &Value) -> Comes {
    Comes::Pod(json!({"phase": "Running", "containerStatuses": [{
        "name": "dbt-runner", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": state,
    }]}))
}

/// When the pipeline is looked at.
fn looks(index: &Index, all: Vec<(u64, Comes)>) -> Vec<u64> {
    let (mut queue, begin) = (Queue::default(), Instant::now());
    let (mut looks, mut all, mut version) = (Vec::new(), all.into_iter().peekable(), 1);
    for millisecond in (0..60_000).step_by(10) {
        let now = begin + Duration::from_millis(millisecond);
        while let Some((_, comes)) = all.next_if(|(at, _)| *at <= millisecond) {
            version += 1;
            for request in file(index, comes, version) {
                queue.ask(request, now);
            }
        }
        while let Some(key) = queue.begin(now) {
            looks.push(millisecond);
            queue.end(key, Some(now + Duration::from_mins(1)));
        }
    }
    looks
}

#[test]
fn a_run_leads_to_few_looks_and_none_of_its_steps_waits() {
    let index = Index::new(|_| None);
    file(&index, Comes::PipelineStatus, 1);
    let waiting = json!({"waiting": {"reason": "ContainerCreating"}});
    let ended = json!({"terminated": {"exitCode": 0}});
    let criteria = json!([{"type": "SuccessCriteriaMet", "status": "True"}]);
    let complete = json!([{"type": "Complete", "status": "True"}]);
    let all = vec![
        // The commit is seen, and the run made.
        (0, Comes::Answer(Urgency::Now)),
        (80, Comes::Run(Value::Null)),
        (90, Comes::PipelineStatus),
        // The attempt is stored, and its Job made.
        (170, run(1, "Unknown", "the Job is about to be made")),
        (180, Comes::Job(Value::Null)),
        (190, Comes::PipelineStatus),
        (300, Comes::Pod(json!({"phase": "Pending"}))),
        (310, Comes::Job(json!({"active": 1}))),
        (400, pod(&waiting)),
        (900, pod(&json!({"running": {}}))),
        (950, Comes::Job(json!({"active": 1, "ready": 1}))),
        (1500, Comes::Answer(Urgency::Soon)),
        (3500, Comes::Answer(Urgency::Soon)),
        (5400, run(1, "Unknown", "attempt 1 is at work")),
        (5410, Comes::PipelineStatus),
        (5500, Comes::Answer(Urgency::Soon)),
        (7500, Comes::Answer(Urgency::Soon)),
        // Its worker ends.
        (9000, pod(&ended)),
        (9080, run(1, "True", "committed")),
        (9090, Comes::PipelineStatus),
        (9100, Comes::Job(json!({"ready": 0}))),
        (9200, Comes::Job(json!({"conditions": criteria}))),
        (9300, Comes::Job(json!({"conditions": complete}))),
        (9310, Comes::PipelineStatus),
    ];
    let looks = looks(&index, all);
    for step in [0, 80, 9000, 9080] {
        let waited = looks.iter().find(|at| **at >= step).map(|at| at - step);
        assert!(waited.is_some_and(|waited| waited <= 60), "{step}: {looks:?}");
    }
    assert!(looks.len() <= 6, "{looks:?}");
}
