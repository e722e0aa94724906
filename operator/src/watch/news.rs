//! What the change of a watched object is to its pipeline: somebody waits for it, or it may wait, or nothing of it is read. No network.
//!
//! An API server sends some thirty changes for one run, most of them the operator's own writes coming back, or steps of others on the
//! way to what counts. A look for each would be most of what the operator does.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use medallion_crds::{StageRun, labels};
use medallion_plan::{Pod, is_over, job_has_ended, pod_has_ended, worker_state};

use crate::requests::Urgency;
use crate::watch::room::{GuardedPipeline, Room};

/// An object before and after a change; `None`: it was not there, or is no longer.
pub(crate) struct Change<'a, T> {
    pub before: Option<&'a T>,
    pub after: Option<&'a T>,
}

impl<T> Change<'_, T> {
    /// Whether a fact of the object has become true with the change.
    fn becomes(&self, fact: impl Fn(&T) -> bool) -> bool {
        !self.before.is_some_and(&fact) && self.after.is_some_and(&fact)
    }
}

/// A pipeline: of the status alone this operator is the writer, and knows what it wrote.
pub(crate) fn of_pipeline(before: Option<&GuardedPipeline>, after: &GuardedPipeline) -> Urgency {
    let is_readable = |object: &GuardedPipeline| object.0.is_ok();
    match before {
        Some(before) if is_readable(before) && is_readable(after) && is_same(before.meta(), after.meta()) => {
            Urgency::Soon
        }
        _ => Urgency::Now,
    }
}

/// A run: one that comes, ends, or waits for another attempt has a next step. What else its status tells, the operator wrote, an attempt
/// together with its Job.
pub(crate) fn of_run(change: &Change<'_, StageRun>) -> Urgency {
    match (change.before, change.after) {
        (Some(gone), None) if is_over(gone) => Urgency::Soon,
        (Some(before), Some(after)) if is_same(&before.metadata, &after.metadata) && step(before) == step(after) => {
            Urgency::Soon
        }
        _ => Urgency::Now,
    }
}

/// How far a run is: what its next step is decided by.
fn step(run: &StageRun) -> (bool, bool) {
    let status = run.status.as_ref();
    (is_over(run), status.is_some_and(|status| status.retry_time.is_some()))
}

/// A Job: what counts is its end. How many of its pods are active or ready, its pods tell themselves.
pub(crate) fn of_job(change: &Change<'_, Job>, room: &Room) -> Option<Urgency> {
    let is_lost = change.after.is_none() && change.before.is_some_and(|gone| !job_has_ended(gone));
    if (is_lost || change.becomes(job_has_ended)) && !is_of_ended_run(change, room) {
        return Some(Urgency::Now);
    }
    match (change.before, change.after) {
        (Some(before), Some(after))
            if is_same(&before.metadata, &after.metadata) && job_has_ended(before) == job_has_ended(after) =>
        {
            None
        }
        _ => Some(Urgency::Soon),
    }
}

/// A pod: what counts is the end of its worker. On its way there it only has something to tell.
pub(crate) fn of_pod(change: &Change<'_, Pod>, room: &Room) -> Option<Urgency> {
    let has_ended = |pod: &Pod| pod_has_ended(pod) || worker_state(pod).is_some_and(|state| state.terminated.is_some());
    if change.becomes(has_ended) && !is_of_ended_run(change, room) {
        return Some(Urgency::Now);
    }
    match (change.before, change.after) {
        (Some(before), Some(after)) if is_same(&before.metadata, &after.metadata) && before.status == after.status => {
            None
        }
        _ => Some(Urgency::Soon),
    }
}

/// A Deployment: what counts is that it does what it was asked to.
pub(crate) fn of_deployment(change: &Change<'_, Deployment>, _: &Room) -> Option<Urgency> {
    if change.becomes(has_rolled_out) {
        return Some(Urgency::Now);
    }
    match (change.before, change.after) {
        (Some(before), Some(after)) if is_same(&before.metadata, &after.metadata) && before.status == after.status => {
            None
        }
        _ => Some(Urgency::Soon),
    }
}

fn has_rolled_out(deployment: &Deployment) -> bool {
    let Some(status) = &deployment.status else { return false };
    status.observed_generation == deployment.metadata.generation
        && status.updated_replicas == status.replicas
        && status.available_replicas == status.replicas
}

