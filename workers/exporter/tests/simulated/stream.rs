//! A simulated stream that grows while it is asked, and fails as the story wants. No network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use exporter::{Clock, Listed, Listing, Page, Sequence, SourceError, StreamRecord, StreamSource};
use jiff::Timestamp;
use medallion_contract::ChangeKind;

use crate::death::Death;

/// What happens to the stream next.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// An item is written.
    Write(u8),
    /// An item's time to live has ended.
    Expire(u8),
    /// The shard of this key closes; two children divide its keys, or one goes on with them.
    Split(u8),
}

pub const KEYS: u8 = 16;
/// Small pages, so that there are many places to be killed at.
const PAGE: usize = 3;

#[derive(Debug, Default)]
pub struct Shard {
    parent: Option<String>,
    keys: Vec<u8>,
    records: Vec<StreamRecord>,
    closed: bool,
    trimmed: usize,
}

#[derive(Default)]
struct State {
    arn: String,
    shards: BTreeMap<String, Shard>,
    events: Vec<Event>,
    written: u64,
    generation: u64,
    asked: u64,
    trimmed_answers: u32,
    hidden: Vec<String>,
    fault: Option<Fault>,
}

/// What is wrong with the stream for now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Neither iterators nor pages.
    Out,
    /// A listing takes a minute.
    SlowListing,
    /// The next page is answered by "no such shard".
    DeniesAShard,
    /// Iterators of before are called invalid, and not expired.
    ForgetsIterators,
    /// Switched off.
    Disabled,
    /// The client's code breaks down, once.
    Panics,
}

/// The stream. Clones are the same stream.
#[derive(Clone)]
pub struct SimulatedStream {
    state: Arc<Mutex<State>>,
    clock: Clock,
    death: Death,
    /// Every so many questions remain without an answer, or with an expired iterator.
    unreliable: bool,
}

