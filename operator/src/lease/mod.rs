//! Which operator works where: one at a time, agreed on by Leases. Talks to the Kubernetes API.

pub(crate) mod claim;
pub(crate) mod leadership;
pub(crate) mod record;
