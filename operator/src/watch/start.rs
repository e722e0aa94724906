//! Starts the watches of one namespace, or of the whole cluster. Talks to the Kubernetes API.
//!
//! Every full object is watched as `Guarded`, so that one object nobody can read does not stop the others.

use std::fmt::Debug;

use futures::Stream;
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::watcher::{self, Config, Event};
use kube::{Api, Client, Resource};
use medallion_crds::labels;
use serde::de::DeserializeOwned;

use crate::watch::follow::{Filing, Shared, follow};

/// What it takes to start a watch.
pub(crate) struct Start {
    pub client: Client,
    /// `None`: the whole cluster.
    pub namespace: Option<String>,
    pub shared: Shared,
}

impl Start {
    /// The API of a kind, in the namespace or in all.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// Follows a watch in a task that must never end.
    pub fn follow<K>(&self, stream: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static, filing: Filing<K>)
    where
        K: Resource<DynamicType = ()> + Debug + DeserializeOwned + Send + 'static,
    {
        let id = self.shared.health.watch(filing.kind, self.namespace.as_deref());
        let followed = follow(stream, self.namespace.clone(), filing, self.shared.clone(), id);
        self.shared.health.for_ever("watch", followed);
    }
}

/// How many objects a listing brings at once: a page of whole ones is in memory as text and as objects, of all kinds together.
const PAGE: u32 = 250;

/// All objects of a kind.
pub(crate) fn everything() -> Config {
    Config::default().page_size(PAGE)
}

/// What this product's operator has made.
pub(crate) fn ours() -> Config {
    everything().labels(&format!("{}={}", labels::MANAGED_BY, labels::MANAGER))
}
