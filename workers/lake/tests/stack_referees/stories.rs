//! The stories. Needs a running local stack.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use arrow::array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use medallion_lake::{Change, Claim, Outcome, OwnedTable, PartitionValues, Snapshot};
use serde_json::{Value, json};

use crate::stack::Stack;

const CHILD: &str = "LAKE_TEST_CHILD_TABLE";

fn claim() -> Claim {
    Claim::new("here/shop/orders", [])
}

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("amount", DataType::Decimal128(18, 2), true),
        Field::new(
            "at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new("part_day", DataType::Utf8, true),
    ])
}

fn rows(ids: &[i64]) -> RecordBatch {
    let names: Vec<Option<String>> = ids
        .iter()
        .map(|id| (id % 3 != 0).then(|| format!("näme {id} 'quoted'")))
        .collect();
    let amounts: Vec<i128> = ids.iter().map(|id| i128::from(*id) * 100 - 50).collect();
    let times: Vec<i64> = ids.iter().map(|id| 1_700_000_000_000_001 + id * 1_000_000).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids.to_vec())),
        Arc::new(StringArray::from(names)),
        Arc::new(
            Decimal128Array::from(amounts)
                .with_precision_and_scale(18, 2)
                .expect("decimal"),
        ),
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
    ];
    let fields: Vec<_> = schema().fields().iter().take(4).cloned().collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("batch")
}

fn day(value: Option<&str>) -> PartitionValues {
    PartitionValues::from([("part_day".to_owned(), value.map(str::to_owned))])
}

fn committed(outcome: Outcome) -> Result<Snapshot> {
    match outcome {
        Outcome::Committed(snapshot) => Ok(snapshot),
        other => anyhow::bail!("not committed: {other:?}"),
    }
}

