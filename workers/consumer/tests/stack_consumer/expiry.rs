//! Items that expire: by the time of their records, whoever stores them and when. Kafka and DynamoDB Local.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

use crate::process::Consumer;
use crate::stack::{Stack, event};
use crate::{PATIENCE, eventually};

const DAY: i64 = 24 * 60 * 60;

#[test]
fn an_item_expires_by_its_record_s_time_on_every_delivery() -> Result<()> {
    let stack = Stack::new("expiring")?;
    // An hour apart, a while ago, and yet to come for DynamoDB's own housekeeping.
    let now = rdkafka::Timestamp::now().to_millis().context("a time")? / 1000;
    let (first, second) = (now - 7_200, now - 3_600);
    stack.produce_at(&event(1), first * 1000 + 999)?;
    stack.produce_at(&event(2), second * 1000)?;
    stack.flush()?;
    let consumer = Consumer::start_expiring(&stack, "expiring", 3)?;
    eventually("both are stored", PATIENCE, || Ok(stack.stored()?.len() == 2))?;
    let expected = BTreeMap::from([
        ("e1".to_owned(), Some((first + 3 * DAY).to_string())),
        ("e2".to_owned(), Some((second + 3 * DAY).to_string())),
    ]);
    ensure!(stack.expiries()? == expected, "{:?}", stack.expiries()?);

    // The table is gone and made anew, and whoever sends it again makes the same item of the same record.
    ensure!(consumer.stop()? == 0, "it ends well");
    stack.delete_table()?;
    stack.create_table()?;
    stack.produce_at(&event(1), first * 1000 + 999)?;
    stack.flush()?;
    let consumer = Consumer::start_expiring(&stack, "expiring", 3)?;
    eventually("it is stored again", PATIENCE, || Ok(stack.stored()?.len() == 1))?;
    ensure!(stack.expiries()?["e1"] == expected["e1"], "{:?}", stack.expiries()?);
    ensure!(consumer.stop()? == 0, "it ends well");

    // Switched off, items stay.
    let consumer = Consumer::start(&stack, "expiring")?;
    stack.produce_at(&event(4), first * 1000)?;
    stack.flush()?;
    eventually("it is stored", PATIENCE, || Ok(stack.stored()?.len() == 2))?;
    ensure!(stack.expiries()?["e4"].is_none(), "{:?}", stack.expiries()?);
    ensure!(consumer.stop()? == 0, "it ends well");
    let known: BTreeSet<String> = stack.expiries()?.into_keys().collect();
    ensure!(known == BTreeSet::from(["e1".to_owned(), "e4".to_owned()]), "{known:?}");
    Ok(())
}
