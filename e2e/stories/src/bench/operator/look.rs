//! Looks at what the operator has made of the pipelines. Talks to the API server only where nobody watches.

use std::time::{Duration, Instant};

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, Resource};
use medallion_crds::{StageRun, labels};
use serde::de::DeserializeOwned;

use super::simulator::Simulator;
use super::statuses::{Reported, Statuses};
use crate::progress::Step;
use crate::waiting::{Look, until};

const LIMIT: Duration = Duration::from_mins(15);
const PERIOD: Duration = Duration::from_millis(200);

/// Waits until every pipeline is ready and its status counts so many dead letters: what the workers say now.
pub async fn all_reported(statuses: &Statuses, step: &Step, pipelines: usize, dead_letters: i64) -> Result<Duration> {
    let begun = Instant::now();
    until(step, LIMIT, PERIOD, async || {
        let Reported { all, done, other } = statuses.reported(dead_letters);
        Ok(if done == pipelines && all == pipelines {
            Look::Done(())
        } else {
            let words = other.unwrap_or_default();
            Look::Waiting(format!("{done} of {pipelines}; one of the others: {words}"))
        })
    })
    .await?;
    Ok(begun.elapsed())
}

/// Waits until every Deployment runs an image of this tag and no other.
pub async fn all_rolled_out(simulator: &Simulator, step: &Step, tag: &str) -> Result<()> {
    until(step, LIMIT, PERIOD, async || {
        let (done, all) = simulator.rolled_out(tag);
        Ok(if done == all {
            Look::Done(())
        } else {
            Look::Waiting(format!("{done} of {all} Deployments"))
        })
    })
    .await
}

/// Objects of pipelines of these names that are still there.
pub async fn left_of(client: &Client, names: &[String]) -> Result<usize> {
    let selector = format!("{} in ({})", labels::PIPELINE, names.join(","));
    let of_them = ListParams::default().labels(&selector).match_any();
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
