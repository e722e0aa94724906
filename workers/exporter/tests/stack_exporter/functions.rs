//! The function's stories: records of a stream in, rows of Bronze out, whatever comes; and the stream handed over under load.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use medallion_crds::Reason;
use medallion_crds::pipeline::RunsOn;
use serde_json::{Value, json};
use stand_ins::mapping::{Answer, Mapping, event, sequence};

use crate::emulator::Emulator;
use crate::gate::{Gate, Stand};
use crate::shop::Shop;

/// Numbers of events that Bronze has, each once.
fn events(shop: &Shop) -> Result<BTreeSet<String>> {
    let rows = shop.rows()?;
    let events: BTreeSet<_> = rows.iter().map(|row| row.event.clone()).collect();
    ensure!(
        events.len() == rows.len(),
        "{} rows of {} events",
        rows.len(),
        events.len()
    );
    Ok(events)
}

async fn put(shop: &Shop, numbers: std::ops::Range<u32>) -> Result<()> {
    stream::iter(numbers.map(Ok))
        .try_for_each_concurrent(16, |number| shop.put_event(number))
        .await
}

fn records(event: &Value) -> Vec<Value> {
    event["Records"].as_array().cloned().unwrap_or_default()
}

/// Gives a batch in parts until all of it is taken; how many parts that took.
async fn taken(function: &Emulator, mapping: &mut Mapping, batch: &Value) -> Result<usize> {
    let (shard, mut rest) = (batch["shardId"].as_str().context("a shard")?.to_owned(), records(batch));
    for part in 1..=200 {
        let event = event(mapping.arn(), &shard, &rest);
        let answer = function.give(&event).await?;
        match &answer {
            Answer::Failed(reason, message) => anyhow::bail!("{reason}: {message}"),
            Answer::Done => {
                mapping.answered(&event, &answer)?;
                return Ok(part);
            }
            Answer::From(first) => {
                let done = rest
                    .iter()
                    .position(|record| sequence(record) == first)
                    .context("one of them")?;
                ensure!(done > 0, "nothing of it was taken");
                rest.drain(..done);
                mapping.answered(&event, &answer)?;
            }
        }
    }
    anyhow::bail!("it does not end")
}

/// A batch without its window, and what is no batch at all.
async fn what_is_no_batch_is_refused(function: &Emulator, batch: &Value) -> Result<()> {
    let mut windowless = batch.clone();
    for field in [
        "shardId",
        "window",
        "state",
        "isFinalInvokeForWindow",
        "isWindowTerminatedEarly",
    ] {
        windowless.as_object_mut().context("an object")?.remove(field);
    }
    for malformed in [
        windowless,
        json!({"routeKey": "POST /v1/events"}),
        json!([1, 2]),
        json!("text"),
        json!(null),
    ] {
        let answer = function.give(&malformed).await?;
        ensure!(
            answer.reason() == Reason::BatchUnreadable.as_str(),
            "{malformed}: {answer:?}"
        );
    }
    Ok(())
}

