//! The whole consumer between librdkafka's mock brokers and a table in memory. Loopback only.

mod delivery;
mod identity;
mod rebalance;
mod support;
