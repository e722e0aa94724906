//! The table of stages: one entry a stage, one file an entry. Nothing else in this crate tells stages apart. No network.

mod basis;
mod bronze;
mod catalog;
mod dbt;
mod entry;
mod faults;
mod gold;
mod ingest;
mod persist;
pub(crate) mod provisioner;
mod silver;
mod validate;
mod warehouse;

pub(crate) use basis::{Basis, Place};
pub use entry::{Batch, StageEntry, StageRequest, Streaming, Work};

/// The stages, in the order of the data.
pub static STAGES: &[StageEntry] = &[
    ingest::STAGE,
    persist::STAGE,
    bronze::STAGE,
    silver::STAGE,
    gold::STAGE,
    warehouse::STAGE,
    catalog::STAGE,
];
