//! What `/progress` answers, kept up to date by the worker. No network.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use medallion_crds::progress::{Identity, Progress, Trouble, TroubleClass, Work};

/// Where the time comes from; tests have their own.
pub type Clock = fn() -> Timestamp;

/// A handle on the worker's progress; clones share it.
#[derive(Clone)]
pub struct ProgressHandle {
    identity: Arc<Identity>,
    work: Arc<Mutex<Work>>,
    clock: Clock,
}

impl ProgressHandle {
    /// An empty progress: everything unknown.
    pub fn new(identity: Identity, clock: Clock) -> Self {
        Self {
            identity: Arc::new(identity),
            work: Arc::default(),
            clock,
        }
    }

    /// Changes what is reported.
    pub fn update(&self, change: impl FnOnce(&mut Work)) {
        change(&mut self.work.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Something outside does not work; repeated calls with the same reason keep the first time.
    pub fn blocked(&self, reason: &str, message: impl Into<String>) {
        self.trouble(TroubleClass::Environment, reason, message.into());
    }

    /// Data may be lost; the worker has halted.
    pub fn loss_risk(&self, reason: &str, message: impl Into<String>) {
        self.trouble(TroubleClass::LossRisk, reason, message.into());
    }

    /// Nothing is in the way any more.
    pub fn clear(&self) {
        self.update(|work| work.trouble = None);
    }

    fn trouble(&self, class: TroubleClass, reason: &str, message: String) {
        let now = (self.clock)();
        self.update(|work| {
            let since = work
                .trouble
                .as_ref()
                .filter(|old| old.class == class && old.reason == reason)
                .map_or(now, |old| old.since);
            work.trouble = Some(Trouble {
                class,
                reason: reason.to_owned(),
                message,
                since,
            });
        });
    }

    /// What `/progress` answers now.
    pub fn snapshot(&self) -> Progress {
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Progress {
            identity: (*self.identity).clone(),
            time: (self.clock)(),
            work,
        }
    }
}
