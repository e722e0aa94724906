//! The consumer's process between real Kafka and DynamoDB Local; `MEDALLION_STACK` names the file with their addresses.

#[path = "../../../kafka/tests/stack_kafka/acl.rs"]
mod acl;
mod expiry;
mod process;
mod secure;
mod stack;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use process::Consumer;
use stack::{Stack, event};

/// Waits for something that must come to pass.
fn eventually(what: &str, patience: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !holds()? {
        ensure!(begun.elapsed() < patience, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

const PATIENCE: Duration = Duration::from_mins(2);

#[test]
fn killed_and_joined_at_any_time_it_loses_and_doubles_nothing() -> Result<()> {
    let stack = Stack::new("kill")?;
    let mut posted = BTreeSet::new();
    let mut post = |numbers: std::ops::Range<usize>| -> Result<()> {
        for number in numbers {
            stack.produce(&event(number))?;
            posted.insert((format!("{}", number % 97), format!("e{number}")));
        }
        stack.flush()
    };
    post(0..1500)?;
    let mut first = Consumer::start(&stack, "first")?;
    let second = Consumer::start(&stack, "second")?;
    eventually("some are stored", PATIENCE, || Ok(stack.stored()?.len() > 200))?;
    first.kill()?;
    post(1500..2000)?;
    let third = Consumer::start(&stack, "third")?;
    let begun = Instant::now();
    eventually("all are stored", PATIENCE, || Ok(stack.stored()?.len() >= 2000))?;
    println!("recovered {:?} after a kill", begun.elapsed());
    eventually("nothing waits", PATIENCE, || Ok(second.lag()? + third.lag()? == 0))?;
    ensure!(stack.stored()? == posted, "what is stored is what was sent");
    ensure!(stack.dead_letters()? == 0, "nothing was dead-lettered");
    ensure!(second.stop()? == 0 && third.stop()? == 0, "asked to stop they end well");
    ensure!(stack.committed()? == 2000, "every offset is committed");
    Ok(())
}

#[test]
fn duplicates_are_dropped_and_what_cannot_be_stored_is_dead_lettered_with_its_reason() -> Result<()> {
    let stack = Stack::new("fates")?;
    for number in 0..50 {
        stack.produce(&event(number))?;
    }
    for number in 0..50 {
        stack.produce(&event(number))?;
    }
    stack.produce("poison")?;
    stack.flush()?;
    let consumer = Consumer::start(&stack, "fates")?;
    eventually("all is settled", PATIENCE, || Ok(stack.committed()? == 101))?;
    stack.produce(&event(3).replace("2024", "2023"))?;
    stack.flush()?;
    eventually("dead letters are shown", PATIENCE, || {
        Ok(consumer.progress()?["deadLetters"]["count"] == 2)
    })?;
    let progress = consumer.progress()?;
    let newest = progress["deadLetters"]["newest"].as_array().context("newest")?;
    ensure!(
        newest.len() == 2 && newest[0]["reason"] == "EventIdReused" && newest[1]["reason"] == "MalformedJson",
        "{progress}"
    );
    ensure!(stack.stored()?.len() == 50, "each event is stored once");
    ensure!(stack.stream_records()? == 50, "and a duplicate makes no stream record");
    ensure!(consumer.stop()? == 0, "it ends well");
    Ok(())
}

#[test]
fn a_missing_table_blocks_and_heals() -> Result<()> {
    let stack = Stack::new("missing")?;
    stack.delete_table()?;
    stack.produce(&event(1))?;
    stack.flush()?;
    let consumer = Consumer::start(&stack, "missing")?;
    eventually("it says so", PATIENCE, || {
        Ok(consumer.progress()?["trouble"]["reason"] == "TableMissing")
    })?;
    eventually("and since when the record waits", PATIENCE, || {
        Ok(consumer.progress()?["oldestPendingTime"].is_string())
    })?;
    stack.create_table()?;
    eventually("it heals", PATIENCE, || Ok(stack.stored()?.len() == 1))?;
    eventually(
        "and says so",
        PATIENCE,
        || Ok(consumer.progress()?["trouble"].is_null()),
    )?;
    ensure!(stack.dead_letters()? == 0, "nothing was dead-lettered");
    ensure!(consumer.stop()? == 0, "it ends well");
    Ok(())
}

#[test]
fn deleted_unread_records_halt_it_until_somebody_decides() -> Result<()> {
    let stack = Stack::new("lost")?;
    for number in 0..20 {
        stack.produce(&event(number))?;
    }
    stack.flush()?;
    stack.delete_records()?;
    let consumer = Consumer::start(&stack, "lost")?;
    eventually("it says so", PATIENCE, || {
        Ok(consumer.progress()?["trouble"]["class"] == "LossRisk")
    })?;
    ensure!(stack.stored()?.is_empty(), "nothing was skipped and nothing begun");
    ensure!(consumer.stop()? == 23, "and its exit code says it too");
    Ok(())
}

/// Events of the first topic, and more of the second than the first one had: an old offset lies within the new topic.
fn produce(stack: &Stack, numbers: std::ops::Range<usize>) -> Result<()> {
    for number in numbers {
        stack.produce(&event(number))?;
    }
    stack.flush()
}

fn is_replaced(consumer: &Consumer) -> Result<bool> {
    let trouble = &consumer.progress()?["trouble"];
    Ok(trouble["class"] == "LossRisk" && trouble["reason"] == "TopicReplaced")
}

#[test]
fn a_topic_made_anew_under_a_live_consumer_is_never_gone_on_in() -> Result<()> {
    let stack = Stack::new("replaced-live")?;
    produce(&stack, 0..250)?;
    let consumer = Consumer::start(&stack, "first")?;
    eventually("the first topic is stored", PATIENCE, || {
        Ok(stack.stored()?.len() == 250)
    })?;
    eventually("and its id is reported", PATIENCE, || {
        Ok(consumer.progress()?["topicId"].is_string())
    })?;
    let before = stack.topic_id()?;
    stack.make_topic_anew()?;
    ensure!(stack.topic_id()? != before, "it is another topic");
    produce(&stack, 1000..2000)?;
    eventually("it halts", PATIENCE, || is_replaced(&consumer))?;
    ensure!(consumer.stop()? == 23, "and its exit code says it too");

    let successor = Consumer::start(&stack, "second")?;
    eventually("its successor halts as well", PATIENCE, || is_replaced(&successor))?;
    let words = successor.progress()?["trouble"]["message"].to_string();
    let accepted = format!("topic/{}", stack.topic_id()?);
    ensure!(words.contains(&format!("medallion.dev/adopt: {accepted}")), "{words}");
    ensure!(successor.stop()? == 23, "until somebody decides");

    let accepting = Consumer::start_adopting(&stack, "third", &[accepted])?;
    eventually("all of the new topic is stored", PATIENCE, || {
        Ok(stack.stored()?.len() == 1250)
    })?;
    eventually("nothing waits", PATIENCE, || Ok(accepting.lag()? == 0))?;
    ensure!(accepting.stop()? == 0, "it ends well");
    let after = Consumer::start(&stack, "fourth")?;
    produce(&stack, 2000..2010)?;
    eventually("the acceptance is needed no more", PATIENCE, || {
        Ok(stack.stored()?.len() == 1260)
    })?;
    ensure!(after.stop()? == 0, "it ends well");
    Ok(())
}

/// Brokers delete the group's offsets with the topic, and the group looks new.
#[test]
fn a_topic_made_anew_while_the_consumer_is_away_is_never_begun_in_silence() -> Result<()> {
    let stack = Stack::new("replaced-away")?;
    produce(&stack, 0..100)?;
    let consumer = Consumer::start(&stack, "first")?;
    eventually("the first topic is stored", PATIENCE, || {
        Ok(stack.stored()?.len() == 100)
    })?;
    eventually("nothing waits", PATIENCE, || Ok(consumer.lag()? == 0))?;
    ensure!(consumer.stop()? == 0, "it ends well");
    produce(&stack, 100..150)?;
    stack.make_topic_anew()?;
    produce(&stack, 1000..1500)?;
    let successor = Consumer::start(&stack, "second")?;
    eventually("it halts", PATIENCE, || is_replaced(&successor))?;
    ensure!(stack.stored()?.len() == 100, "nothing was begun");
    ensure!(successor.stop()? == 23, "until somebody decides");
    Ok(())
}
