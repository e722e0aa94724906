//! Drops from ended runs what is read of the newest ones alone: history must not be what an operator's memory is full of. No network.

use std::sync::Arc;

use kube::ResourceExt;
use medallion_crds::{REQUESTED_AT_ANNOTATION, StageRun, labels};

use super::run;

/// Drops the details of ended runs of one stage, but of the newest one, the newest that succeeded and the newest that failed: inputs,
/// outputs, failures, words. What an old run is counted, ordered and removed by stays.
pub fn forget_details<'a>(runs: impl Iterator<Item = &'a mut Arc<StageRun>>) {
    let mut ended: Vec<_> = runs.filter(|run| run::is_over(run)).collect();
    let made = |run: &StageRun| (run.creation_timestamp(), run.name_any());
    let completed = |run: &StageRun| {
        let status = run.status.as_ref();
        (status.and_then(|status| status.completion_time.clone()), run.name_any())
    };
    let of = |outcome: fn(&StageRun) -> bool| {
        let all = ended.iter().map(|run| &***run).filter(move |run| outcome(run));
        (
            all.clone().max_by_key(|run| made(run)),
            all.max_by_key(|run| completed(run)),
        )
    };
    let (succeeded, failed) = (of(run::has_succeeded), of(run::has_failed));
    let read: Vec<String> = [succeeded.0, succeeded.1, failed.0, failed.1]
        .into_iter()
        .flatten()
        .map(ResourceExt::name_any)
        .collect();
    for run in &mut ended {
        if has_details(run) && !read.contains(&run.name_any()) {
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
