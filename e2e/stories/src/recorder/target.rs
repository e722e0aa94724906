//! What a request of AWS's JSON protocols says in its header: the operation. Touches no network.

use std::collections::BTreeMap;

use http::HeaderMap;
use medallion_policies::recorded::Call;

/// Behind the service's own name and version.
pub fn operation(headers: &HeaderMap) -> Option<&str> {
    let target = headers.get("x-amz-target")?.to_str().ok()?;
    target.split_once('.').map(|(_, operation)| operation)
}

/// A call whose request has a value for no condition key.
pub fn unconditional(service: &str, operation: &str, resource: String) -> Call {
    Call {
        action: format!("{service}:{operation}"),
        resource,
        conditions: BTreeMap::new(),
    }
}
