//! What a request of S3 asks for: its rights by IAM's names, the place, and the condition keys that it has itself. Touches no network.

use std::collections::BTreeMap;

use http::{HeaderMap, Method, Uri};
use medallion_policies::recorded::Call;
use url::form_urlencoded;

use super::places;

/// Headers that are condition keys.
const HEADERS: [&str; 5] = [
    "if-match",
    "if-none-match",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
];
/// Words of a query that change nothing about the right, but `prefix`.
const PLAIN: [&str; 12] = [
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "list-type",
    "marker",
    "max-keys",
    "partNumber",
    "prefix",
    "start-after",
    "versionId",
    "x-id",
];

/// One call, or two for a copy. Buckets are addressed by path.
pub fn calls(method: &Method, uri: &Uri, headers: &HeaderMap) -> Vec<Call> {
    let query: BTreeMap<String, String> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let sub = query.keys().map(String::as_str).find(|word| !PLAIN.contains(word));
    let path = uri.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    if bucket.is_empty() {
        return vec![call("s3:ListAllMyBuckets", "*".to_owned(), BTreeMap::new())];
    }
    if key.is_empty() {
        let action = of_bucket(method.as_str(), sub);
        let mut conditions = BTreeMap::new();
        if let Some(prefix) = query.get("prefix").filter(|_| action == "s3:ListBucket") {
            conditions.insert("s3:prefix".to_owned(), places::key(bucket, prefix));
        } else if query.contains_key("list-type") {
            conditions.insert("s3:prefix".to_owned(), String::new());
        }
        return vec![call(&action, places::bucket(bucket), conditions)];
    }
    let action = of_object(method.as_str(), sub, query.contains_key("versionId"));
    let conditions = if action == "s3:PutObject" {
        of_put(method, sub, headers)
    } else {
        BTreeMap::new()
    };
    let mut calls = vec![call(&action, object(bucket, key), conditions)];
    let copied = headers.get("x-amz-copy-source").and_then(|source| source.to_str().ok());
    if let Some((bucket, key)) = copied.and_then(|source| source.trim_start_matches('/').split_once('/')) {
        calls.push(call("s3:GetObject", object(bucket, key), BTreeMap::new()));
    }
    calls
}

fn call(action: &str, resource: String, conditions: BTreeMap<String, String>) -> Call {
    Call {
        action: action.to_owned(),
        resource,
        conditions,
    }
}

fn object(bucket: &str, key: &str) -> String {
    format!("{}/{}", places::bucket(bucket), places::key(bucket, key))
}

/// A right that we do not know has a name that no policy has, and so is told.
fn of_bucket(method: &str, sub: Option<&str>) -> String {
    let known = match (method, sub) {
        ("GET" | "HEAD", None) => "s3:ListBucket",
        ("PUT", None) => "s3:CreateBucket",
        ("DELETE", None) => "s3:DeleteBucket",
        ("POST", Some("delete")) => "s3:DeleteObject",
        ("GET", Some("location")) => "s3:GetBucketLocation",
        ("GET", Some("uploads")) => "s3:ListBucketMultipartUploads",
        ("GET", Some("versioning")) => "s3:GetBucketVersioning",
        ("GET", Some("versions")) => "s3:ListBucketVersions",
        (method, sub) => return format!("s3:{method} of a bucket, {}", sub.unwrap_or("plain")),
    };
    known.to_owned()
}

fn of_object(method: &str, sub: Option<&str>, has_version: bool) -> String {
    let known = match (method, sub) {
        ("GET" | "HEAD", None) if has_version => "s3:GetObjectVersion",
        ("GET" | "HEAD", None) => "s3:GetObject",
        ("PUT", None | Some("uploadId")) | ("POST", Some("uploads" | "uploadId")) => "s3:PutObject",
        ("DELETE", Some("uploadId")) => "s3:AbortMultipartUpload",
        ("GET", Some("uploadId")) => "s3:ListMultipartUploadParts",
        ("DELETE", None) if has_version => "s3:DeleteObjectVersion",
        ("DELETE", None) => "s3:DeleteObject",
        (method, sub) => return format!("s3:{method} of an object, {}", sub.unwrap_or("plain")),
    };
    known.to_owned()
}

