//! What became of an object since it was seen: the watch may be late, and what is decided on an old picture must not be done. Talks to the Kubernetes API.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client};
use medallion_crds::{Pipeline, StageRun};
use medallion_plan::PlannedRun;

use crate::api::call::{CallError, call};

/// What became of an object since it was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Since {
    /// Nothing.
    Same,
    /// Somebody has written it: what was decided on it has to be decided anew.
    Changed,
    /// It is gone or about to go, perhaps with another of its name in its place.
    Gone,
}

/// What became of the pipeline. What is made for a pipeline that is gone only has to be removed again.
pub(crate) async fn since(client: &Client, seen: &Pipeline) -> Result<Since, CallError> {
    let metadata = &seen.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let api: Api<Pipeline> = Api::namespaced(client.clone(), namespace);
    let found = call(|| format!("get Pipeline {name}"), api.get_metadata_opt(name)).await?;
    Ok(compare(
        found.as_ref().map(|found| &found.metadata),
        metadata.uid.as_deref(),
        metadata.resource_version.as_deref(),
    ))
}

/// What became of a run. One that has ended meanwhile, or is at its next attempt, must not be given the Job of an old picture.
pub(crate) async fn since_step(client: &Client, namespace: &str, step: &PlannedRun) -> Result<Since, CallError> {
    let api: Api<StageRun> = Api::namespaced(client.clone(), namespace);
    let name = &step.id.name;
    let found = call(|| format!("get StageRun {name}"), api.get_metadata_opt(name)).await?;
    Ok(compare(
        found.as_ref().map(|found| &found.metadata),
        Some(&step.id.uid),
        step.resource_version.as_deref(),
    ))
}

fn compare(found: Option<&ObjectMeta>, uid: Option<&str>, version: Option<&str>) -> Since {
    let same = found.filter(|found| found.uid.as_deref() == uid && found.deletion_timestamp.is_none());
    match same {
        None => Since::Gone,
        Some(found) if found.resource_version.as_deref() == version => Since::Same,
        Some(_) => Since::Changed,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::untouched(Some(("a", "7", false)), Since::Same)]
    #[case::written(Some(("a", "8", false)), Since::Changed)]
    #[case::being_deleted(Some(("a", "7", true)), Since::Gone)]
    #[case::made_anew(Some(("b", "7", false)), Since::Gone)]
    #[case::gone(None, Since::Gone)]
    fn an_object_is_the_same_only_if_nobody_has_written_it(
        #[case] found: Option<(&str, &str, bool)>,
        #[case] since: Since,
    ) {
        let found = found.map(|(uid, version, leaves)| ObjectMeta {
            uid: Some(uid.to_owned()),
            resource_version: Some(version.to_owned()),
            deletion_timestamp: leaves.then_some(Time(Timestamp::UNIX_EPOCH)),
            ..ObjectMeta::default()
        });
        assert_eq!(compare(found.as_ref(), Some("a"), Some("7")), since);
    }
}
