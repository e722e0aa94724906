//! For whom the provisioner looks, and whom it may displace. No network.

use medallion_crds::Owner;

/// A pipeline, and the values of its annotation `medallion.dev/adopt`.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// The pipeline.
    pub owner: &'a Owner,
    /// Each good for what it names alone.
    pub adopt: &'a [String],
}

impl Claimant<'_> {
    /// Whether something of this owner (as text) is neither ours nor to be taken over.
    pub fn is_refused(&self, owner: &str) -> bool {
        !self.is_own(owner) && !self.adopt.iter().any(|adopted| adopted == owner)
    }

    /// Whether this is our own text.
    pub fn is_own(&self, owner: &str) -> bool {
        owner == self.owner.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_named_is_displaced() {
        let owner: Owner = "0b7c/shop/orders".parse().expect("an owner");
        let adopt = ["0b7c/shop/old".to_owned()];
        let claimant = Claimant {
            owner: &owner,
            adopt: &adopt,
        };
        let refused =
            ["0b7c/shop/orders", "0b7c/shop/old", "0b7c/shop/older", ""].map(|text| claimant.is_refused(text));
        assert_eq!(refused, [false, false, true, true]);
    }
}
