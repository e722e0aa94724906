//! What the simulated kubelet knows: pods by address, and the runs of Jobs. Touches no network.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};

use super::fleet::{Fleet, Pod};

#[derive(Default)]
pub struct Simulator {
    pub fleet: Fleet,
    pods: RwLock<HashMap<Ipv4Addr, Pod>>,
    /// UID of the owner of each Job: a `StageRun`, or the Pipeline.
    owners: RwLock<HashMap<(String, String), String>>,
    addresses: AtomicU32,
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

    pub fn put_owner(&self, namespace: String, job: String, uid: String) {
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        owners.insert((namespace, job), uid);
    }

    pub fn take_owner(&self, namespace: String, job: String) {
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        owners.remove(&(namespace, job));
    }

    pub fn owner(&self, namespace: String, job: String) -> Option<String> {
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        owners.get(&(namespace, job)).cloned()
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
}
