//! Stories of one table on the local file system, with a store that fails on demand. No network.

mod appends;
mod evolution;
mod faults;
mod faulty_store;
mod maintenance;
mod owners;
mod replacements;
mod support;
