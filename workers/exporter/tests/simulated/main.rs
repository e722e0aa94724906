//! The exporter against a simulated stream: splits, closings, expiry, trims, new streams, kills at every call. No network.

mod death;
mod function;
mod handover;
mod kills;
mod log;
mod mapping;
mod quiet;
mod risks;
mod shards;
mod stream;
mod warnings;
mod world;
