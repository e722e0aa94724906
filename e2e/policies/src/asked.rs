//! What a recorded call asks of AWS in an environment: itself, and the keys that services open in the caller's name. Touches no network.

use anyhow::Result;

use crate::decide::Request;
use crate::land::{Identity, Land};
use crate::principal::Principal;
use crate::recorded::Call;

/// Whose statements those of the Data API are: of a role, whatever its session is called.
pub const STATEMENT_OWNER: &str = "redshift-data:statement-owner-iam-userid";

/// The call's own request first.
pub fn requests(land: &Land, identity: &Identity, call: &Call) -> Result<Vec<Request>> {
    let principal = Principal::Role(identity.arn.clone());
    let mut context = land.context(&principal);
    if call.action.starts_with("redshift-data:") {
        context.set(STATEMENT_OWNER, format!("{}:any", identity.id));
    }
    for (key, value) in &call.conditions {
        context.set(key, land.at(value)?);
    }
    let own = Request {
        principal: principal.clone(),
        action: call.action.clone(),
        resource: land.at(&call.resource)?,
        context,
    };
    let mut requests = Vec::new();
    if let Some(key) = land.key_of(&own.resource) {
        for action in opens(&call.action) {
            let service = call.action.split(':').next().unwrap_or_default();
            let mut context = land.context(&principal);
            context.set("kms:ViaService", format!("{service}.{}.amazonaws.com", land.region));
            requests.push(Request {
                principal: principal.clone(),
                action: (*action).to_owned(),
                resource: key.to_owned(),
                context,
            });
        }
    }
    // Glue asks for a call of a table on its database and on the catalog too, and of a database on the catalog.
    if call.action.starts_with("glue:") {
        for place in ["{catalog-database}", "{catalog}"] {
            requests.push(Request {
                resource: land.at(place)?,
                ..own.clone()
            });
        }
    }
    requests.insert(0, own);
    Ok(requests)
}

/// What S3 and DynamoDB do with the key of what they are asked for.
fn opens(action: &str) -> &'static [&'static str] {
    match action {
        "s3:GetObject" | "dynamodb:GetRecords" | "dynamodb:PutItem" => &["kms:Decrypt"],
        // An upload in parts is put together from what is encrypted already.
        "s3:PutObject" => &["kms:Decrypt", "kms:GenerateDataKey"],
        _ => &[],
    }
}
