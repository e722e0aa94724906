//! Drops from ended runs what is read of the newest ones alone: history must not be what an operator's memory is full of. No network.

use std::cmp::Ordering;
use std::sync::Arc;

use medallion_crds::{REQUESTED_AT_ANNOTATION, StageRun, labels};

use super::run;

/// Drops the details of ended runs of one stage, but of the newest one, the newest that succeeded and the newest that failed: inputs,
/// outputs, failures, words. What an old run is counted, ordered and removed by stays.
pub fn forget_details<'a>(runs: impl Iterator<Item = &'a mut Arc<StageRun>>) {
    // This is asked for each run that is filed: most have lost their details long ago, and few are left to choose from.
    let mut ended: Vec<_> = runs.filter(|run| has_details(run) && run::is_over(run)).collect();
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

fn has_details(run: &StageRun) -> bool {
    run.spec.process.is_some()
}

fn forget(run: &mut StageRun) {
    let metadata = &mut run.metadata;
    if let Some(labels) = &mut metadata.labels {
        labels.retain(|key, _| key == labels::MANAGED_BY);
    }
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
