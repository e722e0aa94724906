//! What alarms and alerts ask for is there, while a pipeline works: on the pods' admin ports for Prometheus, and among their log lines for CloudWatch. Touches the API server, which asks the pods.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use medallion_crds::launch::ADMIN_PORT;
use serde_json::Value;

use super::till::PATIENCE;
use crate::helm;
use crate::shop::Shop;
use crate::waiting::{Look, in_the_end};

/// The chart's alerts, and CloudWatch's alarms.
const ALERTS: &str = include_str!("../../../../charts/medallion-operator/templates/_alerts.tpl");
const ALARMS: &str = include_str!("../../../../terraform/modules/monitoring/main.tf");

/// Every metric that is asked for is shown by some pod, and every one that CloudWatch is asked for is told.
pub async fn metrics(shop: &Shop<'_>) -> Result<()> {
    let step = shop.world.progress.step("alarms have something to look at");
    let asked = &asked(ALERTS) | &asked(ALARMS);
    ensure!(asked.len() >= 10, "hardly anything is asked for: {asked:?}");
    in_the_end(&step, PATIENCE, Duration::from_secs(2), async || {
        let shown = shown(shop).await?;
        Ok(missing("shown", &asked, |metric| shown.contains(metric)))
    })
    .await?;
    let alarms = self::asked(ALARMS);
    in_the_end(&step, PATIENCE, Duration::from_secs(2), async || {
        let told = told(shop).await?;
        Ok(missing("told", &alarms, |metric| told.contains(metric)))
    })
    .await?;
    step.done("");
    Ok(())
}

fn missing(what: &str, asked: &BTreeSet<&str>, is_there: impl Fn(&str) -> bool) -> Look<()> {
    let missing: Vec<_> = asked.iter().filter(|metric| !is_there(metric)).collect();
    if missing.is_empty() {
        Look::Done(())
    } else {
        Look::Waiting(format!("not {what}: {missing:?}"))
    }
}

/// The metrics of ours that a text speaks of.
fn asked(text: &'static str) -> BTreeSet<&'static str> {
    let spoken = text.match_indices("medallion_").map(|(place, _)| &text[place..]);
    let names = spoken.map(|rest| {
        let end = rest.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        &rest[..end.unwrap_or(rest.len())]
    });
    names.collect()
}

/// The streaming workers and the operator: Jobs are gone before anybody asks.
async fn pods(shop: &Shop<'_>) -> Result<Vec<Pod>> {
    let cluster = &shop.world.cluster;
    let mut pods = Vec::new();
    for worker in ["gateway", "consumer", "exporter"] {
        pods.extend(cluster.pods(&shop.namespace, &shop.name, worker).await?);
    }
    let operators: Api<Pod> = cluster.api(helm::NAMESPACE);
    let component = ListParams::default().labels("app.kubernetes.io/component=operator");
    pods.extend(operators.list(&component).await?.items);
    Ok(pods)
}

/// The names of all samples that pods show.
async fn shown(shop: &Shop<'_>) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for pod in pods(shop).await? {
        let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{ADMIN_PORT}/proxy/metrics");
        let request = http::Request::get(path).body(Vec::new())?;
        let text = shop.world.cluster.client.request_text(request).await?;
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        names.extend(samples.filter_map(|line| line.split(['{', ' ']).next().map(str::to_owned)));
    }
    Ok(names)
}

/// The metrics that lines of pods tell, of this pipeline and under the dimensions that alarms ask for.
async fn told(shop: &Shop<'_>) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for pod in pods(shop).await? {
        let log = shop.world.cluster.log(&pod).await;
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        for line in lines.filter(|line| line["pipeline"] == *shop.name && line["namespace"] == *shop.namespace) {
            let directive = &line["_aws"]["CloudWatchMetrics"][0];
            if directive["Dimensions"][0] == serde_json::json!(["namespace", "pipeline", "stage"]) {
                let metrics = directive["Metrics"].as_array().into_iter().flatten();
                names.extend(metrics.filter_map(|metric| metric["Name"].as_str().map(str::to_owned)));
            }
        }
    }
    Ok(names)
}