/// What is left of a run that has ended: its result is stored.
fn is_of_ended_run<T: Resource>(change: &Change<'_, T>, room: &Room) -> bool {
    let object = change.after.or(change.before);
    let labels = object.and_then(|object| object.meta().labels.as_ref());
    let run = labels.and_then(|labels| room.runs.get(labels.get(labels::RUN)?.as_str()));
    run.is_some_and(|run| is_over(run))
}

/// Whether nothing but the status, and the version with it, has changed.
fn is_same(before: &ObjectMeta, after: &ObjectMeta) -> bool {
    before.uid == after.uid
        && before.generation == after.generation
        && before.deletion_timestamp == after.deletion_timestamp
        && before.labels == after.labels
        && before.annotations == after.annotations
        && before.owner_references == after.owner_references
        && before.finalizers == after.finalizers
}

#[cfg(test)]
mod tests {
    use medallion_crds::Pipeline;
    use rstest::rstest;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;
    use crate::watch::guard::Guarded;

    const NOW: Option<Urgency> = Some(Urgency::Now);
    const SOON: Option<Urgency> = Some(Urgency::Soon);

    fn read<T: DeserializeOwned>(object: Value) -> Option<T> {
        serde_json::from_value(object).unwrap()
    }

    fn run(status: &Value) -> Value {
        json!({
            "metadata": {"name": "orders-silver-000001", "uid": "run"},
            "spec": {
                "pipelineRef": {"name": "orders"}, "stage": "silver", "type": "Process",
                "process": {"inputs": [{"name": "bronze", "version": 3}]},
            },
            "status": status,
        })
    }

