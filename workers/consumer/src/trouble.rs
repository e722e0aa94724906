//! What is in the worker's way just now, gathered from many places into the one trouble of `/progress`. No network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use medallion_crds::Reason;
use worker_kit::ProgressHandle;

/// Where a trouble comes from; each has at most one at a time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Place {
    /// The brokers or the topic.
    Kafka,
    /// One record that cannot be settled yet.
    Record { partition: i32, offset: i64 },
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
            tracing::warn!(?place, reason = reason.as_str(), message, "blocked");
        }
        current.insert(place, (reason, message));
        self.report(&current);
    }

    pub(crate) fn clear(&self, place: Place) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.remove(&place).is_some() {
            tracing::info!(?place, "goes on");
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
