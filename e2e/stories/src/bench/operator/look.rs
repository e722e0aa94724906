//! Looks at what the operator has made of the pipelines. Talks to the API server.

use std::time::{Duration, Instant};

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, Resource};
use medallion_crds::{Pipeline, StageRun, labels};
use serde::de::DeserializeOwned;

use crate::progress::Step;
use crate::waiting::{Look, in_the_end};

const LIMIT: Duration = Duration::from_mins(15);
/// A look lists everything, which must not be what the API server is busy with.
const PERIOD: Duration = Duration::from_secs(1);

/// Waits until every pipeline is ready and its status counts so many dead letters: what the workers say now.
pub async fn all_reported(client: &Client, step: &Step, pipelines: usize, dead_letters: i64) -> Result<Duration> {
    let begun = Instant::now();
    let api: Api<Pipeline> = Api::all(client.clone());
    in_the_end(step, LIMIT, PERIOD, async || {
        let all = api.list(&ListParams::default().match_any()).await?.items;
        let reported = all.iter().filter(|one| is_reported(one, dead_letters)).count();
        Ok(if reported == pipelines && all.len() == pipelines {
            Look::Done(())
        } else {
            let other = all.iter().find(|one| !is_reported(one, dead_letters));
            let words = other.map(crate::shop::in_words).unwrap_or_default();
            Look::Waiting(format!("{reported} of {pipelines}; one of the others: {words}"))
        })
    })
    .await?;
    Ok(begun.elapsed())
}

fn is_reported(pipeline: &Pipeline, dead_letters: i64) -> bool {
    let status = pipeline.status.as_ref();
    let counted = status
        .and_then(|status| status.dead_letters.as_ref())
        .map(|known| known.count);
    let ready = crate::shop::condition(pipeline, "Ready").is_some_and(|ready| ready.status == "True");
    ready && counted == Some(dead_letters)
}

/// Waits until every Deployment runs an image of this tag and no other.
pub async fn all_rolled_out(client: &Client, step: &Step, tag: &str) -> Result<()> {
    let api: Api<Deployment> = Api::all(client.clone());
    in_the_end(step, LIMIT, PERIOD, async || {
        let all = api.list(&ours()).await?.items;
        let done = all.iter().filter(|one| is_rolled_out(one, tag)).count();
        Ok(if done == all.len() {
            Look::Done(())
        } else {
            Look::Waiting(format!("{done} of {} Deployments", all.len()))
        })
    })
    .await
}

fn is_rolled_out(deployment: &Deployment, tag: &str) -> bool {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let containers = deployment
        .spec
        .iter()
        .filter_map(|spec| spec.template.spec.as_ref())
        .flat_map(|pod| &pod.containers);
    let mut images = containers.filter_map(|container| container.image.as_ref());
    let status = deployment.status.clone().unwrap_or_default();
    images.all(|image| image.ends_with(tag))
        && status.observed_generation == deployment.metadata.generation
        && status.updated_replicas == wanted
        && status.ready_replicas == wanted
        && status.replicas == wanted
}

/// Runs that have not ended.
pub async fn runs_under_way(client: &Client) -> Result<usize> {
    let api: Api<Job> = Api::all(client.clone());
    let ended = |job: &Job| {
        job.status
            .as_ref()
            .is_some_and(|status| status.completion_time.is_some())
    };
    Ok(api.list(&ours()).await?.items.iter().filter(|job| !ended(job)).count())
}

/// Objects of pipelines of these names that are still there.
pub async fn left_of(client: &Client, names: &[String]) -> Result<usize> {
    let selector = format!("{} in ({})", labels::PIPELINE, names.join(","));
    let of_them = ListParams::default().labels(&selector);
    let counts = [
        count::<Deployment>(client, &of_them).await?,
        count::<Job>(client, &of_them).await?,
        count::<Pod>(client, &of_them).await?,
        count::<StageRun>(client, &of_them).await?,
    ];
    Ok(counts.into_iter().sum())
}

async fn count<K>(client: &Client, parameters: &ListParams) -> Result<usize>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<K> = Api::all(client.clone());
    Ok(api.list_metadata(parameters).await?.items.len())
}

fn ours() -> ListParams {
    ListParams::default()
        .labels(&format!("{}={}", labels::MANAGED_BY, labels::MANAGER))
        .match_any()
}
