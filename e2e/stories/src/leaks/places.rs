//! All that can be read of a pipeline and of the operator, as text. Touches the API server, S3, and processes of this machine that belong to the stack.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, ListParams, LogParams};
use kube::discovery::{ApiGroup, Discovery, Scope, verbs};

use crate::helm::NAMESPACE;
use crate::kill::started_with;
use crate::shop::Shop;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Everything that the API server lists, with specifications, statuses and events.
    Objects,
    /// What containers have said, also those before a restart.
    Logs,
    /// What they show to whoever asks: metrics and progress.
    Pages,
    /// What their processes were started with.
    Arguments,
    Environments,
    /// What lies in the lake: logs of tables, dbt's files, reports of runs.
    Files,
}

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::Objects,
        Self::Logs,
        Self::Pages,
        Self::Arguments,
        Self::Environments,
        Self::Files,
    ];
}

pub struct Place {
    pub kind: Kind,
    pub name: String,
    pub text: String,
}

impl Place {
    pub const fn new(kind: Kind, name: String, text: String) -> Self {
        Self { kind, name, text }
    }
}

pub async fn all(shop: &Shop<'_>) -> Result<Vec<Place>> {
    let mut places = files(shop).await?;
    for namespace in [shop.namespace.as_str(), NAMESPACE] {
        places.extend(objects(shop, namespace).await?);
        let pods: Api<Pod> = shop.world.cluster.api(namespace);
        for pod in pods.list(&ListParams::default()).await?.items {
            places.extend(logs(&pods, &pod).await);
            places.extend(pages(shop, namespace, &pod).await?);
            for process in started_with(&pod)? {
                let name = format!("process of {}", pod.name_any());
                places.push(Place::new(Kind::Arguments, name.clone(), process.arguments));
                places.push(Place::new(Kind::Environments, name, process.environment));
            }
        }
    }
    Ok(places)
}

/// Of every kind that there is, but for Secrets.
async fn objects(shop: &Shop<'_>, namespace: &str) -> Result<Vec<Place>> {
    let client = &shop.world.cluster.client;
    let discovery = Discovery::new(client.clone()).run_aggregated().await?;
    let mut places = Vec::new();
    for (resource, capabilities) in discovery.groups().flat_map(ApiGroup::recommended_resources) {
        let is_listed = capabilities.scope == Scope::Namespaced && capabilities.supports_operation(verbs::LIST);
        if !is_listed || resource.kind == "Secret" {
            continue;
        }
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let listed = api.list(&ListParams::default()).await;
        for object in listed.with_context(|| format!("listing {}", resource.plural))? {
            let name = format!("{} {namespace}/{}", resource.kind, object.name_any());
            places.push(Place::new(Kind::Objects, name, serde_json::to_string(&object)?));
        }
    }
    Ok(places)
}

async fn logs(pods: &Api<Pod>, pod: &Pod) -> Vec<Place> {
    let mut places = Vec::new();
    for container in containers(pod) {
        for previous in [false, true] {
            let parameters = LogParams {
                container: Some(container.name.clone()),
                previous,
                ..LogParams::default()
            };
            // One that has not started has none, and most have none before.
            if let Ok(text) = pods.logs(&pod.name_any(), &parameters).await {
                let name = format!("{} of {}, previous: {previous}", container.name, pod.name_any());
                places.push(Place::new(Kind::Logs, name, text));
            }
        }
    }
    places
}

/// Only of those that last: a Job's pod may end in between.
async fn pages(shop: &Shop<'_>, namespace: &str, pod: &Pod) -> Result<Vec<Place>> {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let lasts = pod.owner_references().iter().any(|owner| owner.kind == "ReplicaSet");
    if phase != Some("Running") || !lasts || pod.metadata.deletion_timestamp.is_some() {
        return Ok(Vec::new());
    }
    let ports = containers(pod).flat_map(|container| container.ports.iter().flatten());
    let mut places = Vec::new();
    for port in ports {
        let pages: &[&str] = match port.name.as_deref() {
            Some("admin") => &["/metrics", "/progress"],
            Some("metrics") => &["/metrics"],
            _ => continue,
        };
        for page in pages {
            let (name, number) = (pod.name_any(), port.container_port);
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{number}/proxy{page}");
            let request = http::Request::get(path).body(Vec::new())?;
            let text = shop.world.cluster.client.request_text(request).await;
            let text = text.with_context(|| format!("{page} of {name}"))?;
            places.push(Place::new(Kind::Pages, format!("{page} of {name}"), text));
        }
    }
    Ok(places)
}

fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.iter().flat_map(|spec| {
        let first = spec.init_containers.iter().flatten();
        first.chain(&spec.containers)
    })
}

async fn files(shop: &Shop<'_>) -> Result<Vec<Place>> {
    let lake = &shop.plan.pipeline.spec.lake;
    let mut places = Vec::new();
    for bucket in [&lake.bronze.bucket, &lake.silver.bucket, &lake.gold.bucket] {
        for (key, content) in shop.world.stores.objects(bucket).await? {
            let text = String::from_utf8_lossy(&content).into_owned();
            places.push(Place::new(Kind::Files, format!("s3://{bucket}/{key}"), text));
        }
    }
    Ok(places)
}
