//! Gathers what stands in the cluster for one pipeline: from the stores, and live where a store alone must not decide. Talks to the Kubernetes API.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{Lookup, Store};
use kube::{Api, Resource, ResourceExt};
use medallion_crds::{Pipeline, StageRun, labels};
use medallion_plan::{Contract, Observed, PlannedRun, ValidatedPipeline, digest, is_over, pod_has_ended};

use crate::calls::{CallError, call};
use crate::context::Context;
use crate::memory::{KnownContract, Memory, is_recent};
use crate::scope::Scope;

/// How long an answer about the contract's `ConfigMap` holds.
const CONTRACT_FOUND: Duration = Duration::from_secs(20);
const CONTRACT_MISSING: Duration = Duration::from_secs(2);
/// How long a pod may take to start, or a Job to get one, before their events are asked.
const SLOW_START_SECONDS: i64 = 5;
/// How long an answer about a pod's events holds.
const EVENTS: Duration = Duration::from_secs(8);

/// What stands in the cluster.
pub(crate) async fn observe(
    context: &Context,
    scope: &Scope,
    stored: &Pipeline,
    pipeline: &ValidatedPipeline,
    memory: &mut Memory,
) -> Result<Observed, CallError> {
    let runs: Vec<StageRun> = readable(&scope.runs, |run| {
        run.metadata.namespace.as_ref() == Some(&pipeline.namespace) && run.spec.pipeline_ref.name == pipeline.name
    });
    let owners: HashSet<String> = runs
        .iter()
        .filter_map(ResourceExt::uid)
        .chain([pipeline.uid.clone()])
        .collect();
    let jobs = readable(&scope.jobs, |job| is_child(job, pipeline) && is_owned(job, &owners));
    let deployments = readable(&scope.deployments, |deployment| {
        is_child(deployment, pipeline) && is_owned(deployment, &owners)
    });
    let pods = readable(&scope.pods, |pod| is_child(pod, pipeline));
    let mut observed = Observed {
        stored: stored.status.clone().unwrap_or_default(),
        contract: contract(context, pipeline, memory).await,
        deployments,
        jobs,
        pods,
        runs,
        progress: BTreeMap::new(),
        warnings: BTreeMap::new(),
        apply_failure: memory.apply_failure.clone(),
    };
    confirm_lost_jobs(context, pipeline, &mut observed).await?;
    confirm_lost_pods(context, pipeline, &mut observed).await?;
    observed.progress = context.progress.of(&observed.pods);
    observed.warnings = warnings(context, pipeline, &observed, memory).await;
    Ok(observed)
}

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

/// What became of the pipeline. The store may be late, and what is made for a pipeline that is gone only has to be removed again.
pub(crate) async fn since(context: &Context, seen: &Pipeline) -> Result<Since, CallError> {
    let metadata = &seen.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let api: Api<Pipeline> = Api::namespaced(context.client.clone(), namespace);
    let found = call(|| format!("get Pipeline {name}"), api.get_metadata_opt(name)).await?;
    Ok(compare(
        found.as_ref().map(|found| &found.metadata),
        metadata.uid.as_deref(),
        metadata.resource_version.as_deref(),
    ))
}

