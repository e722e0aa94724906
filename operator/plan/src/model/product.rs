//! What decides a stage's product beside its inputs. No network.

/// What decides a stage's product beside its inputs: another one is a reason for a run although no input is new. Worker images,
/// resources and environment are none of it, so that an upgrade of the operator starts nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Product {
    /// What users call it.
    pub made_by: &'static str,
    /// Digest of all of it. What it is made from must not change with the operator's version.
    pub digest: String,
}
