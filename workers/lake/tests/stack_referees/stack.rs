//! The local stack's S3, a bucket of the test's own, and the referees. Talks to S3, starts Python.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use medallion_lake::{LakeStore, Snapshot};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub struct Stack {
    s3: Endpoint,
    aws: Aws,
    bin: Programs,
}

#[derive(Deserialize)]
struct Endpoint {
    endpoint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Aws {
    region: String,
    access_key_id: String,
    secret_access_key: String,
}

#[derive(Deserialize)]
struct Programs {
    python: PathBuf,
}

/// What one referee sees.
pub struct Seen {
    pub version: u64,
    pub partitions: Vec<String>,
    pub files: Vec<String>,
    pub rows: Vec<Value>,
}

impl Stack {
    pub fn from_environment() -> Result<Self> {
        let path =
            std::env::var_os("MEDALLION_STACK").context("MEDALLION_STACK must name a running stack's stack.json")?;
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    fn configuration(&self) -> SdkConfig {
        let credentials = Credentials::new(
            &self.aws.access_key_id,
            &self.aws.secret_access_key,
            None,
            None,
            "stack",
        );
        SdkConfig::builder()
            .region(Region::new(self.aws.region.clone()))
            .endpoint_url(&self.s3.endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .behavior_version(aws_config::BehaviorVersion::latest())
            .build()
    }

    pub fn store(&self) -> Result<LakeStore> {
        Ok(LakeStore::s3(&self.configuration())?)
    }

    /// A bucket of this test's own.
    pub async fn bucket(&self) -> Result<String> {
        let name = format!("lake-test-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let configuration = aws_sdk_s3::config::Builder::from(&self.configuration())
            .force_path_style(true)
            .build();
        aws_sdk_s3::Client::from_conf(configuration)
            .create_bucket()
            .bucket(&name)
            .send()
            .await?;
        Ok(name)
    }

    /// Both referees on one version; they must agree with each other.
    pub fn referees(&self, snapshot: &Snapshot, table: &str) -> Result<Seen> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stack_referees/referee.py");
        let output = Command::new(&self.bin.python)
            .arg(script)
            .args([
                &self.s3.endpoint,
                &self.aws.access_key_id,
                &self.aws.secret_access_key,
                &self.aws.region,
            ])
            .args([table, &snapshot.version().to_string()])
            .output()
            .context("cannot start the referees")?;
        if !output.status.success() {
            bail!("the referees failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let found: Value = serde_json::from_slice(&output.stdout)?;
        let (deltalake, duckdb) = (&found["deltalake"], &found["duckdb"]);
        ensure!(deltalake["rows"] == duckdb["rows"], "the referees disagree: {found:#}");
        Ok(Seen {
            version: serde_json::from_value(deltalake["version"].clone())?,
            partitions: serde_json::from_value(deltalake["partitions"].clone())?,
            files: serde_json::from_value(deltalake["files"].clone())?,
            rows: serde_json::from_value(deltalake["rows"].clone())?,
        })
    }
}
