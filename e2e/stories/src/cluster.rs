//! What the stories want from Kubernetes: apply, look, delete, wait. Touches the API server.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Resource, ResourceExt};
use medallion_crds::labels;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::progress::Step;
use crate::stack::Stack;
use crate::waiting::{Look, in_the_end};

/// The stories' field manager.
const MANAGER: &str = "stories";

#[derive(Clone)]
pub struct Cluster {
    pub client: Client,
}

impl Cluster {
    pub async fn connect(stack: &Stack) -> Result<Self> {
        let kubeconfig = Kubeconfig::read_from(&stack.kubeconfig)?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Self {
            client: Client::try_from(config)?,
        })
    }

    pub fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Server-side apply of an object, typed or not.
    pub async fn apply<K>(&self, api: &Api<K>, name: &str, object: &(impl Serialize + Debug)) -> Result<K>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let parameters = PatchParams::apply(MANAGER).force();
        let applied = api.patch(name, &parameters, &Patch::Apply(object)).await;
        applied.with_context(|| format!("applying {} {name}", K::kind(&())))
    }

    /// What the operator calls this installation, unless its chart names another word.
    pub async fn installation(&self) -> Result<String> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let system = namespaces.get("kube-system").await?;
        system.uid().context("a namespace has a UID")
    }

    /// A namespace under the restricted Pod Security Standard.
    pub async fn make_namespace(&self, name: &str) -> Result<()> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"});
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        self.apply(&api, name, &object).await.map(drop)
    }

    /// Deletes a namespace and waits until it is gone.
    pub async fn delete_namespace(&self, step: &Step, name: &str) -> Result<()> {
        self.delete(
            step,
            &Api::<Namespace>::all(self.client.clone()),
            name,
            Duration::from_mins(2),
        )
        .await
        .map(drop)
    }

    /// Deletes an object and waits until it is gone; gives how long that took.
    pub async fn delete<K>(&self, step: &Step, api: &Api<K>, name: &str, limit: Duration) -> Result<Duration>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let begun = std::time::Instant::now();
        match api.delete(name, &DeleteParams::foreground()).await {
            Err(error) if is_missing(&error) => return Ok(begun.elapsed()),
            result => result
                .map(drop)
                .with_context(|| format!("deleting {} {name}", K::kind(&())))?,
        }
        in_the_end(step, limit, Duration::from_millis(300), async || {
            Ok(match api.get_opt(name).await? {
                None => Look::Done(()),
                Some(_) => Look::Waiting(format!("{} {name} is still there", K::kind(&()))),
            })
        })
        .await?;
        Ok(begun.elapsed())
    }

    /// The pods of a worker that have not ended.
    pub async fn pods(&self, namespace: &str, pipeline: &str, worker: &str) -> Result<Vec<Pod>> {
        let selector = format!("{}={pipeline},{}={worker}", labels::PIPELINE, labels::WORKER);
        let pods = self
            .api::<Pod>(namespace)
            .list(&ListParams::default().labels(&selector))
            .await?;
        let alive = |pod: &Pod| {
            let phase = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref())
                .unwrap_or_default();
            !matches!(phase, "Succeeded" | "Failed") && pod.metadata.deletion_timestamp.is_none()
        };
        Ok(pods.items.into_iter().filter(alive).collect())
    }

    /// The log of a pod so far; empty when there is none.
    pub async fn log(&self, pod: &Pod) -> String {
        let api: Api<Pod> = self.api(&pod.namespace().unwrap_or_default());
        api.logs(&pod.name_any(), &kube::api::LogParams::default())
            .await
            .unwrap_or_default()
    }
}

pub fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
