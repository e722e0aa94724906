//! What is in the worker's way just now, gathered from many places into the one trouble of `/progress`. No network.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use kafka_client::Diagnosis;
use medallion_crds::Reason;
use worker_kit::ProgressHandle;

/// Where a trouble comes from; each has at most one at a time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Place {
    /// The brokers or the topic, or what is mounted for them.
    Kafka,
    /// What the brokers do not allow, as they say when they are asked.
    Rights,
    /// What the brokers allow of reading and joining.
    Reading,
    /// What they allow of committing. Of its own, because records come also while offsets are refused.
    Committing,
    /// What they allow of remembering the topic beside the dead-letter topic.
    Anchor,
    /// The producer of dead letters.
    DeadLetters,
    /// One record that cannot be settled yet.
    Record { partition: i32, offset: i64 },
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kafka => formatter.write_str("brokers"),
            Self::Rights => formatter.write_str("rights"),
            Self::Reading => formatter.write_str("reading"),
            Self::Committing => formatter.write_str("committing"),
            Self::Anchor => formatter.write_str("anchor"),
            Self::DeadLetters => formatter.write_str("dead letters"),
            Self::Record { partition, offset } => write!(formatter, "partition {partition} offset {offset}"),
        }
    }
}

/// All troubles; clones share them.
#[derive(Clone)]
pub struct Troubles {
    progress: ProgressHandle,
    current: Arc<Mutex<BTreeMap<Place, (Reason, String)>>>,
}

impl Troubles {
    /// None yet.
    pub fn new(progress: ProgressHandle) -> Self {
        Self {
            progress,
            current: Arc::default(),
        }
    }

    pub(crate) fn set(&self, place: Place, reason: Reason, message: impl Into<String>) {
        let message = message.into();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.get(&place).is_none_or(|(known, _)| *known != reason) {
            tracing::warn!(%place, reason = reason.as_str(), detail = message, "blocked");
        }
        current.insert(place, (reason, message));
        self.report(&current);
    }

    /// Whether there is one at this place.
    pub(crate) fn has(&self, place: Place) -> bool {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&place)
    }

    /// What the brokers do not allow.
    pub(crate) fn denied(&self, place: Place, why: Diagnosis) {
        self.set(place, why.reason, why.message);
    }

    pub(crate) fn clear(&self, place: Place) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.remove(&place).is_some() {
            tracing::info!(%place, "goes on");
            self.report(&current);
        }
    }

    fn report(&self, current: &BTreeMap<Place, (Reason, String)>) {
        match current.values().next() {
            Some((reason, message)) => self.progress.blocked(reason.clone(), message.clone()),
            None => self.progress.clear(),
        }
    }
}
