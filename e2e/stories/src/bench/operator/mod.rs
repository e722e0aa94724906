//! `stories bench operator`: the real operator on one core before a real API server, with hundreds of pipelines whose pods are simulated. Touches the API server and loopback.
//!
//! The stack has an API server and etcd alone: no scheduler, no kubelet, and no controllers but the garbage collector, where
//! deletion is measured. From the inside out: [`fleet`] (what the simulated workers say), [`progress`] (says it over HTTP),
//! [`simulator`] (what stands), [`writer`] (few and small writes), [`pods`] and [`reports`] (what is written), [`deployments`] and
//! [`jobs`] (play the controllers and the kubelet), [`history`] and [`setup`] (make what stands at the beginning), [`process`] (the
//! operator), [`statuses`], [`look`] and [`sample`] (read the outcome), and on top of these [`measure`].

mod collector;
mod deployments;
mod fleet;
mod history;
mod jobs;
mod look;
mod measure;
mod pods;
mod process;
mod profile;
mod progress;
mod raw;
mod reports;
mod sample;
mod setup;
mod simulator;
mod statuses;
mod writer;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::table::Table;
use crate::cluster::Cluster;
use crate::progress::Progress;
use crate::stack::Stack;
use measure::Bench;

/// Measures the operator with each of these numbers of pipelines, growing from one to the next; with a folder, profiles of the API
/// server are put into it. What cannot be measured is marked as missing, and fails the whole at the end.
pub async fn bench(sizes: &[usize], profiles: Option<PathBuf>) -> Result<()> {
    ensure!(sizes.is_sorted() && !sizes.is_empty(), "the sizes must grow: {sizes:?}");
    raise_open_files()?;
    let stack = Stack::from_environment()?;
    let progress = Progress::default();
    let cluster = Cluster::connect(&stack).await?;
    let mut table = Table::default();
    let mut bench = Bench::prepare(stack, cluster, progress, profiles, &mut table).await?;
    measure_all(&mut bench, sizes, &mut table).await;
    let ended = bench.end().await;
    println!("\n{table}");
    ended?;
    ensure!(
        table.missing() == 0,
        "{} parts of the measurements are missing",
        table.missing()
    );
    Ok(())
}

async fn measure_all(bench: &mut Bench, sizes: &[usize], table: &mut Table) {
    for size in sizes {
        let measured = bench.steady(*size, table).await;
        let is_there = measured.is_ok();
        table.note(format!("{size} pipelines"), measured);
        if !is_there {
            // Nobody knows which pipelines stand.
            return;
        }
    }
    bench.compare_sizes(table);
    let restarted = bench.restart(table).await;
    table.note("after a restart", restarted);
    let rested = bench.idle(table).await;
    table.note("an idle minute", rested);
    let upgraded = bench.upgrade(table).await;
    table.note("after a Helm upgrade", upgraded);
    let deleted = bench.delete(table).await;
    table.note("deletion", deleted);
}

/// A connection per pod: the limit of open files is raised to what the administrator allows.
fn raise_open_files() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("raise the limit of open files")
}
