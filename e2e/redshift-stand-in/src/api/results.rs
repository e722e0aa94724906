//! `GetStatementResult`: typed fields, page by page; touches no network itself.

use serde_json::{Value, json};

use super::answers::{ColumnMetadata, FieldValue, ResultPage};
use super::caller::Caller;
use super::error::ApiError;
use super::requests::OfStatement;
use super::service::{Service, wait};

pub async fn get(service: &Service, caller: &Caller, request: &OfStatement) -> Result<Value, ApiError> {
    let found = service
        .registry
        .find(&caller.0, &request.id)
        .ok_or_else(|| ApiError::not_found(&request.id, "Query does not exist."))?;
    wait(&found.statement, request.wait_time_seconds).await?;
    let part = match (found.part, found.statement.submission.is_batch) {
        (Some(part), _) => part,
        (None, false) => 0,
        (None, true) => {
            return Err(ApiError::validation(format!(
                "{} is a batch: ask for the result of one statement of it, as in {}:1",
                request.id, request.id
            )));
        }
    };
    let state = found.statement.state.borrow().clone();
    // A batch can still be rolled back while its parts have finished.
    let ended = state.status.is_terminal();
    let Some(result) = state.parts[part].result.clone().filter(|_| ended) else {
        return Err(ApiError::not_found(
            &request.id,
            "Query does not have result. Please check query status with DescribeStatement.",
        ));
    };
    let start = match request.next_token.as_deref() {
        None | Some("") => 0,
        Some(token) => token
            .parse()
            .ok()
            .filter(|start| *start <= result.rows.len())
            .ok_or_else(|| ApiError::validation("NextToken is not valid"))?,
    };
    let end = result.page_end(start);
    let page = ResultPage {
        records: result.rows[start..end]
            .iter()
            .map(|row| row.iter().map(FieldValue::from).collect())
            .collect(),
        column_metadata: result.columns.iter().map(ColumnMetadata::from).collect(),
        total_num_rows: i64::try_from(result.rows.len()).unwrap_or(i64::MAX),
        next_token: (end < result.rows.len()).then(|| end.to_string()),
    };
    Ok(json!(page))
}
