//! The measurements, one after the other on one growing fleet. Touches the API server, loopback and the operator's process.
//!
//! A part that fails is marked as missing in the table, and the next one is made all the same.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Api, DeleteParams};
use medallion_crds::Pipeline;
use tokio::task::JoinHandle;

use super::super::idle;
use super::super::table::{Goal, Table, rate};
use super::process::{self, Operator};
use super::sample::{self, Sample};
use super::simulator::Simulator;
use super::statuses::{self, Statuses};
use super::writer::Writer;
use super::{collector, deployments, jobs, look, profile, progress, raw, setup};
use crate::cluster::Cluster;
use crate::progress::{Progress, Step};
use crate::stack::Stack;
use crate::visibility::quantile;
use crate::waiting::{Look, in_the_end};

/// Each pipeline commits once in this time.
const MINUTE: Duration = Duration::from_mins(1);
/// Until runs start and end evenly, and how long is measured then.
const WARM: Duration = Duration::from_secs(30);
const MEASURED: Duration = Duration::from_secs(90);
const REST: Duration = Duration::from_mins(3);
/// After everything has come to rest: what has just ended is still reported for a moment.
const CALM: Duration = Duration::from_secs(20);
/// What is left of deleted pipelines is counted by lists.
const COUNTED: Duration = Duration::from_secs(2);
const DELETED: usize = 200;
/// At most a fifth of the fleet.
const DELETED_SHARE: usize = 5;
const AT_ONCE: usize = 32;

pub struct Bench {
    stack: Stack,
    cluster: Cluster,
    progress: Progress,
    simulator: Arc<Simulator>,
    writer: Arc<Writer>,
    statuses: Arc<Statuses>,
    /// Where profiles of the API server are put, if somebody wants them.
    profiles: Option<PathBuf>,
    operator: Option<Operator>,
    size: usize,
    /// Dead letters that the workers count by now.
    dead_letters: i64,
    /// Pipelines, and CPU seconds of one of them in a minute.
    costs: Vec<(usize, f64)>,
}

impl Bench {
    /// The charts, the simulator and the raw limit.
    pub async fn prepare(
        stack: Stack,
        cluster: Cluster,
        progress: Progress,
        profiles: Option<PathBuf>,
        table: &mut Table,
    ) -> Result<Self> {
        let step = progress.step("raw limit of the API server");
        let rate_alone = raw::writes(&cluster).await?;
        step.done("");
        table.row(
            "API server alone, small patches, 32 at once",
            format!("{rate_alone:.0} writes/s"),
            "the raw limit",
        );
        let step = progress.step("helm upgrade --install medallion-crds, medallion-operator");
        setup::charts(&stack, "1").await?;
        step.done("");
        sample::mark_requests(&cluster).await?;
        let simulator = Arc::new(Simulator::default());
        let writer = Arc::new(Writer::new(cluster.client.clone()));
        let statuses = Arc::new(Statuses::default());
        progress::serve(simulator.clone()).await?;
        jobs::play(cluster.client.clone(), simulator.clone(), writer.clone());
        deployments::play(cluster.client.clone(), simulator.clone(), writer.clone());
        statuses::follow(cluster.client.clone(), statuses.clone());
        progress.line(format!("the operator's log is {}", process::log(&stack).display()));
        Ok(Self {
            stack,
            cluster,
            progress,
            simulator,
            writer,
            statuses,
            profiles,
            operator: None,
            size: 0,
            dead_letters: 0,
            costs: Vec::new(),
        })
    }

    /// Grows to so many pipelines and measures one run a minute of each.
    pub async fn steady(&mut self, size: usize, table: &mut Table) -> Result<()> {
        // The past must stand before the operator looks, else it begins a history of its own.
        self.stop().await?;
        let step = self.progress.step(format!("{size} pipelines with their past runs"));
        setup::pipelines(&self.cluster, &self.writer, &self.simulator, &step, self.size..size).await?;
        step.done("");
        self.size = size;
        let ready = self.become_ready().await;
        let ready = ready.map(|took| table.row(self.of("all ready after the first start"), seconds(took), ""));
        table.note(self.of("all ready after the first start"), ready);
        let commits = self.commit_once_a_minute();
        let measured = self.measure_steady(table).await;
        commits.abort();
        table.note(self.of("one run a minute each"), measured);
        let rested = self.rest().await;
        table.note(self.of("coming to rest"), rested);
        let raw = self.raw_limit(table).await;
        table.note(self.of("API server alone"), raw);
        Ok(())
    }

    async fn become_ready(&mut self) -> Result<Duration> {
        let step = self.progress.step(format!("{} pipelines become ready", self.size));
        self.start(&step).await?;
        let took = self.all_reported(&step).await?;
        step.done("");
        Ok(took)
    }

    /// What the API server can do beside this many objects, while the operator rests.
    async fn raw_limit(&self, table: &mut Table) -> Result<()> {
        let step = self.progress.step("raw limit of the API server at this size");
        let rate_alone = raw::writes(&self.cluster).await?;
        step.done("");
        table.row(
            self.of("API server alone, small patches, 32 at once"),
            format!("{rate_alone:.0} writes/s"),
            "the raw limit at this size",
        );
        Ok(())
    }

