//! The Kubernetes API as it is used here: calls that end, and what a process needs for them. Talks to the Kubernetes API.

pub(crate) mod call;
pub(crate) mod client;
pub(crate) mod event;
pub(crate) mod files;
pub(crate) mod installation;
pub(crate) mod status;