/// S3 refuses, and S3 does not answer: the invocation says so before Lambda ends it, and nothing is lost or there twice.
async fn s3_fails(shop: &Shop, gate: &Gate, function: &Emulator, mapping: &mut Mapping) -> Result<()> {
    for (stand, number) in [(Stand::Shut, 404), (Stand::Silent, 410)] {
        put(shop, number..number + 6).await?;
        let batch = mapping.next(1_000).await?.context("a batch")?;
        gate.stands(stand);
        let begun = std::time::Instant::now();
        let answer = function.give(&batch).await?;
        ensure!(
            answer.reason() == Reason::LakeUnavailable.as_str(),
            "{stand:?}: {answer:?}"
        );
        ensure!(begun.elapsed() < Duration::from_secs(8), "by itself");
        gate.stands(Stand::Open);
        taken(function, mapping, &batch).await?;
        ensure!(u32::try_from(events(shop)?.len())? == number + 6, "{stand:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn test_dynamodb_to_bronze_lambda() -> Result<()> {
    let shop = Shop::open().await?;
    let gate = Gate::before(&shop.stack.s3.endpoint).await?;
    let function = Emulator::start(&shop, 8, &gate.endpoint).await?;
    put(&shop, 0..40).await?;
    let mut mapping = shop.mapping().await?;
    let first = mapping.next(10).await?.context("a batch")?;

    // A package of a Pipeline whose exporter is a pod says so at every invocation.
    let of_pods = Emulator::packed_as(RunsOn::Cluster, &shop, 8, &gate.endpoint).await?;
    for _ in 0..2 {
        let refused = of_pods.give(&first).await?;
        ensure!(refused.reason() == Reason::BadSettings.as_str(), "{refused:?}");
    }
    drop(of_pods);

    // Before anybody has handed the stream over, and after.
    let refused = function.give(&first).await?;
    ensure!(
        refused.reason() == Reason::StreamHeldElsewhere.as_str(),
        "nobody holds the stream yet: {refused:?}"
    );
    let pod = shop.start_exporter_as(RunsOn::Lambda)?;
    shop.until_held_by(RunsOn::Lambda).await?;
    taken(&function, &mut mapping, &first).await?;
    ensure!(events(&shop)?.len() == 10, "the first batch");

    // The same again, and what overlaps.
    ensure!(
        function.give(&first).await? == Answer::Done,
        "a batch that was taken is done"
    );
    let second = mapping.next(20).await?.context("a batch")?;
    let mut both = records(&first);
    both.extend(records(&second));
    let shard = second["shardId"].as_str().context("a shard")?.to_owned();
    ensure!(
        function.give(&event(mapping.arn(), &shard, &both[5..15])).await? == Answer::Done,
        "what overlaps"
    );
    ensure!(events(&shop)?.len() == 15, "nothing twice");

    // A gap, and what is no batch.
    let gap = function.give(&event(mapping.arn(), &shard, &both[17..20])).await?;
    ensure!(gap.reason() == Reason::BatchBeyondPosition.as_str(), "{gap:?}");
    what_is_no_batch_is_refused(&function, &second).await?;

    // A record that cannot be read: what is before it is taken, it and the rest wait.
    let mut spoilt = both[15..25].to_vec();
    spoilt[4]["dynamodb"]["NewImage"] = Value::Null;
    let answer = function.give(&event(mapping.arn(), &shard, &spoilt)).await?;
    ensure!(answer == Answer::From(sequence(&spoilt[4]).to_owned()), "{answer:?}");
    ensure!(events(&shop)?.len() == 19, "four more");
    taken(&function, &mut mapping, &second).await?;
    ensure!(events(&shop)?.len() == 30, "and the rest with a better answer");

    // More than one commit takes, and events of a third of a megabyte.
    put(&shop, 40..400).await?;
    let large = mapping.next(1_000).await?.context("a batch")?;
    let parts = taken(&function, &mut mapping, &large).await?;
    ensure!(parts > 1, "it does not fit into one commit");
    for number in 400..404 {
        let payload = json!({"id": format!("e-{number:06}"), "order": "order-1", "at": "2026-03-01T00:00:00Z", "note": "x".repeat(340_000)});
        shop.put(number, &payload.to_string()).await?;
    }
    while let Some(batch) = mapping.next(1_000).await? {
        taken(&function, &mut mapping, &batch).await?;
    }
    ensure!(events(&shop)?.len() == 404, "all of them");

    s3_fails(&shop, &gate, &function, &mut mapping).await?;

    // A window's end, a schedule, and the pod takes the stream back.
    ensure!(
        function.give(&event(mapping.arn(), &shard, &[])).await? == Answer::Done,
        "a window's end"
    );
    let scheduled = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
    ensure!(function.give(&scheduled).await? == Answer::Done, "a schedule");
    drop(pod);
    let pod = shop.start_exporter_as(RunsOn::Cluster)?;
    shop.until_held_by(RunsOn::Cluster).await?;
    drop(pod);
    put(&shop, 416..420).await?;
    let batch = mapping.next(1_000).await?.context("a batch")?;
    let refused = function.give(&batch).await?;
    ensure!(
        refused.reason() == Reason::StreamHeldElsewhere.as_str(),
        "the pod holds the stream: {refused:?}"
    );
    let _pod = shop.start_exporter_as(RunsOn::Cluster)?;
    shop.until_rows(420).await?;
    ensure!(
        function.give(&batch).await? == Answer::Done,
        "what the pod has committed is done"
    );
    ensure!(events(&shop)?.len() == 420, "every event once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_is_handed_over_twice_under_load_with_both_at_work() -> Result<()> {
    const EVENTS: u32 = 4_000;
    let shop = Shop::open().await?;
    let function = Emulator::start(&shop, 20, &shop.stack.s3.endpoint).await?;
    let mut mapping = shop.mapping().await?;
    let load = async {
        stream::iter(0..EVENTS)
            .map(|number| shop.put_event(number))
            .buffer_unordered(8)
            .try_collect::<Vec<()>>()
            .await
    };
    let (ending, is_ending) = tokio::sync::watch::channel(false);
    // The mapping invokes all the time, whoever holds the stream, and gives all that there is: of small batches a busy machine's pod would
    // have committed each before the function is asked.
    let invoking = async {
        let mut failed = 0;
        while !*is_ending.borrow() {
            if let Some(batch) = mapping.next(1_000).await? {
                let answer = function.give(&batch).await?;
                failed += usize::from(matches!(answer, Answer::Failed(..)));
                mapping.answered(&batch, &answer)?;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(failed)
    };
    let pods = async {
        let first = shop.start_exporter_as(RunsOn::Cluster)?;
        shop.until_rows(300).await?;
        // The new pod begins while the old one still works, as no rollout of ours lets happen.
        let second = shop.start_exporter_as(RunsOn::Lambda)?;
        shop.until_held_by(RunsOn::Lambda).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(first);
        let reached = rows(&shop).await?;
        shop.until_rows(reached + 300).await?;
        let third = shop.start_exporter_as(RunsOn::Cluster)?;
        shop.until_held_by(RunsOn::Cluster).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(second);
        let reached = rows(&shop).await?;
        shop.until_rows((reached + 300).min(EVENTS.into())).await?;
        drop(third);
        let _last = shop.start_exporter_as(RunsOn::Lambda)?;
        shop.until_rows(EVENTS.into()).await?;
        // Were anything there twice, more would come.
        tokio::time::sleep(Duration::from_secs(3)).await;
        ending.send_replace(true);
        anyhow::Ok(())
    };
    let (_, failed, ()) = tokio::try_join!(load, invoking, pods)?;
    ensure!(
        failed > 0,
        "the function was never refused, so the two were not at work at once"
    );
    let all = events(&shop)?;
    ensure!(
        all.len() == usize::try_from(EVENTS)?,
        "{} of {EVENTS} events",
        all.len()
    );
    Ok(())
}

async fn rows(shop: &Shop) -> Result<u64> {
    let Some(snapshot) = shop.bronze()?.snapshot().await? else {
        return Ok(0);
    };
    Ok(snapshot.files().await?.iter().filter_map(|file| file.rows).sum())
}
