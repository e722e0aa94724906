//! What can go wrong in a worker, by what must follow. No network.

use std::fmt;

use medallion_crds::Reason;
use medallion_crds::launch::ExitCode;
use medallion_crds::launch::report::FailureReport;

/// What must follow an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorClass {
    /// The input, or the user's SQL, can never succeed as it is.
    Record,
    /// Something outside does not work; try again later. Never a reason to dead-letter.
    Environment,
    /// Another process has taken over; end without touching anything.
    Fenced,
    /// Data may be lost; halt and say so.
    LossRisk,
    /// The settings are wrong.
    Settings,
}

impl ErrorClass {
    /// The exit code by which the operator knows it.
    pub const fn exit_code(self) -> ExitCode {
        match self {
            Self::Record => ExitCode::Record,
            Self::Environment => ExitCode::Environment,
            Self::Fenced => ExitCode::Fenced,
            Self::LossRisk => ExitCode::LossRisk,
            Self::Settings => ExitCode::Settings,
        }
    }
}

/// Why a worker ends without having done its work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WorkerError {
    /// What must follow.
    pub class: ErrorClass,
    /// Condition reason, event reason, metric label.
    pub reason: Reason,
    /// What, where and what to do.
    pub message: String,
}

impl WorkerError {
    /// An error of the given class.
    pub fn new(class: ErrorClass, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            class,
            reason,
            message: message.into(),
        }
    }

    /// The input can never succeed as it is.
    pub fn record(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Record, reason, message)
    }

    /// Something outside does not work.
    pub fn environment(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Environment, reason, message)
    }

    /// Another process has taken over.
    pub fn fenced(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Fenced, reason, message)
    }

    /// Data may be lost.
    pub fn loss_risk(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::LossRisk, reason, message)
    }

    /// The settings are wrong.
    pub fn settings(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Settings, reason, message)
    }

    /// As the termination message says it.
    pub fn report(&self) -> FailureReport {
        FailureReport {
            reason: self.reason.clone(),
            message: self.message.clone(),
        }
    }
}

impl fmt::Display for WorkerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason, self.message)
    }
}

impl std::error::Error for WorkerError {}
