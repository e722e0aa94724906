//! What the simulated cluster knows: pods by address, Jobs under way, and how far Deployments have been rolled out. Touches no network.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use anyhow::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use medallion_crds::labels;
use serde_json::Value;

use super::fleet::{Fleet, Pod};

#[derive(Default)]
pub struct Simulator {
    pub fleet: Fleet,
    pods: RwLock<HashMap<Ipv4Addr, Pod>>,
    /// Jobs that stand, by UID.
    jobs: Mutex<HashMap<String, JobState>>,
    /// Deployments that stand, by UID; whoever works on one holds it.
    rollouts: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Rollout>>>>,
    addresses: AtomicU32,
}

#[derive(Default)]
struct JobState {
    pod: Option<String>,
    has_ended: bool,
}

/// How far a Deployment has been carried out.
#[derive(Default)]
pub struct Rollout {
    pub generation: i64,
    /// The template of the pods that stand.
    pub template: String,
    pub pods: Vec<(String, Ipv4Addr)>,
    /// The images of the pods that stand, once the Deployment's status says that they do.
    pub images: Vec<String>,
}

impl Simulator {
    /// An address of loopback that no pod has had.
    pub fn next_address(&self) -> Ipv4Addr {
        let number = self.addresses.fetch_add(1, Ordering::Relaxed);
        // From 127.1.0.1 on: what the machine itself listens on is below.
        Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + number)
    }

    pub fn put(&self, address: Ipv4Addr, pod: Pod) {
        let mut pods = self.pods.write().unwrap_or_else(PoisonError::into_inner);
        pods.insert(address, pod);
    }

    pub fn take(&self, address: Ipv4Addr) {
        let mut pods = self.pods.write().unwrap_or_else(PoisonError::into_inner);
        pods.remove(&address);
    }

    pub fn at(&self, address: Ipv4Addr) -> Option<Pod> {
        let pods = self.pods.read().unwrap_or_else(PoisonError::into_inner);
        pods.get(&address).cloned()
    }

    /// A pod of that UID by the metadata of its template; `None`: of a pipeline that the bench does not know, or no longer.
    pub fn pod(&self, namespace: &str, metadata: &ObjectMeta, uid: String) -> Result<Option<Pod>> {
        let label = |name: &str| metadata.labels.as_ref()?.get(name).cloned();
        let key = (namespace.to_owned(), label(labels::PIPELINE).unwrap_or_default());
        let Some(pipeline) = self.fleet.get(&key) else {
            return Ok(None);
        };
        let stage = label(labels::STAGE).map(|word| serde_json::from_value(Value::String(word)));
        let annotations = metadata.annotations.as_ref();
        Ok(Some(Pod {
            uid,
            pipeline,
            stage: stage.transpose()?,
            settings_hash: annotations
                .and_then(|annotations| annotations.get(labels::SETTINGS_HASH).cloned())
                .unwrap_or_default(),
        }))
    }

    /// Takes note of a Job; whether it is new.
    pub fn begin_job(&self, uid: &str) -> bool {
        let mut jobs = self.jobs();
        let is_new = !jobs.contains_key(uid);
        jobs.entry(uid.to_owned()).or_default();
        is_new
    }

    /// The pod of a Job; whether the Job still stands.
    pub fn put_pod_of_job(&self, uid: &str, pod: &str) -> bool {
        let mut jobs = self.jobs();
        let state = jobs.get_mut(uid);
        let stands = state.is_some();
        if let Some(state) = state {
            state.pod = Some(pod.to_owned());
        }
        stands
    }

    pub fn end_job(&self, uid: &str) {
        if let Some(state) = self.jobs().get_mut(uid) {
            state.has_ended = true;
        }
    }

    /// A Job is gone; gives its pod.
    pub fn forget_job(&self, uid: &str) -> Option<String> {
        self.jobs().remove(uid)?.pod
    }

    pub fn jobs_under_way(&self) -> usize {
        self.jobs().values().filter(|state| !state.has_ended).count()
    }

    pub fn rollout(&self, uid: &str) -> Arc<tokio::sync::Mutex<Rollout>> {
        self.rollouts().entry(uid.to_owned()).or_default().clone()
    }

    /// A Deployment is gone: nothing answers at its pods' addresses.
    pub fn forget_rollout(&self, uid: &str) {
        let gone = self.rollouts().remove(uid);
        let pods = gone.and_then(|rollout| rollout.try_lock().map(|rollout| rollout.pods.clone()).ok());
        for (_, address) in pods.unwrap_or_default() {
            self.take(address);
        }
    }

    /// How many Deployments run images of this tag alone, and how many there are.
    pub fn rolled_out(&self, tag: &str) -> (usize, usize) {
        let rollouts = self.rollouts();
        let done = rollouts.values().filter(|rollout| {
            let rollout = rollout.try_lock();
            rollout.is_ok_and(|rollout| {
                !rollout.images.is_empty() && rollout.images.iter().all(|image| image.ends_with(tag))
            })
        });
        (done.count(), rollouts.len())
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<String, JobState>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rollouts(&self) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<Rollout>>>> {
        self.rollouts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_loopback_and_never_given_twice() {
        let simulator = Simulator::default();
        let addresses: Vec<_> = (0..70_000).map(|_| simulator.next_address()).collect();
        assert!(addresses.iter().all(Ipv4Addr::is_loopback));
        assert!(addresses.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn a_job_is_worked_on_once_and_what_it_leaves_is_known_until_it_is_gone() {
        let simulator = Simulator::default();
        assert!(simulator.begin_job("a"));
        assert!(!simulator.begin_job("a"), "the watch shows it again");
        assert!(simulator.put_pod_of_job("a", "pod"));
        assert_eq!(simulator.jobs_under_way(), 1);
        simulator.end_job("a");
        assert_eq!(simulator.jobs_under_way(), 0);
        assert_eq!(simulator.forget_job("a").as_deref(), Some("pod"));
        assert!(!simulator.put_pod_of_job("a", "pod"), "deleted meanwhile");
    }

    #[test]
    fn a_deployment_counts_with_the_images_whose_pods_stand() {
        let simulator = Simulator::default();
        let rollout = simulator.rollout("a");
        assert_eq!(simulator.rolled_out(":2"), (0, 1));
        rollout.try_lock().unwrap().images = vec!["medallion:2".to_owned()];
        assert_eq!(simulator.rolled_out(":2"), (1, 1));
        assert_eq!(simulator.rolled_out(":3"), (0, 1));
    }
}