    async fn measure_steady(&mut self, table: &mut Table) -> Result<()> {
        let step = self.progress.step("one run a minute each, warming up");
        tokio::time::sleep(WARM).await;
        step.done("");
        self.simulator.fleet.take_delays();
        let profile = self.profiles.as_ref().map(|folder| {
            let file = folder.join(format!("api-server-{}.pprof", self.size));
            tokio::spawn(profile::write(self.cluster.client.clone(), file))
        });
        let step = self.progress.step(format!("measuring {} s", MEASURED.as_secs()));
        let (before, begun) = (self.sample().await?, Instant::now());
        let mut most = 0;
        while begun.elapsed() < MEASURED {
            tokio::time::sleep(Duration::from_secs(1)).await;
            most = most.max(self.operator()?.usage()?.0);
            step.say(format!("{} commits wait for their Job", self.simulator.fleet.waiting()));
        }
        let (after, took) = (self.sample().await?, begun.elapsed().as_secs_f64());
        step.done("");
        let delays = self.simulator.fleet.take_delays();
        self.rows(table, &before, &after, took, most, &delays);
        for (what, figure, limit) in sample::of_server(&before, &after, took) {
            table.row(self.of(&what), figure, limit);
        }
        for line in sample::by_kind(&before, &after, took) {
            self.progress.line(format!("  {line}"));
        }
        if let Some(profile) = profile {
            profile.await??;
        }
        Ok(())
    }

    fn rows(
        &mut self,
        table: &mut Table,
        before: &Sample,
        after: &Sample,
        took: f64,
        resident: u64,
        delays: &[Duration],
    ) {
        let cpu = (after.cpu - before.cpu) / took;
        self.costs.push((self.size, cpu));
        let per_second = |count: fn(&Sample) -> f64| format!("{:.1}/s", (count(after) - count(before)) / took);
        #[expect(clippy::cast_precision_loss, reason = "a process of some hundred MiB")]
        let mebibytes = (resident >> 20) as f64;
        table.row(
            self.of("CPU of the operator"),
            format!("{:.1} %", cpu * 100.0),
            "one core",
        );
        table.row(
            self.of("resident memory of the operator"),
            format!("{mebibytes} MiB"),
            Goal::at_most(mebibytes, 400.0, "MiB"),
        );
        table.row(self.of("status writes"), per_second(|sample| sample.status_writes), "");
        table.row(
            self.of("writes of the operator"),
            per_second(|sample| sample.writes),
            "",
        );
        table.row(self.of("polls"), per_second(|sample| sample.polls), "");
        table.row(self.of("looks"), per_second(|sample| sample.looks), "");
        let runs = rate(delays.len(), took) * MINUTE.as_secs_f64();
        table.row(
            self.of("runs begun in a minute"),
            format!("{runs:.0}"),
            format!("{} commits", self.size),
        );
        let sorted: Vec<f64> = delays.iter().map(Duration::as_secs_f64).collect();
        let (half, most) = (quantile(&sorted, 0.5), quantile(&sorted, 0.99));
        table.row(
            self.of("Bronze commit to the next run's Job, p50"),
            format!("{half:.2} s"),
            "",
        );
        table.row(
            self.of("Bronze commit to the next run's Job, p99"),
            format!("{most:.2} s"),
            Goal::at_most(most, 5.0, "s"),
        );
    }

    /// What one pipeline costs among many, beside what it costs among fewer.
    pub fn compare_sizes(&self, table: &mut Table) {
        for pair in self.costs.windows(2) {
            let [(few, cost), (many, cost_of_many)] = pair else {
                continue;
            };
            let ratio = cost_of_many / rate(*many, 1.0) / (cost / rate(*few, 1.0));
            table.row(
                format!("CPU for one pipeline, {many} to {few}"),
                format!("{ratio:.2}"),
                Goal::at_most(ratio, 1.1, ""),
            );
        }
    }

    /// From the start of another process until every status says what has changed meanwhile.
    pub async fn restart(&mut self, table: &mut Table) -> Result<()> {
        let step = self.progress.step("restarting the operator");
        self.stop().await?;
        let begun = Instant::now();
        self.start(&step).await?;
        self.all_reported(&step).await?;
        let took = begun.elapsed();
        step.done("");
        table.row(
            self.of("all reported again after a restart"),
            seconds(took),
            Goal::at_most(took.as_secs_f64(), 60.0, "s"),
        );
        Ok(())
    }

    pub async fn idle(&mut self, table: &mut Table) -> Result<()> {
        self.rest().await?;
        let operator = self.operator()?;
        let cpu = || operator.usage().map(|(_, cpu)| cpu);
        idle::watch(&self.cluster, &self.progress, table, &self.of("operator"), cpu).await
    }

