//! What Lambda is answered: from which record on a batch is to be given again. No network.

use aws_lambda_events::dynamodb::TimeWindowEventResponse;
use aws_lambda_events::streams::DynamoDbBatchItemFailure;

/// Everything before this record is committed; absent: everything is.
///
/// Lambda takes the lowest record that is named and gives it and all behind it again. The window's state stays empty:
/// Bronze's log is the only record of progress.
pub fn answer(from: Option<String>) -> TimeWindowEventResponse {
    let mut response = TimeWindowEventResponse::default();
    if let Some(sequence) = from {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(sequence);
        response.batch_item_failures.push(failure);
    }
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_batch_is_done_or_given_again_from_a_record_on() {
        let text = |from: Option<&str>| serde_json::to_value(answer(from.map(str::to_owned))).expect("JSON");
        assert_eq!(text(None), json!({"state": {}, "batchItemFailures": []}));
        assert_eq!(
            text(Some("222")),
            json!({"state": {}, "batchItemFailures": [{"itemIdentifier": "222"}]})
        );
    }
}
