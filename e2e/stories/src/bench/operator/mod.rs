//! `stories bench operator`: the real operator on one core before a real API server, with hundreds of pipelines whose pods are simulated. Touches the API server and loopback.
//!
//! The stack has an API server, etcd and the controller manager, no scheduler and no kubelet. From the inside out: [`fleet`]
//! (what the simulated workers say), [`progress`] (says it over HTTP), [`pods`] and [`jobs`] (play the kubelet), [`history`]
//! and [`setup`] (make what stands at the beginning), [`process`] (the operator), [`look`] (reads the outcome), and on top of
//! these [`measure`].

mod fleet;
mod history;
mod jobs;
mod look;
mod measure;
mod pods;
mod process;
mod progress;
mod raw;
mod setup;
mod simulator;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::table::Table;
use crate::cluster::Cluster;
use crate::progress::Progress;
use crate::stack::Stack;
use measure::Bench;

/// Measures the operator with each of these numbers of pipelines, growing from one to the next.
pub async fn bench(sizes: &[usize]) -> Result<()> {
    ensure!(sizes.is_sorted() && !sizes.is_empty(), "the sizes must grow: {sizes:?}");
    raise_open_files()?;
    let stack = Stack::from_environment()?;
    let progress = Progress::default();
    let cluster = Cluster::connect(&stack).await?;
    let mut table = Table::default();
    let mut bench = Bench::prepare(stack, cluster, progress, &mut table).await?;
    for size in sizes {
        bench.steady(*size, &mut table).await?;
    }
    bench.compare_sizes(&mut table);
    bench.restart(&mut table).await?;
    bench.idle(&mut table).await?;
    bench.upgrade(&mut table).await?;
    bench.delete(&mut table).await?;
    bench.end().await?;
    println!("\n{table}");
    Ok(())
}

/// A connection per pod: the limit of open files is raised to what the administrator allows.
fn raise_open_files() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("raise the limit of open files")
}
