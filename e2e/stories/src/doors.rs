//! How workers come to AWS's stand-ins and as whom: at once and as the administrator, or past whoever notes what each asks for. Touches no network.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::stack::Stack;

/// The Secret with AWS credentials in each pipeline's namespace, for workers that have none of their own.
pub const SHARED_SECRET: &str = "aws-credentials";
/// Asks AWS for nothing, and so has no Secret of its own: brokers with IAM alone see the shared one.
const GATEWAY: &str = "gateway";
/// How identities of functions end.
const FUNCTION: &str = "-function";

/// Endpoints, and access keys by identity.
#[derive(Clone, Debug)]
pub struct Doors {
    pub s3: String,
    pub dynamodb: String,
    redshift: Option<String>,
    pub glue: String,
    administrator: String,
    /// None: everybody is the administrator.
    keys: BTreeMap<String, String>,
}

impl Doors {
    /// The stack's own endpoints.
    pub fn direct(stack: &Stack) -> Self {
        Self {
            s3: stack.s3.endpoint.clone(),
            dynamodb: stack.dynamodb.endpoint.clone(),
            redshift: stack.redshift.as_ref().map(|redshift| redshift.endpoint.clone()),
            glue: stack.moto.endpoint.clone(),
            administrator: stack.aws.access_key_id.clone(),
            keys: BTreeMap::new(),
        }
    }

    /// Others before them, at which each worker has an access key of its own.
    pub fn others(stack: &Stack, s3: String, dynamodb: String, redshift: String, glue: String) -> Self {
        Self {
            s3,
            dynamodb,
            redshift: Some(redshift),
            glue,
            keys: stack.aws.workers.clone(),
            ..Self::direct(stack)
        }
    }

    pub fn redshift(&self) -> Result<&str> {
        let missing = "the stack has no Redshift stand-in; `cargo local up` builds and starts it";
        self.redshift.as_deref().context(missing)
    }

    /// Of a worker, or of a function in its place.
    pub fn access_key(&self, identity: &str) -> &str {
        self.keys.get(identity).unwrap_or(&self.administrator)
    }

    /// Workers whose pods have a Secret of their own, and its name.
    pub fn own_secrets(&self) -> impl Iterator<Item = (&str, String)> {
        let pods = self.keys.keys().map(String::as_str);
        let pods = pods.filter(|identity| *identity != GATEWAY && !identity.ends_with(FUNCTION));
        pods.map(|worker| (worker, format!("{SHARED_SECRET}-{worker}")))
    }

    /// Each Secret of a namespace, by name, with the access key that it holds.
    pub fn secrets(&self) -> Vec<(String, &str)> {
        let own = self.own_secrets().map(|(worker, name)| (name, self.access_key(worker)));
        let shared = (SHARED_SECRET.to_owned(), self.access_key(GATEWAY));
        [shared].into_iter().chain(own).collect()
    }
}
