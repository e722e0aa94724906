//! Story 2: SIGKILL at random moments of every worker, the operator, Kafka and the API server while data flows, and at three named points. Nothing is lost, nothing is there twice, nothing published is done again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use medallion_crds::launch::environment::HOLD_POINT;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use tokio::task::JoinHandle;

use super::till::{Ledger, PATIENCE};
use crate::event::Event;
use crate::gateway::{Delivery, Gateway};
use crate::helm::{DEPLOYMENT, Installation, NAMESPACE};
use crate::kill;
use crate::purchases::{Purchases, shipped};
use crate::reference::{GOLD, SILVER};
use crate::shop::{Plan, Shop};
use crate::waiting::{Look, in_the_end};
use crate::world::World;

const ROUNDS: usize = 12;
/// Data flows in batches of so many events, with this pause between them.
const BATCH: usize = 15;
const PAUSE: Duration = Duration::from_secs(1);
/// A worker that is down for long is waited for; kubelet lets a container that died often wait for minutes.
const RETURN: Duration = Duration::from_mins(5);
const HELD: &str = "held here until killed";

/// What is killed.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// A pod of a worker of the pipeline.
    Worker(&'static str),
    Operator,
    /// A part of the stack.
    Part(&'static str),
}

impl Target {
    /// Milliseconds within which it is killed: what runs for a second only would be missed again and again by more.
    fn longest_delay(self) -> u64 {
        match self {
            Self::Worker("dbt-runner") => 3_000,
            Self::Worker("loader") => 500,
            Self::Worker(_) | Self::Operator | Self::Part(_) => 5_000,
        }
    }
}

const TARGETS: [Target; 8] = [
    Target::Worker("gateway"),
    Target::Worker("consumer"),
    Target::Worker("exporter"),
    Target::Worker("dbt-runner"),
    Target::Worker("loader"),
    Target::Operator,
    Target::Part("kafka"),
    Target::Part("kube-apiserver"),
];

/// A worker and a point at which it can be held.
type Point = (&'static str, &'static str);

const EXPORTER: Point = ("exporter", "between-put-and-commit");
const DBT_RUNNER: Point = ("dbt-runner", "between-gold-table-commits");
const LOADER: Point = ("loader", "between-copy-and-ledger");
/// Lines of the file that come only when the workers are held.
const HELD_BACK: usize = 100;

pub async fn run(world: &World, seed: Option<u64>) -> Result<Vec<Shop<'_>>> {
    let seed = seed.unwrap_or_else(|| rand::rng().random());
    world.progress.line(format!(
        "seed {seed}; the same kills again: stories test story --only kills --seed {seed}"
    ));
    let mut random = StdRng::seed_from_u64(seed);
    let shop = Shop::prepare_afresh(world, Plan::named("kills")?).await?;
    // While Kafka is away the provisioner has to wait, and is there to be killed.
    kill::part(&world.stack, "kafka").await?;
    shop.apply().await?;
    kill_worker(&shop, "provisioner", Duration::ZERO).await?;
    let step = world.progress.step("the pipeline becomes ready all the same");
    shop.wait_until_ready(&step).await?;
    step.done("");

    let purchases = Purchases::read(&shipped())?;
    let (flowing, held_back) = purchases.events.split_at(purchases.events.len() - HELD_BACK);
    let flow = Flow::start(shop.gateway().await?, flowing.to_vec());
    let mut targets = TARGETS.to_vec();
    targets.shuffle(&mut random);
    for round in 0..ROUNDS {
        let target = match targets.pop() {
            Some(target) => target,
            None => *TARGETS.choose(&mut random).context("there are targets")?,
        };
        let delay = Duration::from_millis(random.random_range(0..target.longest_delay()));
        let step = world.progress.step(format!(
            "round {} of {ROUNDS}: SIGKILL to {target:?} after {} ms",
            round + 1,
            delay.as_millis()
        ));
        match target {
            Target::Worker(worker) => kill_worker(&shop, worker, delay).await?,
            Target::Operator => kill_operator(&shop, delay).await?,
            Target::Part(part) => {
                tokio::time::sleep(delay).await;
                kill::part(&world.stack, part).await?;
            }
        }
        step.done("killed");
    }
    let mut ledger = Ledger::default();
    let (sent, delivery) = flow.stop().await?;
    world.progress.line(format!(
        "{} events were sent meanwhile, {} requests were repeated",
        sent.len(),
        delivery.repeats
    ));
    ledger.keep(&sent, delivery);
    ledger.settle(&shop).await?;
    nothing_done_twice(&shop).await?;

    held(world, &shop, &mut ledger, held_back).await?;
    nothing_done_twice(&shop).await?;
    Ok(vec![shop])
}

