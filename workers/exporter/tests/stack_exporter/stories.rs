//! The stories. Needs a running local stack.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use medallion_crds::Reason;
use tokio_util::sync::CancellationToken;
use worker_kit::ErrorClass;

use crate::shop::{Row, Shop};

fn by_event(rows: &[Row]) -> BTreeMap<String, Vec<String>> {
    let mut changes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        changes.entry(row.event.clone()).or_default().push(row.change.clone());
    }
    changes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_exporter_loses_nothing_and_repeats_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let mut exporter = shop.start_exporter()?;
    let events = 2_400_u32;
    for step in 0..8 {
        let numbers = step * events / 8..(step + 1) * events / 8;
        stream::iter(numbers.map(Ok))
            .try_for_each_concurrent(16, |number| shop.put_event(number))
            .await?;
        // Some rows of this step are committed when the kill comes, some are buffered, some not read.
        shop.until_rows(u64::from(step * events / 8 + 1)).await?;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..300))).await;
        drop(exporter);
        exporter = shop.start_exporter()?;
    }
    shop.until_rows(events.into()).await?;
    drop(exporter);
    let rows = shop.rows()?;
    let changes = by_event(&rows);
    assert_eq!(changes.len(), usize::try_from(events)?, "nothing lost");
    assert!(changes.values().all(|changes| changes == &["INSERT"]), "nothing twice");
    let mut sequences: Vec<&String> = rows.iter().map(|row| &row.sequence).collect();
    sequences.dedup();
    assert_eq!(sequences.len(), rows.len(), "every record of the stream once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_by_others_arrive_with_their_kind_and_repeated_puts_leave_no_trace() -> Result<()> {
    let shop = Shop::open().await?;
    let shutdown = CancellationToken::new();
    shop.put_event(1).await?;
    shop.put_event(1).await?;
    shop.put(1, "not even json").await?;
    shop.delete(1).await?;
    shop.put_event(2).await?;
    let story = async {
        shop.until_rows(4).await?;
        shutdown.cancel();
        anyhow::Ok(())
    };
    let (ended, went) = tokio::join!(shop.export(&shutdown), story);
    went?;
    ended.context("the exporter was asked to stop")?;
    let changes = by_event(&shop.rows()?);
    assert_eq!(changes["e-000001"], ["INSERT", "MODIFY", "REMOVE"]);
    assert_eq!(changes["e-000002"], ["INSERT"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_switched_off_and_on_halts_it() -> Result<()> {
    let shop = Shop::open().await?;
    shop.put_event(1).await?;
    let shutdown = CancellationToken::new();
    let story = async {
        shop.until_rows(1).await?;
        shop.switch_stream(false).await?;
        shop.put_event(2).await?;
        shop.switch_stream(true).await?;
        anyhow::Ok(())
    };
    let halted = async { tokio::time::timeout(Duration::from_mins(1), shop.export(&shutdown)).await };
    let (halted, went) = tokio::join!(halted, story);
    went?;
    let error = halted.context("it must not go on")?.expect_err("it must not go on");
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::LossRisk, &Reason::StreamReplaced)
    );
    let error = shop.export(&shutdown).await.expect_err("nor start again");
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::LossRisk, &Reason::StreamReplaced)
    );
    assert_eq!(shop.rows()?.len(), 1, "nothing of the new stream was read");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_exporters_one_ends_and_the_rows_are_there_once() -> Result<()> {
    let shop = Shop::open().await?;
    let shutdown = CancellationToken::new();
    let writes = stream::iter(0..1_000_u32)
        .map(|number| shop.put_event(number))
        .buffer_unordered(8);
    let story = async {
        let written = writes.try_collect::<Vec<()>>().await;
        written?;
        shop.until_rows(1_000).await?;
        shutdown.cancel();
        anyhow::Ok(())
    };
    let (one, other, went) = tokio::join!(shop.export(&shutdown), shop.export(&shutdown), story);
    went?;
    let fenced: Vec<_> = [one, other].into_iter().filter_map(Result::err).collect();
    assert_eq!(
        fenced.iter().map(|error| error.class).collect::<Vec<_>>(),
        [ErrorClass::Fenced]
    );
    assert!(by_event(&shop.rows()?).values().all(|changes| changes == &["INSERT"]));
    Ok(())
}