    /// Another image: every pod is replaced.
    pub async fn upgrade(&mut self, table: &mut Table) -> Result<()> {
        let step = self.progress.step("helm upgrade to another image");
        let begun = Instant::now();
        setup::charts(&self.stack, "2").await?;
        self.stop().await?;
        self.start(&step).await?;
        look::all_rolled_out(&self.simulator, &step, ":2").await?;
        self.all_reported(&step).await?;
        step.done("");
        table.row(
            self.of("all ready after a Helm upgrade, every pod replaced"),
            seconds(begun.elapsed()),
            "the writes of the simulator included",
        );
        Ok(())
    }

    pub async fn delete(&mut self, table: &mut Table) -> Result<()> {
        let count = DELETED.min(self.size.div_ceil(DELETED_SHARE));
        let keys: Vec<_> = self.simulator.fleet.keys().into_iter().rev().take(count).collect();
        let step = self.progress.step("starting the garbage collector");
        collector::start(&self.stack, &self.cluster, &step).await?;
        step.done("");
        let step = self.progress.step(format!("deleting {count} pipelines"));
        let begun = Instant::now();
        let cluster = &self.cluster;
        stream::iter(&keys)
            .map(|(namespace, name)| async move {
                let api: Api<Pipeline> = cluster.api(namespace);
                api.delete(name, &DeleteParams::background()).await
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(async |_| Ok(()))
            .await?;
        let left = self.size - count;
        self.wait_for(&step, Duration::from_millis(500), async || {
            let there = self.statuses.count();
            let watched = self
                .operator()?
                .counters()
                .await?
                .sum("medallion_operator_pipelines", &[]);
            let done = there == left && (watched - rate(left, 1.0)).abs() < 0.5;
            Ok((
                done,
                format!("{there} pipelines are there, the operator sees {watched}"),
            ))
        })
        .await?;
        let gone = begun.elapsed();
        table.row(
            self.of(&format!("{count} deleted pipelines are gone")),
            seconds(gone),
            Goal::at_most(gone.as_secs_f64(), 60.0, "s"),
        );
        let names: Vec<_> = keys.iter().map(|(_, name)| name.clone()).collect();
        self.wait_for(&step, COUNTED, async || {
            let there = look::left_of(&self.cluster.client, &names).await?;
            Ok((there == 0, format!("{there} of their children are there")))
        })
        .await?;
        step.done("");
        table.row(
            self.of(&format!("children of {count} deleted pipelines are gone")),
            seconds(begun.elapsed()),
            "garbage collection by Kubernetes",
        );
        for key in &keys {
            self.simulator.fleet.remove(key);
        }
        self.size = left;
        Ok(())
    }

    pub async fn end(mut self) -> Result<()> {
        self.stop().await
    }

    async fn start(&mut self, step: &Step) -> Result<()> {
        // While nobody listens, every consumer finds one more dead letter: who reports it has asked anew.
        self.dead_letters = self.simulator.fleet.add_dead_letter();
        self.operator = Some(Operator::start(&self.stack, &self.cluster, step).await?);
        Ok(())
    }

    async fn stop(&mut self) -> Result<()> {
        match self.operator.take() {
            Some(operator) => operator.stop().await,
            None => Ok(()),
        }
    }

    fn operator(&self) -> Result<&Operator> {
        self.operator.as_ref().context("the operator runs")
    }

    async fn all_reported(&self, step: &Step) -> Result<Duration> {
        look::all_reported(&self.statuses, step, self.size, self.dead_letters).await
    }

    /// Every pipeline at its own moment of the minute.
    fn commit_once_a_minute(&self) -> JoinHandle<()> {
        let (simulator, keys) = (self.simulator.clone(), self.simulator.fleet.keys());
        tokio::spawn(async move {
            let pause = MINUTE / u32::try_from(keys.len()).unwrap_or(u32::MAX);
            let mut ticks = tokio::time::interval(pause);
            for key in keys.iter().cycle() {
                ticks.tick().await;
                simulator.fleet.commit(key);
            }
        })
    }

    /// Waits until nothing is under way.
    async fn rest(&self) -> Result<()> {
        let step = self.progress.step("coming to rest");
        in_the_end(&step, REST, Duration::from_secs(1), async || {
            let (waiting, runs) = (self.simulator.fleet.waiting(), self.simulator.jobs_under_way());
            Ok(if waiting == 0 && runs == 0 {
                Look::Done(())
            } else {
                Look::Waiting(format!("{waiting} commits wait, {runs} Jobs are under way"))
            })
        })
        .await?;
        tokio::time::sleep(CALM).await;
        step.done("");
        Ok(())
    }

    async fn wait_for(
        &self,
        step: &Step,
        every: Duration,
        mut look: impl AsyncFnMut() -> Result<(bool, String)>,
    ) -> Result<()> {
        in_the_end(step, REST * 3, every, async || {
            let (done, words) = look().await?;
            Ok(if done { Look::Done(()) } else { Look::Waiting(words) })
        })
        .await
    }

    async fn sample(&self) -> Result<Sample> {
        Sample::take(&self.cluster, self.operator()?).await
    }

    fn of(&self, what: &str) -> String {
        format!("{:>5} pipelines: {what}", self.size)
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
