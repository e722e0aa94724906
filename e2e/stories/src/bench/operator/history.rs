//! The runs that a pipeline has behind it: as many succeeded ones of each batch stage as are kept. Touches no network.

use jiff::{SignedDuration, Timestamp};
use medallion_crds::{Reason, Stage, Worker, labels};
use serde_json::{Value, json};

use super::fleet::{FIRST_POSITION, Key};
use super::reports::{TABLES, outputs};

/// The default of `spec.successfulRunsHistoryLimit`.
pub const KEPT: i64 = 20;

/// The stages that have runs, and who does them.
const BATCH: [(Stage, Worker); 3] = [
    (Stage::Silver, Worker::DbtRunner),
    (Stage::Gold, Worker::DbtRunner),
    (Stage::Warehouse, Worker::Loader),
];

/// A run and its status.
pub struct Past {
    pub name: String,
    pub object: Value,
    pub status: Value,
}

/// The runs of a pipeline, the newest of which has consumed everything there is.
pub fn runs((namespace, pipeline): &Key, uid: &str, now: Timestamp) -> impl Iterator<Item = Past> {
    BATCH.into_iter().flat_map(move |(stage, worker)| {
        (1..=KEPT).map(move |number| {
            let ended = now - SignedDuration::from_mins(KEPT - number + 1);
            let name = format!("{pipeline}-{stage}-{number:06}");
            Past {
                object: object((namespace, pipeline, uid), (stage, worker), &name, number),
                status: status(ended),
                name,
            }
        })
    })
}

fn object(
    (namespace, pipeline, uid): (&str, &str, &str),
    (stage, worker): (Stage, Worker),
    name: &str,
    number: i64,
) -> Value {
    let inputs = if stage == Stage::Silver {
        json!([{"name": "bronze", "version": FIRST_POSITION - KEPT + number}])
    } else {
        json!(TABLES.map(|table| json!({"name": table, "version": 1})))
    };
    json!({
        "apiVersion": "medallion.dev/v1alpha1",
        "kind": "StageRun",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {
                labels::MANAGED_BY: labels::MANAGER,
                labels::PIPELINE: pipeline,
                labels::STAGE: stage,
                labels::WORKER: worker,
                "app.kubernetes.io/name": worker,
                "app.kubernetes.io/part-of": "medallion",
            },
            "annotations": {labels::PIPELINE_GENERATION: "1", labels::LAUNCH_HASH: "0".repeat(64)},
            "ownerReferences": [{
                "apiVersion": "medallion.dev/v1alpha1", "kind": "Pipeline", "name": pipeline, "uid": uid,
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "pipelineRef": {"name": pipeline},
            "stage": stage,
            "type": "Process",
            "process": {"inputs": inputs},
        },
    })
}

fn status(ended: Timestamp) -> Value {
    let condition = |kind: &str, status: &str| {
        json!({
            "type": kind, "status": status, "reason": Reason::Committed, "message": "1000 rows are committed",
            "lastTransitionTime": ended, "observedGeneration": 1,
        })
    };
    let begun = ended - SignedDuration::from_secs(5);
    json!({
        "observedGeneration": 1,
        "attempt": 1,
        "startTime": begun,
        "attemptTime": begun,
        "completionTime": ended,
        "rows": 1000,
        "outputs": outputs(),
        "conditions": [
            condition("Succeeded", "True"), condition("Reconciling", "False"), condition("Stalled", "False"),
        ],
    })
}

#[cfg(test)]
mod tests {
    use medallion_crds::{StageRun, StageRunStatus};

    use super::*;

    #[test]
    fn each_batch_stage_has_its_history_and_the_newest_run_has_taken_everything() {
        let key = ("bench-00".to_owned(), "p-0000".to_owned());
        let runs: Vec<_> = runs(&key, "uid", Timestamp::UNIX_EPOCH).collect();
        assert_eq!(runs.len(), 60);
        for past in &runs {
            let run: StageRun = serde_json::from_value(past.object.clone()).unwrap();
            assert_eq!(run.metadata.name.as_ref(), Some(&past.name));
            let status: StageRunStatus = serde_json::from_value(past.status.clone()).unwrap();
            assert!(status.completion_time.is_some());
        }
        let newest: StageRun = serde_json::from_value(runs[19].object.clone()).unwrap();
        assert_eq!(newest.spec.inputs()[0].version, FIRST_POSITION);
    }
}
