//! Who owns a table of the lake or the warehouse, a consumer group, a topic: one text everywhere. No network.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The pipeline that writes something outside the cluster. Its text, `installation/namespace/name`, stands in every table of lake
/// and warehouse, and in the offsets of the consumer group.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Owner {
    /// Which installation of the operator: one word per Kubernetes cluster, unless the chart says otherwise.
    pub installation: String,
    /// Namespace of the Pipeline.
    pub namespace: String,
    /// Name of the Pipeline.
    pub name: String,
}

/// A text that names no owner.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0:?} is no owner; write installation/namespace/name, as it stands in status.owner of the other Pipeline")]
pub struct OwnerError(String);

impl Owner {
    /// The consumer group of a pipeline that names none. No part can hold a dot, so no two owners share a group.
    pub fn consumer_group(&self) -> String {
        format!("medallion.{}.{}.{}", self.installation, self.namespace, self.name)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.installation, self.namespace, self.name)
    }
}

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        match text.split('/').collect::<Vec<_>>().as_slice() {
            parts @ [installation, namespace, name] if parts.iter().all(word) => Ok(Self {
                installation: (*installation).to_owned(),
                namespace: (*namespace).to_owned(),
                name: (*name).to_owned(),
            }),
            _ => Err(OwnerError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_read_back_as_it_was_written() {
        let owner: Owner = "0b7c/shop/purchase-orders".parse().unwrap();
        assert_eq!(owner.to_string().parse(), Ok(owner));
    }

    #[test]
    fn what_runs_together_with_dashes_stays_two_groups() {
        let group = |text: &str| text.parse::<Owner>().unwrap().consumer_group();
        assert_ne!(group("c/a-b/c"), group("c/a/b-c"));
        assert_ne!(group("c/a/b"), group("d/a/b"));
    }

    #[test]
    fn what_is_no_owner_is_refused_in_words() {
        for text in ["", "a/b", "a/b/c/d", "a//c", "a.b/c/d", "A/b/c"] {
            let error = text.parse::<Owner>().unwrap_err().to_string();
            assert!(error.contains("installation/namespace/name"), "{text}: {error}");
        }
    }
}
