//! Why brokers cannot be worked with: the word, and what users read. No network.

use std::fmt;

use medallion_crds::Reason;

/// Why brokers cannot be worked with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnosis {
    /// The word.
    pub reason: Reason,
    /// What, where and what to do.
    pub message: String,
}

impl Diagnosis {
    /// The word, and what users read.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// Nobody has said more than that there is no answer.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Reason::KafkaUnavailable, message)
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason, self.message)
    }
}

impl std::error::Error for Diagnosis {}
