//! The gateway's warm function beside its pod: the same posts of one event each, one after another as Lambda gives them. Posts over HTTP.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::super::table::{Goal, Table};
use super::deployed::Deployed;
use super::post::{EVENTS_PATH, NOWHERE, answered, post};
use crate::event::Event;
use crate::function::Function;
use crate::gateway::Gateway;
use crate::shop::Shop;
use crate::tests::many;
use crate::visibility::quantile;

const EVENTS: usize = 3_000;
/// So many go one way before the next way's turn, so that whatever else the machine does meets all of them.
const ROUND: usize = 250;
const WARMING: usize = 200;
/// Of the function's p99 to the pod's.
const MOST_TIMES: f64 = 1.5;
const PATIENCE: Duration = Duration::from_mins(1);

/// Where posts go.
enum Way<'w> {
    Pod(&'w Gateway),
    Function {
        function: &'w Function,
        token: &'w str,
        path: &'static str,
    },
}

/// A way, the status that it must answer by, and what its answers took.
struct Series<'w> {
    way: Way<'w>,
    status: u16,
    milliseconds: Vec<f64>,
}

impl<'w> Series<'w> {
    const fn new(way: Way<'w>, status: u16) -> Self {
        Self {
            way,
            status,
            milliseconds: Vec::new(),
        }
    }

    /// One after another, each once the one before is answered.
    async fn post(&mut self, events: &[Event]) -> Result<()> {
        for event in events {
            let took = match &self.way {
                Way::Pod(gateway) => {
                    let sent = Instant::now();
                    let answer = gateway.post(event.text.clone()).await?;
                    ensure!(
                        answer.status == self.status,
                        "the pod answered {} {}",
                        answer.status,
                        answer.body
                    );
                    sent.elapsed().as_secs_f64() * 1000.0
                }
                Way::Function { function, token, path } => {
                    answered(function, &post(token, path, &event.text), self.status).await?
                }
            };
            self.milliseconds.push(took);
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.milliseconds.clear();
    }

    /// p50 and p99.
    fn ends(mut self) -> [f64; 2] {
        self.milliseconds.sort_by(f64::total_cmp);
        [0.5, 0.99].map(|part| quantile(&self.milliseconds, part))
    }
}

pub async fn measure(deployed: &Deployed<'_>, shop: &Shop<'_>, table: &mut Table) -> Result<()> {
    let gateway = shop.gateway().await?;
    let nowhere = Gateway::new(gateway.url().replace(EVENTS_PATH, NOWHERE), shop.token.clone());
    let started = deployed.start().await?;
    let (function, token) = (&started, shop.token.as_str());
    let through = |path| Way::Function { function, token, path };
    let mut all = [
        Series::new(Way::Pod(&gateway), 200),
        Series::new(through(EVENTS_PATH), 200),
        Series::new(Way::Pod(&nowhere), 404),
        Series::new(through(NOWHERE), 404),
    ];
    let step = shop.world.progress.step(format!("{EVENTS} posts each way"));
    let warming = many("warming", WARMING, 1)?;
    // Patiently: the node's port may not lead to the pod yet.
    gateway.deliver(&warming, PATIENCE).await?;
    for series in &mut all {
        series.post(&warming).await?;
        series.forget();
    }
    for round in many("warm", EVENTS, 30)?.chunks(ROUND) {
        for series in &mut all {
            series.post(round).await?;
        }
        step.say(format!("{} of {EVENTS}", all[0].milliseconds.len()));
    }
    step.done("");
    let [by_pod, by_function, http, emulator] = all.map(Series::ends);
    started.stop().await?;
    let words = |[half, most]: [f64; 2]| format!("{half:.1} / {most:.1} ms");
    table.row(
        "gateway's pod, posts of one event one after another, p50 / p99",
        words(by_pod),
        format!("HTTP alone (404) {}", words(http)),
    );
    table.row(
        "gateway's warm function, the same posts, p50 / p99",
        words(by_function),
        format!("the emulator alone (404) {}", words(emulator)),
    );
    let times = by_function[1] / by_pod[1];
    table.row(
        "gateway's warm function to its pod, p99",
        format!("{times:.2} times"),
        Goal::at_most(times, MOST_TIMES, "times"),
    );
    Ok(())
}