/// Follows the same lines from worker to worker: each is held at its point with them, killed there, and the next one puts
/// things right.
async fn held(world: &World, shop: &Shop<'_>, ledger: &mut Ledger, lines: &[Event]) -> Result<()> {
    world.install(holding(&[EXPORTER, DBT_RUNNER])).await?;
    let (worker, point) = EXPORTER;
    let step = world.progress.step(format!("the {worker} will be held"));
    // Until the operator has looked, the pipeline is still ready with what stood before.
    in_the_end(&step, RETURN, Duration::from_millis(500), async || {
        let pods = world.cluster.pods(&shop.namespace, &shop.name, worker).await?;
        Ok(if !pods.is_empty() && pods.iter().all(|pod| holds(pod, point)) {
            Look::Done(())
        } else {
            Look::Waiting(format!("the {worker} is still one that goes on at {point}"))
        })
    })
    .await?;
    shop.wait_until_ready(&step).await?;
    step.done("");
    // What is new from now on is what the workers are killed over.
    let delivery = shop
        .gateway()
        .await?
        .deliver_all(lines, 50, 2, PATIENCE, |_| {})
        .await?;
    ledger.keep(lines, delivery);
    let pod = comes_to(shop, EXPORTER).await?;
    kill_at(world, &pod, EXPORTER)?;
    let pod = comes_to(shop, DBT_RUNNER).await?;
    // A killed Job is another pod, which would be held again.
    world.install(holding(&[LOADER])).await?;
    kill_at(world, &pod, DBT_RUNNER)?;
    let pod = comes_to(shop, LOADER).await?;
    world.install(Installation::default()).await?;
    kill_at(world, &pod, LOADER)?;
    ledger.settle(shop).await.map(drop)
}

fn holding(points: &[Point]) -> Installation {
    Installation {
        hold: points.to_vec(),
        ..Installation::default()
    }
}

/// Waits until a worker is held at its point; the pod.
async fn comes_to(shop: &Shop<'_>, (worker, point): Point) -> Result<Pod> {
    let cluster = &shop.world.cluster;
    let step = shop.world.progress.step(format!("the {worker} comes to {point}"));
    let pod = in_the_end(&step, RETURN, Duration::from_millis(500), async || {
        for pod in cluster.pods(&shop.namespace, &shop.name, worker).await? {
            if cluster.log(&pod).await.contains(HELD) {
                return Ok(Look::Done(pod));
            }
        }
        Ok(Look::Waiting(format!("no {worker} is held at {point}")))
    })
    .await?;
    step.done(format!("pod {} is held", pod.name_any()));
    Ok(pod)
}

fn kill_at(world: &World, pod: &Pod, (worker, point): Point) -> Result<()> {
    let killed = kill::pod(pod)?;
    ensure!(killed > 0, "pod {} had no process to kill", pod.name_any());
    world.progress.line(format!("SIGKILL to the {worker} at {point}"));
    Ok(())
}

/// Whether a pod was made to wait at a point.
fn holds(pod: &Pod, point: &str) -> bool {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut variables = containers.flat_map(|container| container.env.iter().flatten());
    variables.any(|variable| variable.name == HOLD_POINT && variable.value.as_deref() == Some(point))
}

