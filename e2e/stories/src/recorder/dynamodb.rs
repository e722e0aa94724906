//! What a request of DynamoDB or of its streams asks for. Touches no network.

use http::HeaderMap;
use medallion_policies::recorded::Call;
use serde_json::Value;

use super::target::{operation, unconditional};

/// The stories' own tables begin so.
const STORIES: &str = "story_";

/// None where the request names no operation.
pub fn call(headers: &HeaderMap, body: &[u8]) -> Option<Call> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    Some(unconditional("dynamodb", operation(headers)?, resource(&body)))
}

fn resource(body: &Value) -> String {
    // An iterator is one of a shard, and says to nobody but DynamoDB of which.
    if body["StreamArn"].is_string() || body["ShardIterator"].is_string() {
        return "{stream}".to_owned();
    }
    let named = body["TableName"].as_str().or_else(|| {
        let arn = body["ResourceArn"].as_str()?;
        arn.rsplit('/').next()
    });
    match named {
        Some(name) if name.starts_with(STORIES) => "{table}".to_owned(),
        Some(name) => format!("arn:aws:dynamodb:::table/{name}"),
        None => "*".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn tables_streams_and_shards_are_places() {
        for (target, body, expected) in [
            (
                "DynamoDB_20120810.PutItem",
                r#"{"TableName": "story_late"}"#,
                "dynamodb:PutItem of {table}",
            ),
            (
                "DynamoDB_20120810.PutItem",
                r#"{"TableName": "other"}"#,
                "dynamodb:PutItem of arn:aws:dynamodb:::table/other",
            ),
            (
                "DynamoDB_20120810.ListTagsOfResource",
                r#"{"ResourceArn": "arn:aws:dynamodb:ddblocal:000000000000:table/story_late"}"#,
                "dynamodb:ListTagsOfResource of {table}",
            ),
            (
                "DynamoDBStreams_20120810.GetRecords",
                r#"{"ShardIterator": "000|x"}"#,
                "dynamodb:GetRecords of {stream}",
            ),
            (
                "DynamoDBStreams_20120810.DescribeStream",
                r#"{"StreamArn": "a"}"#,
                "dynamodb:DescribeStream of {stream}",
            ),
            ("DynamoDB_20120810.ListTables", "{}", "dynamodb:ListTables of *"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-target", HeaderValue::from_static(target));
            assert_eq!(call(&headers, body.as_bytes()).unwrap().to_string(), expected);
        }
        assert_eq!(call(&HeaderMap::new(), b"{}"), None);
    }
}
