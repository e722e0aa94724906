//! Desired objects, made of what is given; nothing here can fail. No network.

pub(crate) mod account;
pub(crate) mod deployment;
pub(crate) mod job;
pub(crate) mod meta;
pub(crate) mod pod;
pub(crate) mod service;
pub(crate) mod settings;
pub(crate) mod volumes;
