//! What a request of the Redshift Data API asks for. Touches no network.

use http::HeaderMap;
use medallion_policies::recorded::Call;
use serde_json::Value;

use super::target::{operation, unconditional};

/// None where the request names no operation.
pub fn call(headers: &HeaderMap, body: &[u8]) -> Option<Call> {
    let operation = operation(headers)?;
    Some(unconditional(
        "redshift-data",
        operation,
        resource(operation, body).to_owned(),
    ))
}

/// Statements have no ARNs, so whatever is asked of one is asked of all.
fn resource(operation: &str, body: &[u8]) -> &'static str {
    let names_one = || {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        body["WorkgroupName"].is_string() || body["ClusterIdentifier"].is_string()
    };
    match operation {
        "CancelStatement" | "DescribeStatement" | "GetStatementResult" | "ListStatements" => "*",
        _ if names_one() => "{warehouse}",
        _ => "*",
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_statement_is_run_in_a_warehouse_and_asked_for_without() {
        for (target, body, expected) in [
            (
                "RedshiftData.BatchExecuteStatement",
                r#"{"WorkgroupName": "shop"}"#,
                "redshift-data:BatchExecuteStatement of {warehouse}",
            ),
            (
                "RedshiftData.ExecuteStatement",
                "{}",
                "redshift-data:ExecuteStatement of *",
            ),
            (
                "RedshiftData.ListStatements",
                r#"{"WorkgroupName": "shop"}"#,
                "redshift-data:ListStatements of *",
            ),
            (
                "RedshiftData.DescribeStatement",
                r#"{"Id": "1"}"#,
                "redshift-data:DescribeStatement of *",
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-target", HeaderValue::from_static(target));
            assert_eq!(call(&headers, body.as_bytes()).unwrap().to_string(), expected);
        }
    }
}
