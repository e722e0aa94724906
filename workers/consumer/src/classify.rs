//! Whose fault an error of the table is: the item's, or the environment's. No network.

use aws_sdk_dynamodb::error::SdkError;
use medallion_crds::Reason;

use crate::table::TableError;

pub(crate) fn unreachable<E>(error: &SdkError<E>, table: &str) -> TableError {
    let what = match error {
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(connector) if connector.is_timeout() => "no answer in time".to_owned(),
            Some(connector) => {
                let cause = std::error::Error::source(connector)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                format!("{connector}: {cause}")
            }
            None => "the request could not be sent".to_owned(),
        },
        SdkError::ConstructionFailure(_) => {
            "the request could not be made, most likely for want of credentials".to_owned()
        }
        SdkError::ResponseError(_) => "an answer that is none of the service's".to_owned(),
        _ => "the call failed".to_owned(),
    };
    TableError::Environment {
        reason: Reason::TableUnreachable,
        message: format!("table {table}: {what}; trying again, check endpoint, network and credentials"),
    }
}

/// Only what says that this very item cannot be stored is the item's fault. Everything else, known or not, is waited for.
pub(crate) fn classify(code: &str, status: u16, message: &str, table: &str) -> TableError {
    let is_size = message.contains("Item size") || message.contains("item size") || message.contains("size limit");
    if code == "ValidationException" && is_size {
        let message = format!("the table does not take an item of this size: {message}");
        return TableError::Item {
            class: Reason::ItemTooLarge,
            message,
        };
    }
    let (reason, fix) = match code {
        "ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded" | "Throttling" => (
            Reason::TableThrottled,
            "trying again more slowly; raise the table's capacity if this lasts",
        ),
        "ResourceNotFoundException" => (Reason::TableMissing, "create the table, or correct spec.table.name"),
        "ValidationException" => (
            Reason::TableRefuses,
            "the table must have the hash key `key` and the range key `event_id`, both strings",
        ),
        "AccessDeniedException"
        | "UnrecognizedClientException"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch" => (
            Reason::CredentialsRefused,
            "allow dynamodb:PutItem on the table to the consumer's identity",
        ),
        _ if status >= 500 => (Reason::TableUnavailable, "trying again"),
        _ => (
            Reason::TableRefuses,
            "trying again; the answer is not one that this worker knows",
        ),
    };
    TableError::Environment {
        reason,
        message: format!("table {table}: {code} ({status}): {message}; {fix}"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "ValidationException",
        400,
        "Item size has exceeded the maximum allowed size",
        Reason::ItemTooLarge
    )]
    #[case(
        "ValidationException",
        400,
        "The provided key element does not match the schema",
        Reason::TableRefuses
    )]
    #[case("ThrottlingException", 400, "slow down", Reason::TableThrottled)]
    #[case("ProvisionedThroughputExceededException", 400, "", Reason::TableThrottled)]
    #[case("ResourceNotFoundException", 400, "", Reason::TableMissing)]
    #[case("AccessDeniedException", 400, "", Reason::CredentialsRefused)]
    #[case("UnrecognizedClientException", 400, "", Reason::CredentialsRefused)]
    #[case("ExpiredTokenException", 403, "", Reason::CredentialsRefused)]
    #[case("InternalServerError", 500, "", Reason::TableUnavailable)]
    #[case("", 503, "", Reason::TableUnavailable)]
    #[case("TransactionConflictException", 400, "", Reason::TableRefuses)]
    #[case("SomethingNew", 400, "Item", Reason::TableRefuses)]
    fn only_the_items_own_fault_is_a_record_error(
        #[case] code: &str,
        #[case] status: u16,
        #[case] message: &str,
        #[case] word: Reason,
    ) {
        match classify(code, status, message, "orders") {
            TableError::Item { class, .. } => assert_eq!((&class, &word), (&word, &Reason::ItemTooLarge)),
            TableError::Environment { reason, message } => {
                assert_eq!(reason, word);
                assert!(message.contains("orders"), "{message}");
            }
        }
    }
}
