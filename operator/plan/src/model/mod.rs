//! What is given and what is decided, as data. No network.

pub(crate) mod action;
pub(crate) mod child;
pub(crate) mod cluster;
pub mod conditions;
pub(crate) mod config;
pub(crate) mod deployment;
pub(crate) mod job;
pub(crate) mod kept_pod;
pub mod names;
pub(crate) mod obstacle;
pub(crate) mod past;
pub(crate) mod pipeline;
pub(crate) mod pod;
pub(crate) mod product;
pub(crate) mod run;
pub(crate) mod shared;
pub(crate) mod time;
pub(crate) mod uses;
pub(crate) mod wish;
