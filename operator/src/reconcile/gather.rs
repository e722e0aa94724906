//! Gathers what stands in the cluster for one pipeline: from its room, and live where a watch alone must not decide. Talks to the Kubernetes API.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::api::ListParams;
use kube::{Api, Client, Resource, ResourceExt};
use medallion_crds::launch::schema_digest;
use medallion_crds::{Pipeline, StageRun};
use medallion_plan::{
    Contract, Observed, Pod, Shared, ValidatedPipeline, is_over, job_has_ended, job_of_provisioner, job_of_run,
    pod_has_ended, worker_state,
};

use crate::api::call::{CallError, call};
use crate::cache::{Cache, KnownContract, is_recent};
use crate::poll::board::Board;
use crate::watch::room::{Room, Shelf};
use crate::watch::slim::Slim;

/// How long an answer about the contract's `ConfigMap` holds while all is well. It is not meant to be changed in place, and pods that
/// start anew compare it themselves.
const CONTRACT_FOUND: Duration = Duration::from_mins(5);
/// The same while something has to be said of the pipeline, which may be about the contract.
const CONTRACT_IN_TROUBLE: Duration = Duration::from_secs(20);
const CONTRACT_MISSING: Duration = Duration::from_secs(2);
/// How long a pod may take to start, or a Job to get one, before their events are asked.
const SLOW_START_SECONDS: i64 = 5;
/// How long an answer about a pod's events holds.
const EVENTS: Duration = Duration::from_secs(8);

/// What stands in the cluster.
pub(crate) async fn gather(
    client: &Client,
    board: &Board,
    room: &Room,
    stored: &Pipeline,
    pipeline: &ValidatedPipeline,
    cache: &mut Cache,
) -> Result<Observed, CallError> {
    let runs = all(&room.runs);
    let owners: HashSet<&str> = runs
        .iter()
        .filter_map(|run| run.metadata.uid.as_deref())
        .chain([pipeline.uid.as_str()])
        .collect();
    let mut jobs = owned(&room.jobs, &owners);
    let deployments = owned(&room.deployments, &owners);
    let mut pods = all(&room.pods);
    let current = current_jobs(&runs, Timestamp::now());
    let provisioner = stored
        .status
        .as_ref()
        .and_then(|status| job_of_provisioner(pipeline, status));
    let awaited: HashSet<String> = current.iter().cloned().chain(provisioner).collect();
    confirm_lost_jobs(client, pipeline, &awaited, &owners, &mut jobs).await?;
    confirm_lost_pods(client, pipeline, &awaited, &jobs, &mut pods).await?;
    let progress = board.of(pods.iter().map(Arc::as_ref), Instant::now());
    let mut observed = Observed {
        stored: stored.status.clone().unwrap_or_default(),
        contract: contract(client, stored, pipeline, cache).await,
        deployments: shared(deployments),
        jobs: shared(jobs),
        pods: shared(pods),
        runs: shared(runs),
        progress_ages: progress.iter().map(|(uid, (_, age))| (uid.clone(), *age)).collect(),
        progress: progress.into_iter().map(|(uid, (said, _))| (uid, said)).collect(),
        warnings: BTreeMap::new(),
        apply_failure: cache.apply_failure.clone(),
        pipelines: 0,
    };
    observed.warnings = warnings(client, pipeline, &observed, &current, cache).await;
    Ok(observed)
}

fn shared<T>(objects: Vec<Arc<T>>) -> Vec<Shared<T>> {
    objects.into_iter().map(Shared::from).collect()
}

fn all<T>(shelf: &Shelf<T>) -> Vec<Arc<T>> {
    shelf.values().cloned().collect()
}

fn owned<T: Resource>(shelf: &Shelf<T>, owners: &HashSet<&str>) -> Vec<Arc<T>> {
    let all = shelf.values().filter(|object| is_owned(&***object, owners));
    all.cloned().collect()
}

fn is_owned<T: Resource>(object: &T, owners: &HashSet<&str>) -> bool {
    let references = object.meta().owner_references.as_deref().unwrap_or_default();
    references.iter().any(|owner| owners.contains(owner.uid.as_str()))
}

/// Names of the Jobs that runs say they are at, or should have been given a while ago.
fn current_jobs(runs: &[Arc<StageRun>], now: Timestamp) -> HashSet<String> {
    let under_way = runs.iter().filter(|run| !is_over(run));
    under_way
        .filter_map(|run| {
            let status = run.status.as_ref().filter(|status| status.retry_time.is_none())?;
            let since = status.attempt_time.as_ref().map_or(now, |time| time.0);
            let is_late = now.as_second() - since.as_second() >= SLOW_START_SECONDS;
            status.job.clone().or_else(|| job_of_run(run).filter(|_| is_late))
        })
        .collect()
}

