//! Cold starts: processes that are not there, from the event that has them started to their first answer. Touches Kafka, `DynamoDB` and the lake.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stand_ins::mapping::{Answer, Mapping};

use super::super::table::{Goal, Table};
use super::deployed::Deployed;
use super::post::{EVENTS_PATH, NOWHERE, answered, post, timed};
use crate::function::Function;
use crate::progress::Step;
use crate::shop::Shop;
use crate::tests::many;
use crate::visibility::quantile;
use crate::waiting::{Look, in_the_end};

const STARTS: usize = 20;
/// Most milliseconds of the gateway's.
const MOST: f64 = 150.0;
/// Most records of a batch.
const BATCH: usize = 50;
const PATIENCE: Duration = Duration::from_mins(1);
const SOON: Duration = Duration::from_millis(100);

/// Milliseconds of first answers: as the client saw them, and without its way to the emulator.
#[derive(Default)]
struct Starts {
    seen: Vec<f64>,
    reported: Vec<f64>,
}

impl Starts {
    fn add(&mut self, function: &Function, seen: f64) -> Result<()> {
        let reported = function.durations();
        let first = reported.first().copied();
        self.reported.push(first.context("the emulator has reported nothing")?);
        self.seen.push(seen);
        Ok(())
    }

    /// Half of them, and the worst.
    fn rows(mut self, table: &mut Table, whose: &str, goal: impl Fn(f64) -> String, beside: &str) {
        for all in [&mut self.seen, &mut self.reported] {
            all.sort_by(f64::total_cmp);
        }
        for (what, part) in [("p50", 0.5), ("worst", 1.0)] {
            let (seen, reported) = (quantile(&self.seen, part), quantile(&self.reported, part));
            table.row(
                format!("{whose} function, {STARTS} cold starts to the first answer, {what}"),
                format!("{seen:.0} ms"),
                format!("{}the emulator's report {reported:.0} ms; {beside}", goal(seen)),
            );
        }
    }
}

/// Each takes one event, which it answers once the brokers have it; beside that, as many that answer without an event.
pub async fn gateway(deployed: &Deployed<'_>, shop: &Shop<'_>, table: &mut Table) -> Result<()> {
    let step = shop.world.progress.step("cold starts of the gateway's function");
    let (mut starts, mut bare) = (Starts::default(), Starts::default());
    for event in many("cold", STARTS, 1)? {
        for (path, status, into) in [(EVENTS_PATH, 200, &mut starts), (NOWHERE, 404, &mut bare)] {
            let function = deployed.start().await?;
            let took = answered(&function, &post(&shop.token, path, &event.text), status).await?;
            into.add(&function, took)?;
            function.stop().await?;
        }
        step.say(format!("{} of {STARTS}", starts.seen.len()));
    }
    step.done("");
    bare.seen.sort_by(f64::total_cmp);
    let beside = format!("without the brokers (404) p50 {:.0} ms", quantile(&bare.seen, 0.5));
    let goal = |seen| String::from(Goal::at_most(seen, MOST, "ms")) + "; ";
    starts.rows(table, "gateway's", goal, &beside);
    Ok(())
}

/// Each takes a batch, which it answers once Bronze has it, and then one more as a warm one does. The table has enough of them.
pub async fn exporter(deployed: &Deployed<'_>, shop: &Shop<'_>, table: &mut Table) -> Result<()> {
    let stores = &shop.world.stores;
    let stream = stores.stream(&shop.plan.pipeline.spec.table.name).await?;
    let mut mapping = Mapping::begin(stores.streams().clone(), stream).await?;
    let step = shop.world.progress.step("cold starts of the exporter's function");
    let (mut starts, mut warm) = (Starts::default(), Vec::new());
    for number in 1..=STARTS {
        let function = deployed.start().await?;
        let took = take(&function, &mut mapping, &step).await?;
        starts.add(&function, took)?;
        warm.push(take(&function, &mut mapping, &step).await?);
        function.stop().await?;
        step.say(format!("{number} of {STARTS}"));
    }
    step.done("");
    warm.sort_by(f64::total_cmp);
    let beside = format!("the next batch of {BATCH} p50 {:.0} ms", quantile(&warm, 0.5));
    starts.rows(table, "exporter's", |_| String::new(), &beside);
    Ok(())
}

/// Milliseconds until the stream's next batch was taken.
async fn take(function: &Function, mapping: &mut Mapping, step: &Step) -> Result<f64> {
    let batch = in_the_end(step, PATIENCE, SOON, async || {
        Ok(mapping
            .next(BATCH)
            .await?
            .map_or_else(|| Look::Waiting("the stream gives no batch".to_owned()), Look::Done))
    })
    .await?;
    let (said, took) = timed(function, &batch).await?;
    let answer = Answer::of(&said)?;
    ensure!(
        answer == Answer::Done,
        "the function answered {said}; its log: {}",
        function.log()
    );
    mapping.answered(&batch, &answer)?;
    Ok(took)
}
