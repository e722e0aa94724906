//! By which of the brokers' listeners a pipeline comes, and what its namespace holds for that: a company's Kafka has no open one. Touches the API server.

use std::fs;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use medallion_crds::pipeline::Kafka;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::stack::Stack;

/// Who may do everything at every listener that asks for a user or a certificate.
const USER: &str = "owner";
/// Takes turns with it where passwords are rotated.
pub const NEXT_USER: &str = "owner-2";
/// The `ConfigMap` with the certificate of the brokers' authority.
const AUTHORITY: &str = "brokers";
/// The Secret with what proves who we are.
pub const CREDENTIALS: &str = "brokers-credentials";

/// How a pipeline comes to the brokers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Entrance {
    /// In plain text, as nobody.
    #[default]
    Open,
    /// Over TLS, with a user and a password.
    Scram,
    /// Over TLS, with a certificate.
    MutualTls,
    /// Over TLS, by Amazon's IAM with the identity that the pods have for AWS.
    MskIam,
}

impl Entrance {
    /// Its name in the stack's file.
    const fn listener(self) -> Option<&'static str> {
        match self {
            Self::Open => None,
            Self::Scram => Some("scram"),
            Self::MutualTls => Some("mutual"),
            Self::MskIam => Some("iam"),
        }
    }

    /// Writes it into a pipeline.
    pub fn lead(self, stack: &Stack, kafka: &mut Kafka) -> Result<()> {
        let Some(listener) = self.listener() else {
            kafka.bootstrap_servers = vec![stack.kafka.bootstrap_servers.clone()];
            return Ok(());
        };
        let server = stack.kafka.listeners.get(listener);
        let server = server.with_context(|| format!("the stack's brokers have no listener {listener}"))?;
        kafka.bootstrap_servers = vec![server.clone()];
        let authority = json!({"ca": {"configMapKeyRef": {"name": AUTHORITY, "key": "ca.crt"}}});
        kafka.tls = Some(serde_json::from_value(authority)?);
        let from = |key: &str| json!({"secretKeyRef": {"name": CREDENTIALS, "key": key}});
        let authentication = match self {
            Self::Open => json!({"type": "None"}),
            Self::Scram => {
                json!({"type": "Scram", "scram": {"username": from("username"), "password": from("password")}})
            }
            Self::MutualTls => {
                json!({"type": "MutualTls", "mutualTls": {"certificate": from("tls.crt"), "key": from("tls.key")}})
            }
            Self::MskIam => json!({"type": "MskIam", "mskIam": {"region": stack.aws.region}}),
        };
        kafka.authentication = serde_json::from_value(authentication)?;
        Ok(())
    }

    /// Puts what the pipeline refers to into its namespace.
    pub async fn put(self, cluster: &Cluster, stack: &Stack, namespace: &str) -> Result<()> {
        let Some(credentials) = self.credentials(stack)? else {
            return Ok(());
        };
        let maps: Api<ConfigMap> = cluster.api(namespace);
        cluster.apply(&maps, AUTHORITY, &authority(stack)?).await?;
        put_credentials(cluster, namespace, &credentials).await
    }

    /// The ConfigMap of whom the brokers' certificates are by, if they show any.
    pub fn authority(self, stack: &Stack) -> Result<Option<Value>> {
        self.listener().map(|_| authority(stack)).transpose()
    }

    /// What proves who we are; with IAM nothing that is mounted. `None`: nobody asks.
    pub fn credentials(self, stack: &Stack) -> Result<Option<Value>> {
        Ok(Some(match self {
            Self::Open => return Ok(None),
            Self::Scram => user(USER, password(stack, USER)?),
            Self::MutualTls => {
                let read = |ending: &str| certificate(stack, &format!("{USER}.{ending}"));
                json!({"tls.crt": read("crt")?, "tls.key": read("key")?})
            }
            Self::MskIam => json!({}),
        }))
    }
}

/// Puts what proves who we are into the namespace, in place of what was there.
pub async fn put_credentials(cluster: &Cluster, namespace: &str, credentials: &Value) -> Result<()> {
    let secrets: Api<Secret> = cluster.api(namespace);
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": CREDENTIALS}, "stringData": credentials,
    });
    cluster.apply(&secrets, CREDENTIALS, &object).await.map(drop)
}

/// What the Secret holds of a user.
pub fn user(name: &str, password: &str) -> Value {
    json!({"username": name, "password": password})
}

/// The password that the brokers know.
pub fn password<'s>(stack: &'s Stack, user: &str) -> Result<&'s str> {
    let found = stack.kafka.users.get(user);
    Ok(found.with_context(|| format!("no password of {user}"))?)
}

fn authority(stack: &Stack) -> Result<Value> {
    Ok(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": AUTHORITY},
        "data": {"ca.crt": certificate(stack, "brokers-ca.crt")?},
    }))
}

fn certificate(stack: &Stack, file: &str) -> Result<String> {
    let path = stack.kafka.certificates.join(file);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}
