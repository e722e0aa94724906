//! Whether brokers allow a client what it needs, asked before it is needed: a missing right is named at once, not when the next event comes. Asks the brokers.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_admin::{Operation, describe_topic, group_operations};
use rdkafka::client::Client;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};

use crate::context::KafkaContext;
use crate::diagnosis::Diagnosis;
use crate::party::{Need, Resource, code_of};

/// What was found out about rights.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rights {
    /// Everything that is needed is allowed.
    Enough,
    /// The first that is not.
    Missing(Diagnosis),
    /// The brokers do not say, and nothing is known that is missing.
    Unknown,
}

/// What the brokers do not allow of what is needed. Blocks up to twice the time-out for each need.
pub fn rights<C: rdkafka::ClientContext>(
    client: &Client<C>,
    context: &KafkaContext,
    needs: &[Need<'_>],
    timeout: Duration,
) -> KafkaResult<Rights> {
    let mut found = Rights::Enough;
    for need in needs {
        let asked = match need.on {
            Resource::Topic(name) => describe_topic(client, name, timeout).map(|topic| topic.operations),
            Resource::Group(name) => group_operations(client, name, timeout),
            Resource::Cluster => continue,
        };
        let allowed = match asked {
            Ok(allowed) => allowed,
            Err(error) => match code_of(&error) {
                Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed) => {
                    Some(BTreeSet::new())
                }
                // That it is not there is another matter.
                Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => continue,
                _ => return Err(error),
            },
        };
        match missing(need.operations, allowed.as_ref()) {
            None => found = Rights::Unknown,
            Some(missing) if missing.is_empty() => {}
            Some(missing) => return Ok(Rights::Missing(context.denied(need.on, &missing))),
        }
    }
    Ok(found)
}

/// What is needed and not allowed; `None` if nobody says what is allowed.
fn missing(needed: &[Operation], allowed: Option<&BTreeSet<Operation>>) -> Option<Vec<Operation>> {
    let allowed = allowed?;
    Some(
        needed
            .iter()
            .copied()
            .filter(|operation| !allowed.contains(operation))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_what_is_needed_and_not_allowed() {
        let needed = [Operation::Describe, Operation::Write];
        assert_eq!(missing(&needed, None), None);
        let allowed = BTreeSet::from([Operation::Describe, Operation::Read]);
        assert_eq!(missing(&needed, Some(&allowed)), Some(vec![Operation::Write]));
        let allowed = BTreeSet::from(needed);
        assert_eq!(missing(&needed, Some(&allowed)), Some(Vec::new()));
    }
}
