//! Makes what stands at the beginning: the product's charts, namespaces with a contract, pipelines and their past runs. Talks to the API server, itself and through Helm.

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use medallion_crds::{Pipeline, StageRun};
use serde_json::{Value, json};

use super::fleet::Key;
use super::history;
use super::simulator::Simulator;
use super::writer::Writer;
use crate::cluster::Cluster;
use crate::helm;
use crate::progress::Step;
use crate::shop::{CONTRACT, EXAMPLE};
use crate::stack::Stack;

/// How many pipelines are made at once, each run after the other: so that the newest run is the last one made.
const AT_ONCE: usize = 64;
const PER_NAMESPACE: usize = 100;

/// Images that nobody pulls.
pub fn values(tag: &str) -> Value {
    json!({
        "image": {"repository": "localhost/bench/medallion", "tag": tag},
        "dbtProjects": {helm::PURCHASES: format!("localhost/bench/dbt-purchases:{tag}")},
    })
}

pub async fn charts(stack: &Stack, tag: &str) -> Result<()> {
    helm::apply(stack, &values(tag), helm::Wait::No).await
}

/// The pipelines from one number up to another, with their past.
pub async fn pipelines(
    cluster: &Cluster,
    writer: &Writer,
    simulator: &Simulator,
    step: &Step,
    numbers: std::ops::Range<usize>,
) -> Result<()> {
    let example: Value = serde_saphyr::from_str(EXAMPLE)?;
    let keys: Vec<Key> = numbers.map(key).collect();
    let mut namespaces: Vec<_> = keys.iter().map(|(namespace, _)| namespace.clone()).collect();
    namespaces.dedup();
    for namespace in namespaces {
        cluster.make_namespace(&namespace).await?;
        contract(cluster, &namespace, &example).await?;
    }
    let mut made =
        stream::iter(keys.into_iter().map(|key| one(writer, simulator, &example, key))).buffer_unordered(AT_ONCE);
    let mut count = 0;
    while made.try_next().await?.is_some() {
        count += 1;
        step.say(format!("{count} made"));
    }
    Ok(())
}

fn key(number: usize) -> Key {
    (format!("bench-{:02}", number / PER_NAMESPACE), format!("p-{number:04}"))
}

async fn contract(cluster: &Cluster, namespace: &str, example: &Value) -> Result<()> {
    let reference = example
        .pointer("/spec/contract/versions/0/schemaRef")
        .context("the example names its contract")?;
    let word = |field: &str| reference[field].as_str().unwrap_or_default().to_owned();
    let api: Api<ConfigMap> = cluster.api(namespace);
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": word("name")}, "immutable": true,
        "data": {word("key"): CONTRACT},
    });
    cluster.apply(&api, &word("name"), &object).await.map(drop)
}

async fn one(writer: &Writer, simulator: &Simulator, example: &Value, key: Key) -> Result<()> {
    let made = writer.create::<Pipeline>(&key.0, &pipeline(example, &key)).await?;
    let made = made.with_context(|| format!("Pipeline {}/{} is there already", key.0, key.1))?;
    for past in history::runs(&key, &made.uid, Timestamp::now()) {
        let run = writer.create::<StageRun>(&key.0, &past.object).await?;
        let run = run.with_context(|| format!("StageRun {} is there already", past.name))?;
        writer.status::<StageRun>(&key.0, &run, &past.status).await?;
    }
    simulator.fleet.add(key, made.uid);
    Ok(())
}

/// The example under another name, everything outside the cluster included; a run may start a second after the last.
fn pipeline(example: &Value, (namespace, name): &Key) -> Value {
    let mut pipeline = example.clone();
    let mut set = |pointer: &str, value: Value| {
        if let Some(place) = pipeline.pointer_mut(pointer) {
            *place = value;
        }
    };
    set("/metadata/name", json!(name));
    set("/metadata/namespace", json!(namespace));
    set("/spec/kafka/topic", json!(name));
    set("/spec/kafka/deadLetterTopic", json!(format!("dlq.{name}")));
    set("/spec/table/name", json!(name));
    for layer in ["bronze", "silver", "gold"] {
        set(&format!("/spec/lake/{layer}/bucket"), json!(format!("{name}-{layer}")));
    }
    set("/spec/warehouse/redshift/schema", json!(name.replace('-', "_")));
    set("/spec/stages/silver/minIntervalSeconds", json!(1));
    // Nothing is late because nothing moves: what a status says must not change by itself.
    for stage in ["ingest", "persist", "bronze", "silver", "gold", "warehouse"] {
        set(&format!("/spec/stages/{stage}/maxAgeSeconds"), json!(86_400));
    }
    pipeline
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt;

    use super::*;

    #[test]
    fn a_pipeline_of_the_bench_is_a_pipeline() {
        let example: Value = serde_saphyr::from_str(EXAMPLE).unwrap();
        let made: Pipeline = serde_json::from_value(pipeline(&example, &key(123))).unwrap();
        assert_eq!(made.namespace().as_deref(), Some("bench-01"));
        assert_eq!(made.spec.table.name, "p-0123");
        assert_eq!(made.spec.stages.silver.min_interval_seconds, 1);
    }
}
