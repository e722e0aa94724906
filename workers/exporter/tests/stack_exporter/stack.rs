//! The local stack as these tests use it. Reads `stack.json`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use serde::Deserialize;

#[derive(Clone, Deserialize)]
pub struct Stack {
    pub dynamodb: Endpoint,
    pub s3: Endpoint,
    pub aws: Aws,
    pub bin: Programs,
}

#[derive(Clone, Deserialize)]
pub struct Endpoint {
    pub endpoint: String,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Aws {
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Programs {
    pub python: PathBuf,
    pub lambda_rie: PathBuf,
}

impl Stack {
    pub fn from_environment() -> Result<Self> {
        let path =
            std::env::var_os("MEDALLION_STACK").context("MEDALLION_STACK must name a running stack's stack.json")?;
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    pub fn dynamodb(&self) -> SdkConfig {
        self.configuration(&self.dynamodb)
    }

    pub fn s3(&self) -> SdkConfig {
        self.configuration(&self.s3)
    }

    fn configuration(&self, part: &Endpoint) -> SdkConfig {
        let credentials = Credentials::new(
            &self.aws.access_key_id,
            &self.aws.secret_access_key,
            None,
            None,
            "stack",
        );
        SdkConfig::builder()
            .region(Region::new(self.aws.region.clone()))
            .endpoint_url(&part.endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .behavior_version(BehaviorVersion::latest())
            .build()
    }
}