fn ids(rows: &[Value]) -> Vec<i64> {
    rows.iter().filter_map(|row| row["id"].as_i64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn other_libraries_see_the_rows_partitions_and_past_that_we_wrote() -> Result<()> {
    let stack = Stack::from_environment()?;
    let address = format!("s3://{}/orders", stack.bucket().await?);
    let table = stack.store()?.table(&address)?.claimed(&claim());
    let base = table.open_or_create(&schema(), &["part_day"]).await?;

    let odd = ["2026-03-01", "Côte d'Ivoire", "a/b=c%20d", "1+1 & 2?#"];
    let mut files = vec![
        table
            .write_file("part_day=null/0.parquet", &day(None), vec![rows(&[0, 1])])
            .await?,
    ];
    for (number, value) in odd.iter().enumerate() {
        let first = i64::try_from(number)? * 10 + 10;
        files.push(
            table
                .write_file(
                    &format!("odd/{number}.parquet"),
                    &day(Some(value)),
                    vec![rows(&[first, first + 1])],
                )
                .await?,
        );
    }
    let one = committed(
        table
            .commit(&base, &Change::append(files).position("test.shard", json!("1")))
            .await?,
    )?;

    let touched = BTreeSet::from([day(Some("Côte d'Ivoire")), day(None)]);
    let fresh = table
        .write_file("odd/run-1.parquet", &day(Some("Côte d'Ivoire")), vec![rows(&[777])])
        .await?;
    let replace = Change::replace_partitions(&touched, vec![fresh])
        .position("medallion.run", json!({"runUid": "r"}))
        .add_columns(vec![Field::new("gift", DataType::Boolean, true)]);
    let two = committed(table.commit(&one, &replace).await?)?;

    let before = stack.referees(&one, &address)?;
    assert_eq!(ids(&before.rows), [0, 1, 10, 11, 20, 21, 30, 31, 40, 41]);
    assert_eq!((before.version, before.partitions), (1, vec!["part_day".to_owned()]));
    let partition = |id: i64| {
        before
            .rows
            .iter()
            .find(|row| row["id"] == id)
            .map(|row| row["part_day"].clone())
    };
    assert_eq!(partition(0), Some(Value::Null));
    for (number, value) in odd.iter().enumerate() {
        assert_eq!(partition(i64::try_from(number)? * 10 + 10), Some(json!(value)));
    }
    assert_eq!(before.rows[0]["name"], Value::Null);
    assert_eq!(before.rows[0]["amount"], json!("-0.50"));
    assert_eq!(before.rows[1]["name"], json!("näme 1 'quoted'"));

    let after = stack.referees(&two, &address)?;
    assert_eq!(ids(&after.rows), [10, 11, 30, 31, 40, 41, 777]);
    assert!(
        after.rows.iter().all(|row| row["gift"].is_null()),
        "old rows have the new column as null"
    );
    let ours: BTreeSet<String> = two
        .files()
        .await?
        .into_iter()
        .filter_map(|file| Some(file.name.rsplit('/').next()?.to_owned()))
        .collect();
    assert_eq!(ours, after.files.into_iter().collect());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_up_in_parts_and_comes_back() -> Result<()> {
    let stack = Stack::from_environment()?;
    let address = format!("s3://{}/large", stack.bucket().await?);
    let table = stack.store()?.table(&address)?.claimed(&claim());
    let base = table.open_or_create(&schema(), &["part_day"]).await?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("large.parquet");
    let mut writer = parquet::arrow::ArrowWriter::try_new(std::fs::File::create(&path)?, rows(&[1]).schema(), None)?;
    let mut count = 0;
    // Random ids defeat the encoding, so that the file becomes larger than one request may be.
    while std::fs::metadata(&path)?.len() < 80 * 1024 * 1024 {
        let ids: Vec<i64> = (0..100_000).map(|_| rand::random::<i32>().into()).collect();
        count += ids.len() as u64;
        writer.write(&rows(&ids))?;
        writer.flush()?;
    }
    writer.close()?;
    let file = table.register_file(&path, "large.parquet", &day(Some("d"))).await?;
    assert_eq!(file.rows(), count);
    let snapshot = committed(
        table
            .commit(&base, &Change::append(vec![file]).position("test.shard", json!(1)))
            .await?,
    )?;
    let files = snapshot.files().await?;
    assert_eq!(
        (files[0].rows, files[0].size),
        (Some(count), std::fs::metadata(&path)?.len())
    );
    Ok(())
}

/// The life of a writer: counts up in the log, one row per number, until it is killed.
async fn count_until_killed(address: &str) -> Result<()> {
    let table = Stack::from_environment()?.store()?.table(address)?.claimed(&claim());
    loop {
        let base = table.existing().await?;
        count_one(&table, &base).await?;
    }
}

async fn count_one(table: &OwnedTable, base: &Snapshot) -> Result<()> {
    let next = base.position("test.count").and_then(Value::as_i64).unwrap_or(0) + 1;
    let name = format!("{next}-{}-{:08x}.parquet", std::process::id(), rand::random::<u32>());
    let file = table.write_file(&name, &day(Some("d")), vec![rows(&[next])]).await?;
    // Whatever the answer, the next round begins with what the log says.
    match table
        .commit(base, &Change::append(vec![file]).position("test.count", json!(next)))
        .await
    {
        Err(error) if !error.is_transient() => Err(error.into()),
        _ => Ok(()),
    }
}

struct Writer(Child);

impl Writer {
    fn start(address: &str) -> Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .args(["--exact", "stories::racing_and_killed_writers_leave_each_number_once"])
            .env(CHILD, address)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_and_killed_writers_leave_each_number_once() -> Result<()> {
    // The writers are this very test in processes of their own.
    if let Ok(address) = std::env::var(CHILD) {
        return count_until_killed(&address).await;
    }
    let stack = Stack::from_environment()?;
    let address = format!("s3://{}/counted", stack.bucket().await?);
    let table = stack.store()?.table(&address)?.claimed(&claim());
    table.open_or_create(&schema(), &["part_day"]).await?;
    let mut writers = (0..3).map(|_| Writer::start(&address)).collect::<Result<Vec<_>>>()?;
    for round in 1..=12_u64 {
        // Wait for progress, not for time: the kill then comes after a random further moment.
        let wanted = round * 10;
        let reached = tokio::time::timeout(Duration::from_mins(2), async {
            while table.existing().await?.version() < wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            anyhow::Ok(())
        });
        reached.await.context("the writers stand still")??;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..40))).await;
        writers.remove(0);
        writers.push(Writer::start(&address)?);
    }
    drop(writers);

    let last = table.existing().await?;
    let expected: Vec<i64> = (1..=i64::try_from(last.version())?).collect();
    ensure!(expected.len() > 100, "a checkpoint and more");
    assert_eq!(
        last.position("test.count"),
        expected.last().map(|last| json!(last)).as_ref()
    );
    let seen = stack.referees(&last, &address)?;
    assert_eq!(ids(&seen.rows), expected, "each number once, in the newest version");
    let middle = table.snapshot_at(last.version() / 2).await?;
    let seen = stack.referees(&middle, &address)?;
    assert_eq!(ids(&seen.rows), expected[..expected.len() / 2], "and in the past");
    let changes = table.changes(0, last.version()).await?;
    assert_eq!(
        (changes.added.len(), changes.removed.len()),
        (expected.len(), 0),
        "one file per version"
    );
    Ok(())
}
