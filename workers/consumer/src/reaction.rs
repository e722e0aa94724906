//! What to do about an error of the client library while it reads. No network.

use kafka_client::{Diagnosis, KafkaContext};
use medallion_crds::Reason;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use worker_kit::WorkerError;

use crate::ledger::Ledger;
use crate::needs::Needs;
use crate::start::GO_ON;

/// What to do about an error of the client library.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Reaction {
    Nothing,
    /// The brokers do not allow it; it tries again by itself.
    Denied(Diagnosis),
    /// It tries again by itself.
    Wait(Reason, String),
    End(WorkerError),
}

/// The partitions of this member and the offset that is next in each.
fn next_offsets(ledger: &Ledger) -> String {
    let positions = ledger.positions();
    let all = positions
        .iter()
        .map(|position| format!("partition {} offset {}", position.partition, position.mark));
    all.collect::<Vec<_>>().join(", ")
}

/// Whether an error is what a topic that was made anew looks like at first.
pub(crate) fn hints_at_another_topic(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;

    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::OffsetOutOfRange
                | Code::AutoOffsetReset
                | Code::UnknownTopicId
                | Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
        )
    )
}

/// `context`: the consumer's.
pub(crate) fn reaction(error: &KafkaError, context: &KafkaContext, needs: &Needs, ledger: &Ledger) -> Reaction {
    use RDKafkaErrorCode as Code;

    if let Some(denied) = context.denial(error, &needs.to_read()) {
        return Reaction::Denied(denied);
    }
    let topic = &needs.topic;
    let code = match error {
        KafkaError::PartitionEOF(_) => return Reaction::Nothing,
        KafkaError::MessageConsumptionFatal(code) => {
            let message = format!("topic {topic}: the consumer can read no more: {code}; a new process can");
            return Reaction::End(WorkerError::environment(Reason::ConsumerFailed, message));
        }
        KafkaError::MessageConsumption(code) => *code,
        other => {
            return Reaction::Wait(
                Reason::KafkaUnavailable,
                format!("topic {topic}: {other}; trying again"),
            );
        }
    };
    match code {
        // Whether single connections stand is the library's affair, and idle ones are closed every few minutes. The
        // observer says it when nobody answers, and why.
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::SSL
        | Code::Authentication
        | Code::SaslAuthenticationFailed => Reaction::Nothing,
        // The library may go on behind a batch that it cannot read, and the mark would pass over the hole.
        Code::BadMessage | Code::BadCompression | Code::NotImplemented => Reaction::End(WorkerError::loss_risk(
            Reason::RecordsUnreadable,
            format!(
                "topic {topic}: a batch of records cannot be read ({code}): restore it from a replica, or accept the loss by setting the group's offset behind it; {GO_ON}. The client library does not say where it is: at or behind one of {}",
                next_offsets(ledger)
            ),
        )),
        Code::OffsetOutOfRange | Code::AutoOffsetReset => Reaction::End(WorkerError::loss_risk(
            Reason::OffsetsLost,
            format!(
                "topic {topic}: the offset that is next is not in the log any more: records were deleted before they were read; restore them, or accept the loss by setting the group's offset to the log's beginning; {GO_ON}"
            ),
        )),
        Code::PollExceeded => Reaction::End(WorkerError::environment(
            Reason::PollIntervalExceeded,
            format!(
                "topic {topic}: the group has given this member up because it did not poll in time; a new process joins again"
            ),
        )),
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicId => {
            Reaction::Wait(
                Reason::TopicMissing,
                format!("topic {topic} does not exist; create it, or correct spec.kafka.topic"),
            )
        }
        _ => Reaction::Wait(Reason::KafkaUnavailable, format!("topic {topic}: {code}; trying again")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use worker_kit::ErrorClass;

    use super::*;
    use crate::needs::tests::{context, needs};

    #[rstest]
    #[case(
        RDKafkaErrorCode::TopicAuthorizationFailed,
        Reason::TopicAccessDenied,
        "topic orders: "
    )]
    #[case(
        RDKafkaErrorCode::GroupAuthorizationFailed,
        Reason::GroupAccessDenied,
        "consumer group readers: "
    )]
    #[case(
        RDKafkaErrorCode::ClusterAuthorizationFailed,
        Reason::ClusterAccessDenied,
        "the cluster: "
    )]
    fn what_the_brokers_do_not_allow_is_named_and_waited_for(
        #[case] code: RDKafkaErrorCode,
        #[case] reason: Reason,
        #[case] on: &str,
    ) {
        let error = KafkaError::MessageConsumption(code);
        let Reaction::Denied(why) = reaction(&error, &context(), &needs(), &Ledger::default()) else {
            panic!("{code} is a denial");
        };
        assert_eq!(why.reason, reason);
        assert!(why.message.starts_with(on), "{why}");
    }

    #[rstest]
    #[case(
        KafkaError::MessageConsumption(RDKafkaErrorCode::OffsetOutOfRange),
        Some(ErrorClass::LossRisk)
    )]
    #[case(
        KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset),
        Some(ErrorClass::LossRisk)
    )]
    #[case(
        KafkaError::MessageConsumption(RDKafkaErrorCode::PollExceeded),
        Some(ErrorClass::Environment)
    )]
    #[case(
        KafkaError::MessageConsumptionFatal(RDKafkaErrorCode::Fatal),
        Some(ErrorClass::Environment)
    )]
    #[case(
        KafkaError::MessageConsumption(RDKafkaErrorCode::BadCompression),
        Some(ErrorClass::LossRisk)
    )]
    #[case(
        KafkaError::MessageConsumption(RDKafkaErrorCode::BadMessage),
        Some(ErrorClass::LossRisk)
    )]
    #[case(
        KafkaError::MessageConsumption(RDKafkaErrorCode::NotImplemented),
        Some(ErrorClass::LossRisk)
    )]
    #[case(KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition), None)]
    fn only_what_cannot_heal_ends_the_worker(#[case] error: KafkaError, #[case] class: Option<ErrorClass>) {
        match reaction(&error, &context(), &needs(), &Ledger::default()) {
            Reaction::End(error) => assert_eq!(Some(error.class), class),
            Reaction::Wait(_, message) => assert!(class.is_none() && message.contains("orders"), "{message}"),
            other => panic!("{error}: {other:?}"),
        }
    }

    #[test]
    fn a_batch_that_cannot_be_read_is_looked_for_by_partition_and_offset() {
        let ledger = Ledger::default();
        ledger.assign(3, 105);
        ledger.assign(7, 20);
        let error = KafkaError::MessageConsumption(RDKafkaErrorCode::BadCompression);
        let Reaction::End(error) = reaction(&error, &context(), &needs(), &ledger) else {
            panic!("it must halt");
        };
        for words in ["partition 3 offset 105, partition 7 offset 20", GO_ON] {
            assert!(error.message.contains(words), "{}", error.message);
        }
    }

    #[rstest]
    #[case(KafkaError::PartitionEOF(1))]
    #[case(KafkaError::MessageConsumption(RDKafkaErrorCode::AllBrokersDown))]
    #[case(KafkaError::MessageConsumption(RDKafkaErrorCode::BrokerTransportFailure))]
    #[case(KafkaError::MessageConsumption(RDKafkaErrorCode::Authentication))]
    #[case(KafkaError::MessageConsumption(RDKafkaErrorCode::SSL))]
    fn a_closed_connection_is_no_trouble(#[case] error: KafkaError) {
        let reaction = reaction(&error, &context(), &needs(), &Ledger::default());
        assert_eq!(reaction, Reaction::Nothing);
    }
}
