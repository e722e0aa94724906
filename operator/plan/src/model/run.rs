//! Reads what runs say about themselves. No network.

use std::cmp::Ordering;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use medallion_crds::launch::ExitCode;
use medallion_crds::{Reason, StageRun, labels};

use super::conditions;
use super::pipeline::ValidatedPipeline;

/// Whether a run has ended; its end is final.
pub fn is_over(run: &StageRun) -> bool {
    succeeded_status(run).is_some_and(|status| status != "Unknown")
}

/// Whether a run has ended well.
pub(crate) fn has_succeeded(run: &StageRun) -> bool {
    succeeded_status(run) == Some("True")
}

/// Whether a run has ended, and not well.
pub(crate) fn has_failed(run: &StageRun) -> bool {
    succeeded_status(run) == Some("False")
}

/// Whether new input may let a stage succeed that failed in such a way. It does not change settings, heal what may have lost data, or
/// displace another owner or rows that it did not load: somebody has to do something first.
pub(crate) fn is_helped_by_new_data(exit_code: Option<i32>, reason: &Reason) -> bool {
    let ended = exit_code.and_then(ExitCode::from_code);
    let by_people = [Reason::OwnedByAnother, Reason::TableNotEmpty, Reason::DbtProjectUnfit];
    !matches!(ended, Some(ExitCode::LossRisk | ExitCode::Settings)) && !by_people.contains(reason)
}

fn succeeded_status(run: &StageRun) -> Option<&str> {
    let conditions = &run.status.as_ref()?.conditions;
    conditions::find(conditions, "Succeeded").map(|condition| condition.status.as_str())
}

/// The order in which runs were made; of one second, by name.
pub(crate) fn by_creation(one: &StageRun, other: &StageRun) -> Ordering {
    let (one, other) = (&one.metadata, &other.metadata);
    (&one.creation_timestamp, &one.name).cmp(&(&other.creation_timestamp, &other.name))
}

/// The order in which runs have ended; of one second, by name.
pub(crate) fn by_completion(one: &StageRun, other: &StageRun) -> Ordering {
    (completed(one), &one.metadata.name).cmp(&(completed(other), &other.metadata.name))
}

fn completed(run: &StageRun) -> Option<&Time> {
    run.status.as_ref()?.completion_time.as_ref()
}

/// Whether a run is this pipeline's, and not one of an earlier pipeline of the same name. Those that the operator made name their
/// pipeline as owner; those of a person do not, and may be there before their pipeline, but were not begun before it.
pub(crate) fn belongs(run: &StageRun, pipeline: &ValidatedPipeline) -> bool {
    let owners = run.owner_references();
    let is_of_this_one = if owners.is_empty() {
        !is_of_an_earlier(run, pipeline)
    } else {
        owners.iter().any(|owner| owner.uid == pipeline.uid)
    };
    run.spec.pipeline_ref.name == pipeline.name && is_of_this_one
}

/// Whether a person's run was begun, or has ended without having been, before the pipeline was made: an earlier one of that name was it
/// that carried it out, and its tables may have been others.
pub(crate) fn is_of_an_earlier(run: &StageRun, pipeline: &ValidatedPipeline) -> bool {
    let status = run.status.as_ref();
    let begun = status.and_then(|status| status.start_time.as_ref().or(status.completion_time.as_ref()));
    run.owner_references().is_empty()
        && run.spec.pipeline_ref.name == pipeline.name
        && begun
            .zip(pipeline.created)
            .is_some_and(|(begun, created)| begun.0 < created)
}

/// Whether the operator made the run, so that it may also remove it.
pub(crate) fn is_own(run: &StageRun, pipeline: &ValidatedPipeline) -> bool {
    run.owner_references().iter().any(|owner| owner.uid == pipeline.uid) && is_made_by_operator(run)
}

/// Whether a run has not lost its details yet, as those of old ones are.
pub(crate) const fn has_details(run: &StageRun) -> bool {
    run.spec.process.is_some()
}

/// Whether the operator made a run. A map of one label takes half a kilobyte: of runs without details, those of the operator have an
/// empty map, and those of others none.
pub(crate) fn is_made_by_operator(run: &StageRun) -> bool {
    let Some(labels) = &run.metadata.labels else {
        return false;
    };
    let has_lost_them = labels.is_empty() && !has_details(run);
    has_lost_them
        || labels
            .get(labels::MANAGED_BY)
            .is_some_and(|manager| manager == labels::MANAGER)
}

/// Whether a run was made for an earlier generation of the spec.
pub(crate) fn is_older(run: &StageRun, pipeline: &ValidatedPipeline) -> bool {
    run.annotations()
        .get(labels::PIPELINE_GENERATION)
        .and_then(|text| text.parse::<i64>().ok())
        .is_some_and(|generation| generation < pipeline.generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_people_can_change_is_not_helped_by_new_data() {
        let record = Some(20);
        for reason in [Reason::OwnedByAnother, Reason::TableNotEmpty, Reason::DbtProjectUnfit] {
            assert!(!is_helped_by_new_data(record, &reason), "{reason}");
        }
        for ended in [ExitCode::LossRisk, ExitCode::Settings] {
            assert!(
                !is_helped_by_new_data(Some(i32::from(ended.code())), &Reason::DbtFailed),
                "{ended:?}"
            );
        }
        for ended in [record, Some(21), Some(137), None] {
            assert!(is_helped_by_new_data(ended, &Reason::DbtFailed), "{ended:?}");
        }
    }
}
