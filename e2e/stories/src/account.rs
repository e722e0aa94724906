//! What became of every event, from the stores themselves: refused, dead-lettered, duplicate or in Bronze; there is no fifth. Touches Kafka and the lake.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::event::{Identity, Pointers, some_of};
use crate::gateway::Delivery;
use crate::kafka::Record;
use crate::referee::Referee;
use crate::shop::Shop;

const ERRORS: &str = "__dlq.errors.";

/// One record of a topic.
pub type Place = (i32, i64);

/// One dead letter.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    pub identity: Option<Identity>,
    pub class: String,
    pub message: String,
}

/// What the stores hold.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Records of the topic, and whose they are; `None`: nobody can tell.
    pub topic: BTreeMap<Place, Option<Identity>>,
    /// By the place of the record that was dead-lettered.
    pub dead_letters: BTreeMap<Place, DeadLetter>,
    /// Records in the dead-letter topic; more than places when one was written twice.
    pub dead_letter_records: usize,
    /// Rows of Bronze that were inserts, by event.
    pub bronze: BTreeMap<Identity, i64>,
}

impl Account {
    /// Reads the topic, the dead-letter topic and Bronze.
    pub async fn take(shop: &Shop<'_>) -> Result<Self> {
        let kafka = &shop.plan.pipeline.spec.kafka;
        let topic = shop.world.kafka.read(&kafka.topic).await?;
        let dead = shop.world.kafka.read(&kafka.dead_letter_topic).await?;
        let mut referee = shop.world.referee().await;
        let bronze = bronze(&mut referee, shop).await?;
        Ok(Self::of(&topic, &dead, bronze, &shop.pointers))
    }

    fn of(topic: &[Record], dead: &[Record], bronze: BTreeMap<Identity, i64>, pointers: &Pointers) -> Self {
        let identity = |record: &Record| {
            let value: Value = serde_json::from_slice(&record.payload).ok()?;
            pointers.identity(&value)
        };
        let number = |record: &Record, name: &str| record.headers.get(&format!("{ERRORS}{name}"))?.parse::<i64>().ok();
        let text = |record: &Record, name: &str| {
            record
                .headers
                .get(&format!("{ERRORS}{name}"))
                .cloned()
                .unwrap_or_default()
        };
        let mut dead_letters = BTreeMap::new();
        for record in dead {
            // A dead letter that does not say where it comes from keeps its own place, below all others.
            let partition = number(record, "partition")
                .and_then(|number| i32::try_from(number).ok())
                .unwrap_or(-1);
            let place = (partition, number(record, "offset").unwrap_or(record.offset));
            let (class, message) = (text(record, "class"), text(record, "message"));
            dead_letters.insert(
                place,
                DeadLetter {
                    identity: identity(record),
                    class,
                    message,
                },
            );
        }
        Self {
            topic: topic
                .iter()
                .map(|record| ((record.partition, record.offset), identity(record)))
                .collect(),
            dead_letters,
            dead_letter_records: dead.len(),
            bronze,
        }
    }

    /// Records of the topic less dead letters and Bronze.
    pub fn duplicates(&self) -> i64 {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        count(self.topic.len()) - count(self.dead_letters.len()) - self.bronze.values().sum::<i64>()
    }

    /// The events that the topic holds and that were not dead-lettered.
    pub fn alive(&self) -> BTreeSet<Identity> {
        let alive = self
            .topic
            .iter()
            .filter(|(place, _)| !self.dead_letters.contains_key(place));
        alive.filter_map(|(_, identity)| identity.clone()).collect()
    }

    /// Events that have a fate in the stores.
    fn settled(&self) -> BTreeSet<Identity> {
        let dead = self.dead_letters.values().filter_map(|letter| letter.identity.clone());
        self.bronze.keys().cloned().chain(dead).collect()
    }

    /// Accepted events that have no fate yet, or none at all.
    pub fn unaccounted(&self, delivery: &Delivery) -> BTreeSet<Identity> {
        let settled = self.settled();
        delivery
            .accepted()
            .map(|(identity, _)| identity.clone())
            .filter(|identity| !settled.contains(identity))
            .collect()
    }

