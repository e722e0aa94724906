//! Works on one record until it has met its fate: stored, known as a duplicate, or dead-lettered. Writes to the table and to the dead-letter topic through their adapters.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use medallion_contract::Contract;
use medallion_crds::Reason;
use rdkafka::Message;
use rdkafka::message::OwnedMessage;
use tokio::sync::Semaphore;
use worker_kit::ProgressHandle;

use crate::dead_letter::{DeadLetter, DeadLetterSink};
use crate::expiry::Expiry;
use crate::ledger::Ticket;
use crate::metrics::ConsumerMetrics;
use crate::table::{Item, Put, Table, TableError};
use crate::trouble::{Place, Troubles};
use crate::verdict::{Flaw, Verdict, judge, source, without_panic};

/// What all records need on their way.
pub struct Settler {
    /// The event contract.
    pub contract: Arc<Contract>,
    /// How long items are kept; `None`: for ever.
    pub expiry: Option<Expiry>,
    /// Where items go.
    pub table: Arc<dyn Table>,
    /// Where dead letters go.
    pub dead_letters: Arc<dyn DeadLetterSink>,
    /// How many records are worked on at once.
    pub in_flight: Semaphore,
    /// Metrics.
    pub metrics: ConsumerMetrics,
    /// What is in the way.
    pub troubles: Troubles,
    /// What `/progress` answers.
    pub progress: ProgressHandle,
}

/// What became of a record.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Fate {
    Stored,
    Duplicate,
    DeadLettered(Reason),
}

impl Settler {
    /// Settles the record, unless its partition is taken away before.
    pub(crate) async fn settle(&self, record: OwnedMessage, ticket: Ticket) {
        let cancel = ticket.cancel.clone();
        let place = Place::Record {
            partition: record.partition(),
            offset: record.offset(),
        };
        let fate = tokio::select! {
            () = cancel.cancelled() => None,
            fate = self.fate(&record, place) => Some(fate),
        };
        self.troubles.clear(place);
        let Some(fate) = fate else { return };
        match fate {
            Fate::Stored => {
                self.metrics.record("stored", "");
                self.progress
                    .update(|work| work.last_commit_time = Some(Timestamp::now()));
            }
            Fate::Duplicate => self.metrics.record("duplicate", ""),
            Fate::DeadLettered(class) => self.metrics.record("dead_lettered", class.as_str()),
        }
        ticket.settled();
    }

    async fn fate(&self, record: &OwnedMessage, place: Place) -> Fate {
        // The semaphore is never closed.
        let _permit = self.in_flight.acquire().await.ok();
        let flaw = match without_panic(|| judge(&self.contract, self.expiry, record)) {
            Verdict::Item(item) => match self.put(&item, place).await {
                Ok(fate) => return fate,
                Err(flaw) => flaw,
            },
            Verdict::Dead(flaw) => flaw,
        };
        self.bury(record, &flaw, place).await;
        tracing::info!(
            source = source(record),
            class = flaw.class.as_str(),
            detail = flaw.message,
            "dead-lettered"
        );
        Fate::DeadLettered(flaw.class)
    }

    /// Puts the item until the table has answered.
    async fn put(&self, item: &Item, place: Place) -> Result<Fate, Flaw> {
        let begun = Instant::now();
        let mut delays = delays();
        loop {
            match self.table.put(item).await {
                Ok(put) => {
                    self.metrics.put(begun.elapsed());
                    return fate_of(item, put);
                }
                Err(TableError::Item { class, message }) => return Err(Flaw { class, message }),
                Err(TableError::Environment { reason, message }) => self.troubles.set(place, reason, message),
            }
            pause(&mut delays).await;
        }
    }

    /// Sends the dead letter until it is acknowledged.
    async fn bury(&self, record: &OwnedMessage, flaw: &Flaw, place: Place) {
        let mut delays = delays();
        while let Err(why) = self.dead_letters.send(DeadLetter { record, flaw }).await {
            self.troubles.set(place, why.reason, why.message);
            pause(&mut delays).await;
        }
    }
}

/// What the table's answer means for the item.
fn fate_of(item: &Item, put: Put) -> Result<Fate, Flaw> {
    match put {
        Put::Stored => Ok(Fate::Stored),
        // Our own put whose answer was lost.
        Put::Exists {
            source: Some(source),
            digest: Some(digest),
        } if source == item.source && digest == item.digest => Ok(Fate::Stored),
        Put::Exists {
            digest: Some(digest), ..
        } if digest == item.digest => Ok(Fate::Duplicate),
        Put::Exists { source, .. } => Err(Flaw {
            class: Reason::EventIdReused,
            message: format!(
                "an event of the same key and event id but with other data is stored already, from {}",
                source.as_deref().unwrap_or("an unknown source")
            ),
        }),
    }
}

/// From 100 ms to 5 s, with jitter, for ever.
fn delays() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
        .build()
}

async fn pause(delays: &mut impl Iterator<Item = Duration>) {
    tokio::time::sleep(delays.next().unwrap_or(Duration::from_secs(5))).await;
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::new(Put::Stored, Some(Fate::Stored))]
    #[case::own_put_answer_lost(Put::Exists { digest: Some("d".into()), source: Some("t/0/1".into()) }, Some(Fate::Stored))]
    #[case::client_retry(Put::Exists { digest: Some("d".into()), source: Some("t/0/0".into()) }, Some(Fate::Duplicate))]
    #[case::no_source(Put::Exists { digest: Some("d".into()), source: None }, Some(Fate::Duplicate))]
    #[case::other_data(Put::Exists { digest: Some("x".into()), source: Some("t/0/0".into()) }, None)]
    #[case::other_data_same_place(Put::Exists { digest: Some("x".into()), source: Some("t/0/1".into()) }, None)]
    #[case::foreign_item(Put::Exists { digest: None, source: None }, None)]
    fn a_refused_put_is_a_duplicate_only_with_the_same_data(#[case] put: Put, #[case] fate: Option<Fate>) {
        let item = Item {
            key: "k".into(),
            event_id: "e".into(),
            payload: "{}".into(),
            digest: "d".into(),
            contract_version: "v".into(),
            source: "t/0/1".into(),
            expires_at: None,
        };
        match fate_of(&item, put) {
            Ok(found) => assert_eq!(Some(found), fate),
            Err(flaw) => assert_eq!((flaw.class, fate), (Reason::EventIdReused, None)),
        }
    }

    #[test]
    fn delays_grow_and_never_end() {
        let delays: Vec<Duration> = delays().take(50).collect();
        assert!(delays[0] < Duration::from_millis(250));
        assert!(delays[49] >= Duration::from_secs(5) && delays[49] <= Duration::from_secs(11));
    }
}