/// What became of a run. One that has ended meanwhile, or is at its next attempt, must not be given the Job of an old picture.
pub(crate) async fn since_step(
    context: &Context,
    pipeline: &ValidatedPipeline,
    step: &PlannedRun,
) -> Result<Since, CallError> {
    let api: Api<StageRun> = Api::namespaced(context.client.clone(), &pipeline.namespace);
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

fn readable<K>(store: &Store<DeserializeGuard<K>>, keep: impl Fn(&K) -> bool) -> Vec<K>
where
    K: Resource + Clone + 'static,
    DeserializeGuard<K>: Lookup,
    <DeserializeGuard<K> as Lookup>::DynamicType: Eq + std::hash::Hash + Clone,
{
    let mut all: Vec<K> = store
        .state()
        .iter()
        .filter_map(|guarded| guarded.0.as_ref().ok())
        .filter(|object| keep(object))
        .cloned()
        .collect();
    all.sort_by(|one, other| one.meta().name.cmp(&other.meta().name));
    all
}

fn is_child<K: Resource>(object: &K, pipeline: &ValidatedPipeline) -> bool {
    object.meta().namespace.as_deref() == Some(&pipeline.namespace)
        && object.labels().get(labels::PIPELINE) == Some(&pipeline.name)
}

fn is_owned<K: Resource>(object: &K, owners: &HashSet<String>) -> bool {
    object
        .owner_references()
        .iter()
        .any(|owner| owners.contains(&owner.uid))
}

/// A Job that the status names and the store does not know may only be late in the store: the server decides.
async fn confirm_lost_jobs(
    context: &Context,
    pipeline: &ValidatedPipeline,
    observed: &mut Observed,
) -> Result<(), CallError> {
    let missing: Vec<String> = observed
        .runs
        .iter()
        .filter(|run| !is_over(run))
        .filter_map(|run| {
            run.status
                .as_ref()
                .filter(|status| status.retry_time.is_none())?
                .job
                .clone()
        })
        .filter(|name| observed.job(name).is_none())
        .collect();
    let api: Api<Job> = Api::namespaced(context.client.clone(), &pipeline.namespace);
    for name in missing {
        observed
            .jobs
            .extend(call(|| format!("get Job {name}"), api.get_opt(&name)).await?);
    }
    Ok(())
}

/// The pod that holds an ended Job's report may only be late in the store.
async fn confirm_lost_pods(
    context: &Context,
    pipeline: &ValidatedPipeline,
    observed: &mut Observed,
) -> Result<(), CallError> {
    let current: HashSet<String> = observed
        .runs
        .iter()
        .filter(|run| !is_over(run))
        .filter_map(|run| {
            run.status
                .as_ref()
                .filter(|status| status.retry_time.is_none())?
                .job
                .clone()
        })
        .collect();
    let api: Api<Pod> = Api::namespaced(context.client.clone(), &pipeline.namespace);
    let ended: Vec<Job> = observed
        .jobs
        .iter()
        .filter(|job| current.contains(&job.name_any()) && has_ended(job))
        .filter(|job| !observed.pods_of_job(job).iter().any(|pod| has_terminated(pod)))
        .cloned()
        .collect();
    for job in ended {
        let selector = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={}", job.name_any()));
        let found = call(|| format!("list pods of Job {}", job.name_any()), api.list(&selector)).await?;
        for pod in found {
            observed.pods.retain(|known| known.metadata.uid != pod.metadata.uid);
            observed.pods.push(pod);
        }
    }
    Ok(())
}

fn has_ended(job: &Job) -> bool {
    let conditions = job
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    conditions
        .iter()
        .any(|condition| condition.status == "True" && (condition.type_ == "Complete" || condition.type_ == "Failed"))
}

fn has_terminated(pod: &Pod) -> bool {
    state_of(pod).is_some_and(|state| state.terminated.is_some())
}

fn state_of(pod: &Pod) -> Option<&k8s_openapi::api::core::v1::ContainerState> {
    pod.status
        .as_ref()?
        .container_statuses
        .as_ref()?
        .first()?
        .state
        .as_ref()
}

async fn contract(context: &Context, pipeline: &ValidatedPipeline, memory: &mut Memory) -> Contract {
    let reference = &pipeline.schema_ref;
    let known = memory.contract(reference);
    if let Some(known) = known {
        let holds = if matches!(known.answer, Contract::Found { .. }) {
            CONTRACT_FOUND
        } else {
            CONTRACT_MISSING
        };
        if known.asked.elapsed() < holds {
            return known.answer.clone();
        }
    }
    let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), &pipeline.namespace);
    let answer = match call(
        || format!("get ConfigMap {}", reference.name),
        api.get_opt(&reference.name),
    )
    .await
    {
        Ok(None) => Contract::Missing,
        Ok(Some(found)) => {
            let data = found.data.unwrap_or_default();
            match data.get(&reference.key) {
                Some(schema) => Contract::Found {
                    digest: digest(&[&reference.name, schema]),
                },
                None => Contract::KeyMissing {
                    keys: data.into_keys().collect(),
                },
            }
        }
        Err(error) => {
            // What was known stays true until somebody says otherwise.
            tracing::warn!(%error, pipeline = pipeline.name, "contract not readable");
            return known.map(|known| known.answer.clone()).unwrap_or_default();
        }
    };
    memory.contract = Some(KnownContract {
        reference: reference.clone(),
        asked: Instant::now(),
        answer: answer.clone(),
    });
    answer
}

/// Why slow pods do not start and Jobs get none: a Secret that cannot be mounted and a quota that is full show in events alone.
async fn warnings(
    context: &Context,
    pipeline: &ValidatedPipeline,
    observed: &Observed,
    memory: &mut Memory,
) -> BTreeMap<String, String> {
    let now = Timestamp::now();
    let pods = observed
        .pods
        .iter()
        .filter(|pod| waits(pod) && is_slow(*pod, now))
        .filter_map(ResourceExt::uid);
    let jobs = observed
        .jobs_without_pods()
        .filter(|job| is_slow(*job, now))
        .filter_map(ResourceExt::uid);
    let slow: Vec<String> = pods.chain(jobs).collect();
    memory.warnings.retain(|uid, _| slow.contains(uid));
    let api: Api<Event> = Api::namespaced(context.client.clone(), &pipeline.namespace);
    let mut found = BTreeMap::new();
    for uid in slow {
        let known = memory.warnings.get(&uid);
        if !is_recent(known.map(|(asked, _)| *asked), EVENTS) {
            let selector = ListParams::default()
                .fields(&format!("involvedObject.uid={uid},type=Warning"))
                .limit(50);
            match call(|| format!("list events of {uid}"), api.list(&selector)).await {
                Ok(events) => {
                    memory
                        .warnings
                        .insert(uid.clone(), (Instant::now(), newest(events.items)));
                }
                Err(error) => tracing::warn!(%error, "events not readable"),
            }
        }
        if let Some((_, Some(message))) = memory.warnings.get(&uid) {
            found.insert(uid, message.clone());
        }
    }
    found
}

fn waits(pod: &Pod) -> bool {
    !pod_has_ended(pod) && state_of(pod).is_none_or(|state| state.running.is_none() && state.terminated.is_none())
}

fn is_slow<K: Resource>(object: &K, now: Timestamp) -> bool {
    let metadata = object.meta();
    let created = metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    metadata.deletion_timestamp.is_none() && now.as_second() - created.as_second() >= SLOW_START_SECONDS
}

fn newest(events: Vec<Event>) -> Option<String> {
    let time = |event: &Event| {
        let last = event.last_timestamp.as_ref().map(|time| time.0);
        last.or(event.event_time.as_ref().map(|time| time.0)).or(event
            .metadata
            .creation_timestamp
            .as_ref()
            .map(|time| time.0))
    };
    events.into_iter().max_by_key(time)?.message
}

#[cfg(test)]
mod tests {
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