    /// What is wrong with the stores: lost, made up, or there twice. One text each.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let (alive, stored) = (self.alive(), self.bronze.keys().cloned().collect::<BTreeSet<_>>());
        let mut say = |what: &str, set: BTreeSet<Identity>| {
            if !set.is_empty() {
                faults.push(format!("{} events {what}: {}", set.len(), some_of(&set)));
            }
        };
        say(
            "are in the topic, not dead-lettered, and not in Bronze",
            alive.difference(&stored).cloned().collect(),
        );
        say(
            "are in Bronze and not in the topic",
            stored.difference(&alive).cloned().collect(),
        );
        say(
            "stand in Bronze more than once",
            self.bronze
                .iter()
                .filter(|(_, rows)| **rows != 1)
                .map(|(event, _)| event.clone())
                .collect(),
        );
        let unknown: Vec<_> = self
            .topic
            .iter()
            .filter(|(place, event)| event.is_none() && !self.dead_letters.contains_key(place))
            .map(|(place, _)| place)
            .collect();
        if !unknown.is_empty() {
            faults.push(format!(
                "{} unreadable records of the topic are not dead-lettered: {unknown:?}",
                unknown.len()
            ));
        }
        let lost: Vec<_> = self
            .dead_letters
            .keys()
            .filter(|place| !self.topic.contains_key(place))
            .collect();
        if !lost.is_empty() {
            faults.push(format!(
                "{} dead letters are of no record of the topic: {lost:?}",
                lost.len()
            ));
        }
        faults
    }

    /// What a delivery and the stores disagree about: accepted and not in the topic, refused and yet there, or from nobody.
    pub fn faults_of(&self, delivery: &Delivery) -> Vec<String> {
        let mut faults = Vec::new();
        let there: BTreeSet<Identity> = self.topic.values().flatten().cloned().collect();
        let accepted: BTreeSet<Identity> = delivery.accepted().map(|(identity, _)| identity.clone()).collect();
        let refused: BTreeSet<Identity> = delivery.refused().map(|(identity, _)| identity.clone()).collect();
        let mut say = |what: &str, set: BTreeSet<Identity>| {
            if !set.is_empty() {
                faults.push(format!("{} events {what}: {}", set.len(), some_of(&set)));
            }
        };
        say(
            "were accepted and are not in the topic",
            accepted.difference(&there).cloned().collect(),
        );
        say(
            "were refused and are in the topic",
            refused
                .intersection(&there)
                .filter(|event| !accepted.contains(event))
                .cloned()
                .collect(),
        );
        say("were accepted and have no fate", self.unaccounted(delivery));
        faults
    }

    /// Events of the topic that the delivery does not know.
    pub fn of_others(&self, delivery: &Delivery) -> BTreeSet<Identity> {
        let known: BTreeSet<&Identity> = delivery.fates.keys().collect();
        self.topic
            .values()
            .flatten()
            .filter(|identity| !known.contains(identity))
            .cloned()
            .collect()
    }

    /// Dead letters by class.
    pub fn dead_letter_classes(&self) -> BTreeMap<String, usize> {
        let mut classes = BTreeMap::new();
        for letter in self.dead_letters.values() {
            *classes.entry(letter.class.clone()).or_default() += 1;
        }
        classes
    }
}

async fn bronze(referee: &mut Referee, shop: &Shop<'_>) -> Result<BTreeMap<Identity, i64>> {
    if referee.table("bronze", &shop.bronze(), None).await?.is_none() {
        return Ok(BTreeMap::new());
    }
    let rows = referee
        .sql("SELECT _key, _event_id, count(*) FROM bronze WHERE _change = 'INSERT' GROUP BY ALL")
        .await?;
    let mut bronze = BTreeMap::new();
    for row in rows {
        let text = |index: usize| row.get(index).and_then(Value::as_str).map(str::to_owned);
        let (key, id) = (
            text(0).context("a Bronze row has a key")?,
            text(1).context("a Bronze row has an event id")?,
        );
        let rows = row.get(2).and_then(Value::as_i64).unwrap_or_default();
        bronze.insert(Identity { key, id }, rows);
    }
    Ok(bronze)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers() -> Pointers {
        Pointers {
            key: "/k".to_owned(),
            id: "/i".to_owned(),
        }
    }

    fn record(offset: i64, payload: &str) -> Record {
        Record {
            partition: 0,
            offset,
            key: String::new(),
            headers: BTreeMap::new(),
            payload: payload.as_bytes().to_vec(),
        }
    }

    fn dead(of: i64, payload: &str) -> Record {
        let headers = [
            ("partition", "0".to_owned()),
            ("offset", of.to_string()),
            ("class", "Poison".to_owned()),
        ];
        let headers = headers.map(|(name, value)| (format!("{ERRORS}{name}"), value)).into();
        Record {
            headers,
            ..record(of, payload)
        }
    }

    fn identity(id: &str) -> Identity {
        Identity {
            key: "a".to_owned(),
            id: id.to_owned(),
        }
    }

    #[test]
    fn a_duplicate_and_a_dead_letter_are_fates() {
        let event = r#"{"k":"a","i":"1"}"#;
        let topic = [record(0, event), record(1, event), record(2, "poison")];
        let twice = [dead(2, "poison"), dead(2, "poison")];
        let account = Account::of(&topic, &twice, [(identity("1"), 1)].into(), &pointers());
        assert_eq!(account.duplicates(), 1);
        assert_eq!(account.faults(), Vec::<String>::new());
        assert_eq!(account.dead_letter_classes(), [("Poison".to_owned(), 1)].into());
    }

    #[test]
    fn what_is_lost_doubled_or_made_up_is_said() {
        let topic = [
            record(0, r#"{"k":"a","i":"1"}"#),
            record(1, r#"{"k":"a","i":"2"}"#),
            record(2, "poison"),
        ];
        let bronze = [(identity("2"), 2), (identity("3"), 1)].into();
        let faults = Account::of(&topic, &[], bronze, &pointers()).faults().join("\n");
        for word in [
            "not in Bronze: a 1",
            "not in the topic: a 3",
            "more than once: a 2",
            "not dead-lettered: [(0, 2)]",
        ] {
            assert!(faults.contains(word), "{faults}");
        }
    }
}
