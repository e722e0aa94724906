//! What a request of the AWS Glue Data Catalog asks for. Touches no network.

use http::HeaderMap;
use medallion_policies::recorded::Call;
use serde_json::Value;

use super::target::{operation, unconditional};

/// None where the request names no operation. A call is of the table, its database and the catalog at once; here stands what it names
/// most closely, and the rest follows from that.
pub fn call(headers: &HeaderMap, body: &[u8]) -> Option<Call> {
    let operation = operation(headers)?;
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let is_of_a_table = body["Name"].is_string() && body["DatabaseName"].is_string() || body["TableInput"].is_object();
    let resource = if is_of_a_table {
        "{catalog-table}"
    } else {
        "{catalog-database}"
    };
    Some(unconditional("glue", operation, resource.to_owned()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_call_is_of_a_table_or_of_a_database() {
        for (target, body, expected) in [
            (
                "AWSGlue.GetTable",
                r#"{"DatabaseName": "shop", "Name": "orders"}"#,
                "glue:GetTable of {catalog-table}",
            ),
            (
                "AWSGlue.CreateTable",
                r#"{"DatabaseName": "shop", "TableInput": {"Name": "orders"}}"#,
                "glue:CreateTable of {catalog-table}",
            ),
            (
                "AWSGlue.GetDatabase",
                r#"{"Name": "shop"}"#,
                "glue:GetDatabase of {catalog-database}",
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-target", HeaderValue::from_static(target));
            assert_eq!(call(&headers, body.as_bytes()).unwrap().to_string(), expected);
        }
    }
}