/// Kills a pod of a worker; for a Job the next one that runs.
async fn kill_worker(shop: &Shop<'_>, worker: &str, delay: Duration) -> Result<()> {
    let step = shop.world.progress.step(format!("a running {worker}"));
    in_the_end(&step, RETURN, Duration::from_millis(50), async || {
        let running = |pods: Vec<Pod>| pods.into_iter().find(is_running);
        if running(shop.world.cluster.pods(&shop.namespace, &shop.name, worker).await?).is_none() {
            return Ok(Look::Waiting(format!("no {worker} runs")));
        }
        tokio::time::sleep(delay).await;
        // A Job may have ended meanwhile: then the next one.
        let Some(pod) = running(shop.world.cluster.pods(&shop.namespace, &shop.name, worker).await?) else {
            return Ok(Look::Waiting(format!("the {worker} ended by itself")));
        };
        Ok(if kill::pod(&pod)? > 0 {
            Look::Done(())
        } else {
            Look::Waiting(format!("the {worker} ended by itself"))
        })
    })
    .await
}

async fn kill_operator(shop: &Shop<'_>, delay: Duration) -> Result<()> {
    let step = shop.world.progress.step("a running operator");
    tokio::time::sleep(delay).await;
    in_the_end(&step, RETURN, Duration::from_millis(500), async || {
        let selector = ListParams::default().labels(&format!("app.kubernetes.io/name={DEPLOYMENT}"));
        let pods = shop.world.cluster.api::<Pod>(NAMESPACE).list(&selector).await?;
        for pod in pods.items.iter().filter(|pod| is_running(pod)) {
            if kill::pod(pod)? > 0 {
                return Ok(Look::Done(()));
            }
        }
        Ok(Look::Waiting("no operator runs".to_owned()))
    })
    .await
}

fn is_running(pod: &Pod) -> bool {
    let statuses = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_deref())
        .unwrap_or_default();
    statuses
        .iter()
        .any(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()))
}

/// Each table has at most one commit of each run: what was published was not done again.
async fn nothing_done_twice(shop: &Shop<'_>) -> Result<()> {
    let mut referee = shop.world.referee().await;
    let silver = SILVER.map(|table| shop.silver(table));
    let gold = GOLD.map(|table| shop.gold(table));
    for url in silver.into_iter().chain(gold) {
        let commits = format!(
            "SELECT json_extract_string(domainMetadata.configuration, '$.runUid') AS run
             FROM read_json('{url}/_delta_log/*.json', format = 'newline_delimited',
                 columns = {{domainMetadata: 'STRUCT(domain VARCHAR, configuration VARCHAR)'}})
             WHERE domainMetadata.domain = 'medallion.run'"
        );
        let twice = referee
            .sql(&format!(
                "SELECT run, count(*) FROM ({commits}) GROUP BY run HAVING count(*) > 1 OR run IS NULL"
            ))
            .await?;
        ensure!(twice.is_empty(), "{url}: runs that committed more than once: {twice:?}");
        let all = referee.number(&format!("SELECT count(*) FROM ({commits})")).await?;
        ensure!(all > 0, "{url}: no commit names its run");
    }
    Ok(())
}

/// Events that flow in the background until it is stopped.
struct Flow {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<(Vec<Event>, Delivery)>>,
}

impl Flow {
    fn start(gateway: Gateway, events: Vec<Event>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let (mut sent, mut all) = (Vec::new(), Delivery::default());
            for batch in events.chunks(BATCH) {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                all.merge(gateway.deliver(batch, RETURN).await?);
                sent.extend_from_slice(batch);
                tokio::time::sleep(PAUSE).await;
            }
            Ok((sent, all))
        });
        Self { stop, task }
    }

    /// What was sent, and what became of it.
    async fn stop(self) -> Result<(Vec<Event>, Delivery)> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}
