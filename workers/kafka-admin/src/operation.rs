//! What brokers let a client do, by their own words. No network.

use std::fmt;

/// What a client may do with a topic, a group or the cluster.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Operation {
    /// Read records; of a group: join it and commit offsets.
    Read,
    /// Write records.
    Write,
    /// Make a topic.
    Create,
    /// Delete it.
    Delete,
    /// Change it.
    Alter,
    /// Learn that it is there.
    Describe,
    /// What brokers ask of each other.
    ClusterAction,
    /// Read its settings.
    DescribeConfigs,
    /// Change its settings.
    AlterConfigs,
    /// Write as an idempotent producer; brokers since Kafka 3.0 take Write on any topic instead.
    IdempotentWrite,
}

impl Operation {
    /// By its number in Kafka's protocol; `None` for one that is not known here.
    pub(crate) const fn of(number: u32) -> Option<Self> {
        Some(match number {
            3 => Self::Read,
            4 => Self::Write,
            5 => Self::Create,
            6 => Self::Delete,
            7 => Self::Alter,
            8 => Self::Describe,
            9 => Self::ClusterAction,
            10 => Self::DescribeConfigs,
            11 => Self::AlterConfigs,
            12 => Self::IdempotentWrite,
            _ => return None,
        })
    }

    /// Its name, as `kafka-acls.sh --operation` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Create => "Create",
            Self::Delete => "Delete",
            Self::Alter => "Alter",
            Self::Describe => "Describe",
            Self::ClusterAction => "ClusterAction",
            Self::DescribeConfigs => "DescribeConfigs",
            Self::AlterConfigs => "AlterConfigs",
            Self::IdempotentWrite => "IdempotentWrite",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_protocol_and_any_other_is_passed_over() {
        let known: Vec<_> = (0..20).filter_map(Operation::of).collect();
        assert_eq!(known.len(), 10);
        assert_eq!((known[0], known[9]), (Operation::Read, Operation::IdempotentWrite));
        assert_eq!(
            Operation::of(8).map(|operation| operation.to_string()).as_deref(),
            Some("Describe")
        );
    }
}