/// A Job that the status names and the watch has not shown may only be late, or may have lost the label that it is watched by: the server
/// decides.
async fn confirm_lost_jobs(
    client: &Client,
    pipeline: &ValidatedPipeline,
    awaited: &HashSet<String>,
    owners: &HashSet<&str>,
    jobs: &mut Vec<Arc<Job>>,
) -> Result<(), CallError> {
    let is_shown = |name: &String| jobs.iter().any(|job| job.metadata.name.as_ref() == Some(name));
    let missing: Vec<_> = awaited.iter().filter(|name| !is_shown(name)).collect();
    let api: Api<Job> = Api::namespaced(client.clone(), &pipeline.namespace);
    for name in missing {
        let found = call(|| format!("get Job {name}"), api.get_opt(name)).await?;
        jobs.extend(found.filter(|job| is_owned(job, owners)).map(Arc::new));
    }
    Ok(())
}

/// The pod that holds an ended Job's report may only be late.
async fn confirm_lost_pods(
    client: &Client,
    pipeline: &ValidatedPipeline,
    awaited: &HashSet<String>,
    jobs: &[Arc<Job>],
    pods: &mut Vec<Arc<Pod>>,
) -> Result<(), CallError> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &pipeline.namespace);
    for job in jobs
        .iter()
        .filter(|job| awaited.contains(&job.name_any()) && job_has_ended(job))
    {
        let is_its = |pod: &Pod| {
            let owners = pod.owner_references();
            owners.iter().any(|owner| Some(&owner.uid) == job.metadata.uid.as_ref())
        };
        if pods.iter().any(|pod| is_its(pod) && has_terminated(pod)) {
            continue;
        }
        let selector = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={}", job.name_any()));
        let found = call(|| format!("list pods of Job {}", job.name_any()), api.list(&selector)).await?;
        for mut pod in found {
            pod.slim();
            pods.retain(|known| known.metadata.uid != pod.metadata.uid);
            pods.push(Arc::new(pod));
        }
    }
    Ok(())
}

fn has_terminated(pod: &Pod) -> bool {
    worker_state(pod).is_some_and(|state| state.terminated.is_some())
}

/// Whether the status is of the spec that there is, and has nothing to say of any part of the pipeline.
fn is_calm(stored: &Pipeline) -> bool {
    stored.status.as_ref().is_some_and(|status| {
        Some(status.observed_generation) == stored.metadata.generation
            && status.provisioning.as_ref().is_some_and(|tries| tries.succeeded)
            && status.stages.iter().all(|stage| stage.reason.is_none())
    })
}

async fn contract(client: &Client, stored: &Pipeline, pipeline: &ValidatedPipeline, cache: &mut Cache) -> Contract {
    let reference = &pipeline.schema_ref;
    let known = cache.contract(reference);
    if let Some(known) = known {
        let holds = match known.answer {
            Contract::Found { .. } if is_calm(stored) => CONTRACT_FOUND,
            Contract::Found { .. } => CONTRACT_IN_TROUBLE,
            _ => CONTRACT_MISSING,
        };
        if known.asked.elapsed() < holds {
            return known.answer.clone();
        }
    }
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &pipeline.namespace);
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
                    digest: schema_digest(schema),
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
    cache.contract = Some(KnownContract {
        reference: reference.clone(),
        asked: Instant::now(),
        answer: answer.clone(),
    });
    answer
}

/// Why slow pods do not start and Jobs get none, until they run out of time: a Secret that cannot be mounted and a quota that is full
/// show in events alone. `current`: names of the Jobs that runs are at.
async fn warnings(
    client: &Client,
    pipeline: &ValidatedPipeline,
    observed: &Observed,
    current: &HashSet<String>,
    cache: &mut Cache,
) -> BTreeMap<String, String> {
    let now = Timestamp::now();
    let pods = observed
        .pods
        .iter()
        .filter(|pod| waits(pod) && is_slow::<Pod>(pod, now))
        .filter_map(|pod| pod.uid());
    let jobs = observed
        .jobs_without_pods()
        .filter(|job| is_slow(*job, now))
        .filter_map(ResourceExt::uid);
    let ended = observed
        .jobs
        .iter()
        .filter(|job| current.contains(&job.name_any()) && job_has_ended(job) && observed.pods_of_job(job).is_empty())
        .filter_map(|job| job.uid());
    let slow: Vec<String> = pods.chain(jobs).chain(ended).collect();
    cache.warnings.retain(|uid, _| slow.contains(uid));
    let api: Api<Event> = Api::namespaced(client.clone(), &pipeline.namespace);
    let mut found = BTreeMap::new();
    for uid in slow {
        let known = cache.warnings.get(&uid);
        if !is_recent(known.map(|(asked, _)| *asked), EVENTS) {
            let selector = ListParams::default()
                .fields(&format!("involvedObject.uid={uid},type=Warning"))
                .limit(50);
            match call(|| format!("list events of {uid}"), api.list(&selector)).await {
                Ok(events) => {
                    cache
                        .warnings
                        .insert(uid.clone(), (Instant::now(), newest(events.items)));
                }
                Err(error) => tracing::warn!(%error, "events not readable"),
            }
        }
        if let Some((_, Some(message))) = cache.warnings.get(&uid) {
            found.insert(uid, message.clone());
        }
    }
    found
}

fn waits(pod: &Pod) -> bool {
    !pod_has_ended(pod) && worker_state(pod).is_none_or(|state| state.running.is_none() && state.terminated.is_none())
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
