//! Fetches and builds the real parts, each by its ordinary client and at its locked version. Touches the network through those clients.

pub mod go;
mod java;
pub mod lock;
pub mod maven;
mod overlay;
pub mod python;
pub mod terraform;

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::cache;
use crate::layout::Layout;
use crate::pins::Pins;
use crate::progress::Progress;

/// Where every fetched part lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fetched {
    pub kubernetes: PathBuf,
    pub containerd: PathBuf,
    pub coredns: PathBuf,
    pub helm: PathBuf,
    pub versitygw: PathBuf,
    /// What runs functions as AWS Lambda does; a stack of an earlier build has none.
    #[serde(default)]
    pub lambda_emulator: PathBuf,
    pub kafka: PathBuf,
    /// What judges tokens at Kafka, compiled; a stack of an earlier build has none.
    #[serde(default)]
    pub kafka_handler: PathBuf,
    pub dynamodb: PathBuf,
    pub postgres: PathBuf,
    pub wheels: PathBuf,
    pub python: PathBuf,
    /// The program of moto; a stack of an earlier build has none.
    #[serde(default)]
    pub moto: PathBuf,
}

/// Only one process fetches at a time, so that nothing is fetched twice.
async fn alone(layout: &Layout, progress: &Progress) -> Result<cache::Lock> {
    let lock = layout.cache.join("fetch.lock");
    progress
        .quiet_step(|step| async move { cache::lock(&lock, &step).await })
        .await
}

/// Helm, kubeconform and promtool, all that the charts' checks need.
pub async fn chart_tools(layout: &Layout, progress: &Progress) -> Result<[PathBuf; 3]> {
    let _lock = alone(layout, progress).await?;
    Ok([
        go::build(layout, progress, &go::HELM).await?.join("helm"),
        go::build(layout, progress, &go::KUBECONFORM).await?.join("kubeconform"),
        go::build(layout, progress, &go::PROMTOOL).await?.join("promtool"),
    ])
}

/// Makes sure that every part is there. One after another: the other core belongs to cargo.
pub async fn all(layout: &Layout, pins: &Pins, progress: &Progress) -> Result<Fetched> {
    let _lock = alone(layout, progress).await?;
    cache::sweep(layout)?;
    // The small downloads first: while they wait for the network, cargo has both cores.
    let kafka = maven::jars(layout, pins, progress, "kafka").await?;
    let kafka_handler = java::compile(layout, progress, "kafka", "handler", &kafka).await?;
    let dynamodb = maven::jars(layout, pins, progress, "dynamodb").await?;
    let postgres = maven::postgres(layout, pins, progress).await?;
    let wheels = python::wheels(layout, pins, progress).await?;
    let python = python::environment(layout, pins, progress, &wheels).await?;
    let judges = python::terraform_tools(layout, pins, progress).await?;
    Ok(Fetched {
        kubernetes: go::build(layout, progress, &go::KUBERNETES).await?,
        containerd: go::build(layout, progress, &go::CONTAINERD).await?,
        lambda_emulator: go::build(layout, progress, &go::LAMBDA_EMULATOR).await?,
        versitygw: go::build(layout, progress, &go::VERSITYGW).await?,
        coredns: go::build(layout, progress, &go::COREDNS).await?,
        helm: go::build(layout, progress, &go::HELM).await?,
        kafka,
        kafka_handler,
        dynamodb,
        postgres,
        wheels,
        python,
        moto: judges.join("bin/moto_server"),
    })
}