    fn status(attempt: i32, succeeded: &str) -> Value {
        json!({"observedGeneration": 1, "attempt": attempt, "conditions": [{
            "type": "Succeeded", "status": succeeded, "reason": "Any", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]})
    }

    fn with(mut object: Value, field: &str, value: Value) -> Value {
        object[field] = value;
        object
    }

    #[rstest]
    #[case::new(Value::Null, run(&Value::Null), Urgency::Now)]
    #[case::first_attempt(run(&Value::Null), run(&status(1, "Unknown")), Urgency::Soon)]
    #[case::next_attempt(run(&status(1, "Unknown")), run(&status(2, "Unknown")), Urgency::Soon)]
    #[case::backs_off(
        run(&status(1, "Unknown")),
        run(&with(status(1, "Unknown"), "retryTime", json!("2026-01-01T00:00:00Z"))),
        Urgency::Now
    )]
    #[case::ended(run(&status(1, "Unknown")), run(&status(1, "True")), Urgency::Now)]
    #[case::its_job_was_seen(
        run(&status(1, "Unknown")),
        run(&with(status(1, "Unknown"), "job", json!("orders-silver-000001-1"))),
        Urgency::Soon
    )]
    #[case::deleted_under_way(run(&status(1, "Unknown")), Value::Null, Urgency::Now)]
    #[case::no_longer_kept(run(&status(1, "True")), Value::Null, Urgency::Soon)]
    fn a_run_is_looked_at_when_it_has_a_next_step(
        #[case] before: Value,
        #[case] after: Value,
        #[case] urgency: Urgency,
    ) {
        let (before, after): (Option<StageRun>, Option<StageRun>) = (read(before), read(after));
        let change = Change {
            before: before.as_ref(),
            after: after.as_ref(),
        };
        assert_eq!(of_run(&change), urgency);
    }

    fn of_the_run() -> Value {
        json!({labels::RUN: "orders-silver-000001", labels::WORKER: "dbt-runner"})
    }

    fn job(status: &Value) -> Value {
        json!({"metadata": {"name": "j", "labels": of_the_run()}, "status": status})
    }

    fn pod(state: &Value) -> Value {
        let container = json!({
            "name": "dbt-runner", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": state,
        });
        json!({"metadata": {"name": "p", "labels": of_the_run()}, "status": {"containerStatuses": [container]}})
    }

    fn room(succeeded: &str) -> Room {
        let mut room = Room::default();
        let run: Option<StageRun> = read(run(&status(1, succeeded)));
        room.runs.insert("orders-silver-000001".into(), run.unwrap().into());
        room
    }

    #[rstest]
    #[case::new(Value::Null, job(&Value::Null), SOON)]
    #[case::has_a_pod(job(&Value::Null), job(&json!({"active": 1, "ready": 1})), None)]
    #[case::about_to_end(
        job(&json!({"active": 1})),
        job(&json!({"conditions": [{"type": "SuccessCriteriaMet", "status": "True"}]})),
        None
    )]
    #[case::ended(job(&json!({"active": 1})), job(&json!({"conditions": [{"type": "Complete", "status": "True"}]})), NOW)]
    #[case::deleted_at_work(job(&json!({"active": 1})), Value::Null, NOW)]
    #[case::no_longer_kept(job(&json!({"conditions": [{"type": "Failed", "status": "True"}]})), Value::Null, SOON)]
    fn a_job_is_looked_at_when_it_ends(#[case] before: Value, #[case] after: Value, #[case] urgency: Option<Urgency>) {
        let (before, after): (Option<Job>, Option<Job>) = (read(before), read(after));
        let change = Change {
            before: before.as_ref(),
            after: after.as_ref(),
        };
        assert_eq!(of_job(&change, &room("Unknown")), urgency);
        assert_eq!(
            of_job(&change, &Room::default()),
            urgency,
            "the watch of runs may be late"
        );
        let over = of_job(&change, &room("True"));
        assert_ne!(over, NOW, "its result is stored");
    }

    #[rstest]
    #[case::new(Value::Null, pod(&json!({"waiting": {"reason": "ContainerCreating"}})), SOON)]
    #[case::starts(pod(&json!({"waiting": {}})), pod(&json!({"running": {}})), SOON)]
    #[case::untouched(pod(&json!({"running": {}})), pod(&json!({"running": {}})), None)]
    #[case::ended(pod(&json!({"running": {}})), pod(&json!({"terminated": {"exitCode": 0}})), NOW)]
    #[case::gone(pod(&json!({"terminated": {"exitCode": 0}})), Value::Null, SOON)]
    fn a_pod_is_looked_at_when_its_worker_ends(
        #[case] before: Value,
        #[case] after: Value,
        #[case] urgency: Option<Urgency>,
    ) {
        let (before, after): (Option<Pod>, Option<Pod>) = (read(before), read(after));
        let change = Change {
            before: before.as_ref(),
            after: after.as_ref(),
        };
        assert_eq!(of_pod(&change, &room("Unknown")), urgency);
        assert_ne!(of_pod(&change, &room("True")), NOW, "its result is stored");
    }

    #[test]
    fn a_deployment_is_looked_at_when_it_has_rolled_out() {
        let deployment = |status: Value| -> Option<Deployment> {
            read(json!({"metadata": {"name": "d", "generation": 2}, "status": status}))
        };
        let all = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        let [stands, one, old] = [
            deployment(all.clone()),
            deployment(with(all.clone(), "availableReplicas", json!(1))),
            deployment(with(all, "observedGeneration", json!(1))),
        ];
        let of = |before: &Option<Deployment>, after: &Option<Deployment>| {
            let change = Change {
                before: before.as_ref(),
                after: after.as_ref(),
            };
            of_deployment(&change, &Room::default())
        };
        assert_eq!(of(&one, &stands), NOW);
        assert_eq!(of(&old, &stands), NOW);
        assert_eq!(of(&old, &one), SOON);
        assert_eq!(of(&stands, &one), SOON);
        assert_eq!(of(&stands, &stands), None);
    }

    #[test]
    fn a_pipeline_is_looked_at_when_its_wish_changes_and_not_for_its_status() {
        let text = include_str!("../../../crds/examples/smallest.yaml");
        let pipeline = |change: fn(&mut Pipeline)| {
            let mut pipeline: Pipeline = serde_saphyr::from_str(text).unwrap();
            pipeline.metadata.generation = Some(1);
            change(&mut pipeline);
            Guarded(Ok(pipeline))
        };
        let before = pipeline(|_| {});
        assert_eq!(of_pipeline(None, &before), Urgency::Now);
        let with_status = pipeline(|pipeline| {
            pipeline.metadata.resource_version = Some("2".to_owned());
            pipeline.status = Some(medallion_crds::PipelineStatus::default());
        });
        assert_eq!(of_pipeline(Some(&before), &with_status), Urgency::Soon);
        let changes: [fn(&mut Pipeline); 2] = [
            |pipeline| pipeline.metadata.generation = Some(2),
            |pipeline| {
                pipeline.metadata.annotations =
                    Some([("medallion.dev/requested-at".to_owned(), "now".to_owned())].into());
            },
        ];
        for change in changes {
            assert_eq!(of_pipeline(Some(&before), &pipeline(change)), Urgency::Now);
        }
    }
}