impl SimulatedStream {
    pub fn new(clock: Clock, death: Death, events: Vec<Event>, unreliable: bool) -> Self {
        let root = Shard {
            keys: (0..KEYS).collect(),
            ..Shard::default()
        };
        let mut events = events;
        events.reverse();
        let state = State {
            arn: "arn:stream/1".to_owned(),
            shards: BTreeMap::from([("shard-0".to_owned(), root)]),
            events,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            clock,
            death,
            unreliable,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn happen(&self, event: Event) {
        self.lock().happen(event, (self.clock)());
    }

    pub fn replace_stream(&self) {
        "arn:stream/2".clone_into(&mut self.lock().arn);
    }

    /// Drops all records, as the stream does after its retention.
    pub fn trim_everything(&self) {
        for shard in self.lock().shards.values_mut() {
            shard.trimmed = shard.records.len();
        }
    }

    /// The next answers are "trimmed", although nothing is: one implementation does that with new tables.
    pub fn claim_trimmed(&self, times: u32) {
        self.lock().trimmed_answers = times;
    }

    pub fn break_with(&self, fault: Fault) {
        let mut state = self.lock();
        state.fault = Some(fault);
        if matches!(fault, Fault::Out | Fault::ForgetsIterators) {
            state.generation += 1;
        }
    }

    pub fn heal(&self) {
        self.lock().fault = None;
    }

    pub fn forget_shard(&self, shard: &str) {
        self.lock().shards.remove(shard);
    }

    pub fn hide_shard(&self, shard: &str) {
        self.lock().hidden.push(shard.to_owned());
    }

    /// Listings have all shards again.
    pub fn hide_nothing(&self) {
        self.lock().hidden.clear();
    }

    /// All records ever written that are for Bronze, in order: key and sequence number.
    pub fn written(&self) -> Vec<(String, u64)> {
        let state = self.lock();
        let mut all: Vec<(String, u64)> = state
            .shards
            .values()
            .flat_map(|shard| &shard.records)
            .filter(|record| !record.expired)
            .map(|record| (record.key.clone(), record.sequence.as_str().parse().expect("number")))
            .collect();
        all.sort_by_key(|(_, sequence)| *sequence);
        all
    }

    /// The stream's name.
    pub fn arn(&self) -> String {
        self.lock().arn.clone()
    }

    /// All shards.
    pub fn names(&self) -> Vec<String> {
        self.lock().shards.keys().cloned().collect()
    }

    /// All records that a shard has had, and whether it takes no more.
    pub fn content(&self, shard: &str) -> (Vec<StreamRecord>, bool) {
        let state = self.lock();
        let shard = &state.shards[shard];
        (shard.records.clone(), shard.closed)
    }

    pub fn has_events(&self) -> bool {
        !self.lock().events.is_empty()
    }

    pub fn parent(&self, shard: &str) -> Option<String> {
        self.lock().shards[shard].parent.clone()
    }

    /// The last record of a shard that is for Bronze.
    pub fn last_sequence(&self, shard: &str) -> Option<u64> {
        self.lock().shards[shard]
            .records
            .iter()
            .rfind(|record| !record.expired)
            .map(|record| record.sequence.as_str().parse().expect("number"))
    }

    /// Every question may be the last, and lets the world go on a little.
    async fn ask(&self) -> Result<(), SourceError> {
        self.death.step().await;
        let mut state = self.lock();
        state.asked += 1;
        let now = (self.clock)();
        for _ in 0..2 {
            if let Some(event) = state.events.pop() {
                state.happen(event, now);
            }
        }
        if self.unreliable && scattered(state.asked, 7) {
            return Err(SourceError::Unavailable("the simulation is throttled".to_owned()));
        }
        if self.unreliable && scattered(state.asked, 11) {
            state.generation += 1;
        }
        Ok(())
    }
}

/// One number in so many, without a rhythm: with one, all of a shard's or all listings' questions might be met.
fn scattered(number: u64, one_in: u64) -> bool {
    number
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(23)
        .is_multiple_of(one_in)
}

impl State {
    /// Whether this is the fault, which is then over.
    fn once(&mut self, fault: Fault) -> bool {
        self.fault.take_if(|now| *now == fault).is_some()
    }

    fn open_shard_of(&self, key: u8) -> String {
        let open = self
            .shards
            .iter()
            .find(|(_, shard)| !shard.closed && shard.keys.contains(&key));
        open.expect("every key has one open shard").0.clone()
    }

    /// One more record of a key, with what makes it another than an insert without anything.
    fn put(&mut self, key: u8, now: Timestamp, change: impl FnOnce(StreamRecord) -> StreamRecord) {
        self.written += 1;
        let sequence = self.written;
        let shard = self.open_shard_of(key);
        let record = change(StreamRecord {
            sequence: Sequence::new(sequence.to_string()),
            kind: ChangeKind::Insert,
            key: format!("key-{key}"),
            event_id: format!("event-{sequence}"),
            payload: None,
            contract: None,
            digest: None,
            source: None,
            changed_at: now,
            expired: false,
        });
        self.shards.get_mut(&shard).expect("open").records.push(record);
    }

    fn happen(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Write(key) => {
                self.put(key, now, |record| StreamRecord {
                    payload: Some(format!(r#"{{"number": {}}}"#, record.sequence.as_str())),
                    ..record
                });
            }
            Event::Expire(key) => {
                self.put(key, now, |record| StreamRecord {
                    kind: ChangeKind::Remove,
                    expired: true,
                    ..record
                });
            }
            Event::Split(key) => {
                let parent = self.open_shard_of(key);
                let shard = self.shards.get_mut(&parent).expect("open");
                shard.closed = true;
                let keys = shard.keys.clone();
                let parts = if keys.len() > 1 { keys.len().div_ceil(2) } else { 1 };
                for part in keys.chunks(parts) {
                    let id = format!("shard-{}", self.shards.len());
                    let child = Shard {
                        parent: Some(parent.clone()),
                        keys: part.to_vec(),
                        ..Shard::default()
                    };
                    self.shards.insert(id, child);
                }
            }
        }
    }
}

impl StreamSource for SimulatedStream {
    async fn list(&self) -> Result<Listing, SourceError> {
        self.ask().await?;
        if self.lock().fault == Some(Fault::SlowListing) {
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
        let state = self.lock();
        let visible = state.shards.iter().filter(|(id, _)| !state.hidden.contains(id));
        let shards = visible
            .map(|(id, shard)| Listed {
                id: id.clone(),
                parent: shard.parent.clone(),
            })
            .collect();
        Ok(Listing {
            arn: state.arn.clone(),
            shards,
            disabled: state.fault == Some(Fault::Disabled),
        })
    }

    async fn iterator(&self, arn: &str, shard: &str, after: Option<&Sequence>) -> Result<String, SourceError> {
        self.ask().await?;
        let mut state = self.lock();
        if state.fault == Some(Fault::Out) {
            return Err(SourceError::Unavailable("the simulation is out".to_owned()));
        }
        assert_eq!(
            arn, state.arn,
            "nobody reads from a stream that the table does not have any more"
        );
        if state.trimmed_answers > 0 {
            state.trimmed_answers -= 1;
            return Err(SourceError::Trimmed);
        }
        let generation = state.generation;
        let Some(found) = state.shards.get(shard) else {
            return Err(SourceError::Gone);
        };
        let index = match after {
            None => found.trimmed,
            Some(after) => {
                let place = found.records.iter().position(|record| &record.sequence == after);
                let place = place.expect("nobody asks for a record that never was");
                if place < found.trimmed {
                    return Err(SourceError::Trimmed);
                }
                place + 1
            }
        };
        Ok(format!("{generation}|{shard}|{index}"))
    }

    async fn page(&self, iterator: &str, most: usize) -> Result<Page, SourceError> {
        self.ask().await?;
        let mut state = self.lock();
        assert!(!state.once(Fault::Panics), "the simulation breaks down");
        if state.fault == Some(Fault::Out) {
            return Err(SourceError::Unavailable("the simulation is out".to_owned()));
        }
        if state.once(Fault::DeniesAShard) {
            return Err(SourceError::Gone);
        }
        let mut parts = iterator.split('|');
        let mut part = || parts.next().expect("iterator");
        let (generation, shard, index): (&str, &str, usize) = (part(), part(), part().parse().expect("index"));
        if generation != state.generation.to_string() && state.fault == Some(Fault::ForgetsIterators) {
            return Err(SourceError::Unavailable("the iterator is invalid".to_owned()));
        }
        if generation != state.generation.to_string() {
            return Err(SourceError::Expired);
        }
        let Some(found) = state.shards.get(shard) else {
            return Err(SourceError::Gone);
        };
        if index < found.trimmed {
            return Err(SourceError::Trimmed);
        }
        let records: Vec<StreamRecord> = found.records.iter().skip(index).take(PAGE.min(most)).cloned().collect();
        let end = index + records.len();
        let finished = found.closed && end == found.records.len();
        Ok(Page {
            records,
            next: (!finished).then(|| format!("{generation}|{shard}|{end}")),
        })
    }
}
