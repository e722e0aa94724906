//! Asks every worker every few seconds how it is getting on. Talks to workers' admin ports.

pub(crate) mod ask;
pub(crate) mod board;
pub(crate) mod turn;
