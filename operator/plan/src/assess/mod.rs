//! What is true: of the streaming stages, of an attempt, of a batch stage's runs. No network.

pub(crate) mod attempt;
pub(crate) mod dead_letters;
pub(crate) mod stage_runs;
pub(crate) mod streaming;
