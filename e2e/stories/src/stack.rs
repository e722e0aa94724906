//! Reads `stack.json`: where the running stack's parts are. Touches no network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Names the file.
pub const VARIABLE: &str = "MEDALLION_STACK";

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stack {
    pub name: String,
    pub node_ip: String,
    /// Where pods reach a server of ours.
    pub host_ip: String,
    pub kubeconfig: PathBuf,
    pub kafka: Kafka,
    pub dynamodb: Endpoint,
    pub s3: Endpoint,
    /// Absent while the stand-in is not built.
    pub redshift: Option<Redshift>,
    /// AWS services that have no other part.
    pub moto: Endpoint,
    pub postgres: Postgres,
    pub aws: Aws,
    pub images: Images,
    /// A stack of an earlier build has none.
    #[serde(default)]
    pub functions: Functions,
    pub bin: Programs,
    /// Where a stack without a node has its garbage collector started: by making this file.
    pub garbage_collector: Option<PathBuf>,
    /// Folder that outlives the stack.
    pub logs: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kafka {
    /// The listener that takes everybody.
    pub bootstrap_servers: String,
    /// The secure ones, by name.
    pub listeners: BTreeMap<String, String>,
    /// Passwords by user.
    pub users: BTreeMap<String, String>,
    /// Folder of the certificates and keys for them.
    pub certificates: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Endpoint {
    pub endpoint: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Redshift {
    pub endpoint: String,
    pub workgroup_name: String,
    pub database: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Postgres {
    pub url: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Aws {
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    /// Access keys of workers, and of functions in their place, all with the same secret; the stand-ins do not know them.
    #[serde(default)]
    pub workers: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    pub medallion: Option<String>,
    pub dbt_purchases: Option<String>,
}

/// Programs of functions, as Lambda starts them.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Functions {
    pub gateway: Option<PathBuf>,
    pub exporter: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Programs {
    pub local: PathBuf,
    pub kubectl: PathBuf,
    pub helm: PathBuf,
    pub ctr: PathBuf,
    pub python: PathBuf,
    /// AWS's emulator of Lambda.
    #[serde(default)]
    pub lambda_rie: PathBuf,
}

impl Stack {
    pub fn from_environment() -> Result<Self> {
        let Some(path) = std::env::var_os(VARIABLE) else {
            bail!("{VARIABLE} does not name a stack.json; start this by `cargo local demo`, `test` or `bench`");
        };
        Self::read(Path::new(&path))
    }

    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not a stack.json", path.display()))
    }

    /// The stand-in; without it nothing reaches the warehouse.
    pub fn redshift(&self) -> Result<&Redshift> {
        self.redshift
            .as_ref()
            .context("the stack has no Redshift stand-in; `cargo local up` builds and starts it")
    }

    /// Where helm and kubectl may keep their caches: never the person's home.
    pub fn home(&self) -> PathBuf {
        self.kubeconfig
            .parent()
            .map_or_else(|| PathBuf::from("/tmp"), |folder| folder.join("tools"))
    }
}
