//! The watches of one namespace, or of the whole cluster, and the stores they fill. Talks to the Kubernetes API.
//!
//! Every full object is watched behind a `DeserializeGuard`, so that one object nobody can read does not stop the others.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::pin::{Pin, pin};
use std::sync::Arc;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::{Stream, StreamExt, future};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::PartialObjectMeta;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::store::{Writer, WriterDropped};
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::utils::StreamBackoff;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use medallion_crds::{Pipeline, StageRun, labels};
use serde::de::DeserializeOwned;

use crate::backoff;
use crate::metrics::Metrics;

/// A pipeline, readable or not.
pub(crate) type GuardedPipeline = DeserializeGuard<Pipeline>;
/// Which pipeline to look at.
pub(crate) type Reference = ObjectRef<GuardedPipeline>;

/// What is seen of one namespace, or of all.
#[derive(Clone)]
pub(crate) struct Scope {
    pub pipelines: Store<GuardedPipeline>,
    pub runs: Store<DeserializeGuard<StageRun>>,
    pub deployments: Store<DeserializeGuard<Deployment>>,
    pub jobs: Store<DeserializeGuard<Job>>,
    pub pods: Store<DeserializeGuard<Pod>>,
    pub service_accounts: Store<PartialObjectMeta<ServiceAccount>>,
    pub config_maps: Store<PartialObjectMeta<ConfigMap>>,
    pub services: Store<PartialObjectMeta<Service>>,
    pub budgets: Store<PartialObjectMeta<PodDisruptionBudget>>,
    touched: UnboundedSender<Reference>,
}

/// The running half of a scope.
pub(crate) struct Watches {
    pub queue: UnboundedReceiver<Reference>,
    streams: Vec<Start>,
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
type Start = Box<dyn FnOnce(Arc<crate::context::Context>, Scope) -> Running + Send>;

impl Scope {
    /// The watches of a namespace, or of the whole cluster.
    pub fn new(client: Client, namespace: Option<String>) -> (Self, Watches) {
        let (touched, queue) = unbounded();
        let api = Apis { client, namespace };
        let mut streams: Vec<Start> = Vec::new();
        let scope = Self {
            pipelines: api.full(
                "Pipeline",
                Config::default(),
                |pipeline| Some(ObjectRef::from_obj(pipeline)),
                &mut streams,
            ),
            runs: api.full("StageRun", Config::default(), of_run, &mut streams),
            deployments: api.full("Deployment", ours(), by_label, &mut streams),
            jobs: api.full("Job", ours(), by_label, &mut streams),
            pods: api.full("Pod", ours(), by_label, &mut streams),
            service_accounts: api.metadata("ServiceAccount", &mut streams),
            config_maps: api.metadata("ConfigMap", &mut streams),
            services: api.metadata("Service", &mut streams),
            budgets: api.metadata("PodDisruptionBudget", &mut streams),
            touched,
        };
        (scope, Watches { queue, streams })
    }

    /// Asks for a look at a pipeline.
    pub fn touch(&self, reference: Reference) {
        // The receiver lives as long as the scope is controlled; at the end nobody needs to look any more.
        let _ = self.touched.unbounded_send(reference);
    }

    fn touch_all(&self) {
        for pipeline in self.pipelines.state() {
            self.touch(ObjectRef::from_obj(pipeline.as_ref()));
        }
    }

    /// Waits until all stores have been filled once: a decision on half a picture would repeat what stands. Fails if a watch has ended.
    pub async fn wait_until_filled(&self) -> Result<(), WriterDropped> {
        future::try_join(
            future::try_join5(
                self.pipelines.wait_until_ready(),
                self.runs.wait_until_ready(),
                self.deployments.wait_until_ready(),
                self.jobs.wait_until_ready(),
                self.pods.wait_until_ready(),
            ),
            future::try_join4(
                self.service_accounts.wait_until_ready(),
                self.config_maps.wait_until_ready(),
                self.services.wait_until_ready(),
                self.budgets.wait_until_ready(),
            ),
        )
        .await
        .map(|_| ())
    }
}

impl Watches {
    /// Starts the watches and gives the pipelines to look at.
    pub fn start(
        self,
        context: &Arc<crate::context::Context>,
        scope: &Scope,
    ) -> impl Stream<Item = Result<Reference, Infallible>> + use<> {
        for start in self.streams {
            context.for_ever("watch", start(context.clone(), scope.clone()));
        }
        self.queue.map(Ok)
    }
}

struct Apis {
    client: Client,
    namespace: Option<String>,
}

impl Apis {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    fn full<K>(
        &self,
        kind: &'static str,
        config: Config,
        owner: fn(&DeserializeGuard<K>) -> Option<Reference>,
        streams: &mut Vec<Start>,
    ) -> Store<DeserializeGuard<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let (reader, writer) = store();
        let api = self.api();
        streams.push(Box::new(move |context, scope| {
            Box::pin(follow(kind, watcher(api, config), writer, owner, context, scope))
        }));
        reader
    }

    fn metadata<K>(&self, kind: &'static str, streams: &mut Vec<Start>) -> Store<PartialObjectMeta<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let (reader, writer) = store();
        let api = self.api::<PartialObjectMeta<K>>();
        streams.push(Box::new(move |context, scope| {
            Box::pin(follow(kind, watcher(api, ours()), writer, by_label, context, scope))
        }));
        reader
    }
}

fn ours() -> Config {
    Config::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::MANAGER))
}

/// Keeps a store up to date and asks for a look at the pipelines whose objects change.
async fn follow<K>(
    kind: &'static str,
    stream: impl Stream<Item = watcher::Result<Event<K>>> + Send,
    writer: Writer<K>,
    owner: fn(&K) -> Option<Reference>,
    context: Arc<crate::context::Context>,
    scope: Scope,
) where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    let stream = StreamBackoff::new(stream, backoff::of_watch())
        .modify(|object: &mut K| object.meta_mut().managed_fields = None)
        .reflect(writer);
    let mut stream = pin!(stream);
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Apply(object) | Event::Delete(object)) => {
                if let Some(reference) = owner(&object) {
                    scope.touch(reference);
                }
            }
            Ok(Event::InitDone) => scope.touch_all(),
            Ok(Event::Init | Event::InitApply(_)) => {}
            Err(error) => {
                Metrics::count(&context.metrics.watch_errors, kind);
                tracing::warn!(kind, %error, "watch broken, trying again");
            }
        }
    }
}

/// A run made by a person has no label, only the reference in its spec.
fn of_run(run: &DeserializeGuard<StageRun>) -> Option<Reference> {
    match &run.0 {
        Ok(run) => Some(ObjectRef::new(&run.spec.pipeline_ref.name).within(&run.namespace()?)),
        Err(_) => by_label(run),
    }
}

fn by_label<K: Resource>(object: &K) -> Option<Reference> {
    let metadata = object.meta();
    let name = metadata.labels.as_ref()?.get(labels::PIPELINE)?;
    Some(ObjectRef::new(name).within(metadata.namespace.as_ref()?))
}