/// Of an upload in parts the last request makes the object, and carries its conditions.
fn of_put(method: &Method, sub: Option<&str>, headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut conditions = BTreeMap::new();
    for name in HEADERS {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            // Which version of an object it must be is another each time.
            let value = if name == "if-match" { "{any}" } else { value };
            conditions.insert(format!("s3:{name}"), value.to_owned());
        }
    }
    let makes = matches!((method.as_str(), sub), ("PUT", None) | ("POST", Some("uploadId")));
    if makes {
        conditions.insert("s3:ObjectCreationOperation".to_owned(), "true".to_owned());
    }
    conditions
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked(method: &Method, uri: &str, headers: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut map = HeaderMap::new();
        for &(name, value) in headers {
            map.insert(name, HeaderValue::from_static(value));
        }
        let uri = uri.parse().unwrap();
        calls(method, &uri, &map).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn requests_are_rights_with_places_and_conditions() {
        let gold = "/story-late-gold";
        let entry = format!("{gold}/orders/_delta_log/00000000000000000001.json");
        for (method, uri, headers, expected) in [
            (Method::HEAD, gold.to_owned(), &[][..], "s3:ListBucket of {gold}"),
            (
                Method::GET,
                format!("{gold}?list-type=2&prefix=orders%2F_delta_log%2F&start-after=x"),
                &[],
                "s3:ListBucket of {gold}, s3:prefix={any}/_delta_log/",
            ),
            (
                Method::GET,
                format!("{gold}?list-type=2&delimiter=%2F"),
                &[],
                "s3:ListBucket of {gold}, s3:prefix=",
            ),
            (Method::PUT, gold.to_owned(), &[], "s3:CreateBucket of {gold}"),
            (
                Method::GET,
                entry.clone(),
                &[],
                "s3:GetObject of {gold}/{any}/_delta_log/{number}.json",
            ),
            (
                Method::PUT,
                format!("{entry}?x-id=PutObject"),
                &[("if-none-match", "*")],
                "s3:PutObject of {gold}/{any}/_delta_log/{number}.json, s3:ObjectCreationOperation=true, s3:if-none-match=*",
            ),
            (
                Method::PUT,
                format!("{gold}/orders/a.parquet?partNumber=1&uploadId=u"),
                &[],
                "s3:PutObject of {gold}/{any}/{any}.parquet",
            ),
            (
                Method::POST,
                format!("{gold}/orders/a.parquet?uploadId=u"),
                &[],
                "s3:PutObject of {gold}/{any}/{any}.parquet, s3:ObjectCreationOperation=true",
            ),
            (
                Method::DELETE,
                format!("{gold}/orders/a.parquet?uploadId=u"),
                &[],
                "s3:AbortMultipartUpload of {gold}/{any}/{any}.parquet",
            ),
            (
                Method::DELETE,
                entry,
                &[],
                "s3:DeleteObject of {gold}/{any}/_delta_log/{number}.json",
            ),
            (
                Method::PUT,
                format!("{gold}?policy"),
                &[],
                "s3:PUT of a bucket, policy of {gold}",
            ),
            (Method::GET, "/".to_owned(), &[], "s3:ListAllMyBuckets of *"),
        ] {
            assert_eq!(asked(&method, &uri, headers), [expected], "{uri}");
        }
    }

    #[test]
    fn a_copy_reads_as_well() {
        assert_eq!(
            asked(
                &Method::PUT,
                "/story-late-gold/_runs/x",
                &[("x-amz-copy-source", "/story-late-silver/orders/a.parquet")]
            ),
            [
                "s3:PutObject of {gold}/_runs/{any}, s3:ObjectCreationOperation=true",
                "s3:GetObject of {silver}/{any}/{any}.parquet",
            ]
        );
    }
}
