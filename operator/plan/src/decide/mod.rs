//! What comes next: for the dependencies, the streaming stages, the runs of each batch stage, and what is no longer kept. No network.

pub(crate) mod batch;
pub(crate) mod deployments;
pub(crate) mod launch;
pub(crate) mod provisioning;
pub(crate) mod retention;
pub(crate) mod run;
pub(crate) mod stranded;
pub(crate) mod trigger;
