//! What stands in the cluster, kept up to date by watches and filed by pipeline. Talks to the Kubernetes API.

pub(crate) mod all;
pub(crate) mod child_kinds;
pub(crate) mod follow;
pub(crate) mod groups;
pub(crate) mod guard;
pub(crate) mod index;
pub(crate) mod news;
pub(crate) mod part;
pub(crate) mod room;
pub(crate) mod slim;
pub(crate) mod start;
