//! Exit codes of workers: what they mean to the operator. No network.

/// How a worker ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum ExitCode {
    /// The work is done, or the worker was asked to stop and has drained.
    Done = 0,
    /// The input or the user's SQL can never succeed as it is.
    Record = 20,
    /// Something outside did not work: it may work later.
    Environment = 21,
    /// Another process has taken over; this one must not go on.
    Fenced = 22,
    /// Data may be lost; somebody must look. The worker halts rather than skips.
    LossRisk = 23,
    /// The settings file is wrong.
    Settings = 24,
}

impl ExitCode {
    /// The number that the process ends with.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The meaning of a number; `None` for numbers that no worker uses (a signal, a panic).
    pub const fn from_code(code: i32) -> Option<Self> {
        match code {
            0 => Some(Self::Done),
            20 => Some(Self::Record),
            21 => Some(Self::Environment),
            22 => Some(Self::Fenced),
            23 => Some(Self::LossRisk),
            24 => Some(Self::Settings),
            _ => None,
        }
    }
}
