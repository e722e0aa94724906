//! Drops from ended runs what is read of the newest ones alone: history must not be what an operator's memory is full of. No network.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use medallion_crds::{REQUESTED_AT_ANNOTATION, StageRun};

use super::run;

/// Drops the details of ended runs of one stage, but of the newest one, the newest that succeeded and the newest that failed: inputs,
/// outputs, failures, words. What an old run is counted, ordered and removed by stays.
pub fn forget_details<'a>(runs: impl Iterator<Item = &'a mut Arc<StageRun>>) {
    // This is asked for each run that is filed: most have lost their details long ago, and few are left to choose from.
    let mut ended: Vec<_> = runs.filter(|run| run::has_details(run) && run::is_over(run)).collect();
    let last = |outcome: fn(&StageRun) -> bool, order: fn(&StageRun, &StageRun) -> Ordering| {
        let all = ended.iter().enumerate().filter(|(_, run)| outcome(run));
        all.max_by(|(_, one), (_, other)| order(one, other))
            .map(|(place, _)| place)
    };
    let read = [
        last(run::has_succeeded, run::by_creation),
        last(run::has_succeeded, run::by_completion),
        last(run::has_failed, run::by_creation),
        last(run::has_failed, run::by_completion),
    ];
    for (place, run) in ended.iter_mut().enumerate() {
        if !read.contains(&Some(place)) {
            forget(Arc::make_mut(run));
        }
    }
}

fn forget(run: &mut StageRun) {
    let own = run::is_made_by_operator(run);
    let metadata = &mut run.metadata;
    metadata.labels = own.then(BTreeMap::new);
    if let Some(annotations) = &mut metadata.annotations {
        annotations.retain(|key, _| key == REQUESTED_AT_ANNOTATION);
    }
    metadata.annotations = metadata.annotations.take().filter(|kept| !kept.is_empty());
    if let Some(owners) = &mut metadata.owner_references {
        owners.shrink_to_fit();
    }
    run.spec.process = None;
    let Some(status) = &mut run.status else { return };
    status.conditions.retain(|condition| condition.type_ == "Succeeded");
    for condition in &mut status.conditions {
        condition.message = String::new();
    }
    status.conditions.shrink_to_fit();
    (status.outputs, status.failures) = (Vec::new(), Vec::new());
    (status.progress, status.job) = (None, None);
}

#[cfg(test)]
mod tests {
    use medallion_crds::labels;
    use serde_json::{Value, json};

    use super::*;

    fn made_with(labels: &Value) -> StageRun {
        serde_json::from_value(json!({
            "metadata": {"name": "orders-silver-000001", "labels": labels},
            "spec": {
                "pipelineRef": {"name": "orders"}, "stage": "silver", "type": "Process",
                "process": {"inputs": [{"name": "bronze", "version": 3}]},
            },
        }))
        .unwrap()
    }

    #[test]
    fn who_made_a_run_is_known_without_its_labels() {
        let of_operator = json!({labels::MANAGED_BY: labels::MANAGER, labels::STAGE: "silver"});
        let of_others = json!({labels::STAGE: "silver"});
        for (labels, own) in [(of_operator, true), (of_others, false), (Value::Null, false)] {
            let mut made = made_with(&labels);
            assert_eq!(run::is_made_by_operator(&made), own, "{labels}");
            for _ in 0..2 {
                forget(&mut made);
                assert_eq!(run::is_made_by_operator(&made), own, "{labels}, without details");
                assert!(made.metadata.labels.as_ref().is_none_or(BTreeMap::is_empty));
            }
        }
    }
}
