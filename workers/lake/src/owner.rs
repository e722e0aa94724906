//! Whose a table is, and what that means to a writer. No network.

use std::collections::HashMap;

use crate::error::LakeError;
use crate::snapshot::{OWNER_PROPERTY, Snapshot};

/// Positions that our writers set begin with this.
const POSITIONS: &str = "medallion.";

/// For whom a writer writes, and whom it may displace.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Claim {
    own: String,
    adopt: Vec<String>,
}

/// What a table is to a writer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Judgement {
    /// Its own.
    Ours,
    /// Nobody's: it names no owner.
    Unowned,
    /// Another's, and the writer is to take it over from this owner.
    Adopted(String),
    /// Another's: this owner's.
    Another(String),
}

/// Judges a table by the owner that it names. An adoption is good for the named owner alone, and for nothing once it is
/// done.
pub fn judge(found: Option<&str>, own: &str, adopt: &[String]) -> Judgement {
    match found {
        None => Judgement::Unowned,
        Some(owner) if owner == own => Judgement::Ours,
        Some(owner) if adopt.iter().any(|displaced| displaced == owner) => Judgement::Adopted(owner.to_owned()),
        Some(owner) => Judgement::Another(owner.to_owned()),
    }
}

/// What must happen before a writer may write to a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Nothing.
    Write,
    /// The table must be given its new owner.
    Take,
}

impl Claim {
    /// A claim for an owner (`installation/namespace/name`). `adopt`: the owners that it displaces, and the addresses of
    /// tables without an owner that it takes.
    pub fn new(own: impl Into<String>, adopt: impl IntoIterator<Item = String>) -> Self {
        Self {
            own: own.into(),
            adopt: adopt.into_iter().collect(),
        }
    }

    /// The owner that is written for.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// Refuses a table that is another's and not to be adopted; so a provisioner looks before anything is written.
    pub fn check(&self, snapshot: &Snapshot) -> Result<(), LakeError> {
        self.step(snapshot).map(drop)
    }

    /// A table that names no owner is taken if our writers have written it (by a release that knew no owners), or if it
    /// is named. Anything else of that kind somebody else has made.
    pub(crate) fn step(&self, snapshot: &Snapshot) -> Result<Step, LakeError> {
        let table = snapshot.table().address();
        let refused = |owner| LakeError::OwnedByAnother {
            table: table.trim_end_matches('/').to_owned(),
            own: self.own.clone(),
            owner,
        };
        match judge(snapshot.owner(), &self.own, &self.adopt) {
            Judgement::Ours => Ok(Step::Write),
            Judgement::Adopted(_) => Ok(Step::Take),
            Judgement::Another(owner) => Err(refused(Some(owner))),
            Judgement::Unowned if is_ours_by_positions(snapshot) || self.names(table) => Ok(Step::Take),
            Judgement::Unowned => Err(refused(None)),
        }
    }

    /// Whether the claim takes the table at an address by name, and not by its owner: nobody's rows in it are to be kept.
    pub fn names(&self, table: &str) -> bool {
        let plain = |address: &str| address.trim_end_matches('/').to_owned();
        self.adopt.iter().any(|named| plain(named) == plain(table))
    }
}

fn is_ours_by_positions(snapshot: &Snapshot) -> bool {
    snapshot.positions_under(POSITIONS).next().is_some()
}

/// The properties of a table that names this owner, and otherwise those that it has.
pub(crate) fn with_owner(properties: &HashMap<String, String>, own: &str) -> HashMap<String, String> {
    let mut properties = properties.clone();
    properties.insert(OWNER_PROPERTY.to_owned(), own.to_owned());
    properties
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::own(Some("a/shop/orders"), &[], Judgement::Ours)]
    #[case::own_though_named(Some("a/shop/orders"), &["a/shop/orders"], Judgement::Ours)]
    #[case::nobodys(None, &["a/shop/old"], Judgement::Unowned)]
    #[case::anothers(Some("a/shop/old"), &[], Judgement::Another("a/shop/old".into()))]
    #[case::of_another_installation(Some("b/shop/orders"), &[], Judgement::Another("b/shop/orders".into()))]
    #[case::named(Some("a/shop/old"), &["a/shop/older", "a/shop/old"], Judgement::Adopted("a/shop/old".into()))]
    #[case::another_is_named(Some("a/shop/old"), &["a/shop/older"], Judgement::Another("a/shop/old".into()))]
    #[case::an_empty_name_is_nobodys_own(Some(""), &[], Judgement::Another(String::new()))]
    fn a_table_is_judged_by_the_owner_that_it_names(
        #[case] found: Option<&str>,
        #[case] adopt: &[&str],
        #[case] judgement: Judgement,
    ) {
        let adopt: Vec<String> = adopt.iter().map(ToString::to_string).collect();
        assert_eq!(judge(found, "a/shop/orders", &adopt), judgement);
    }
}
