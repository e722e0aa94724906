//! Lends the worker's own identity to `DuckDB`. Resolves credentials over the network when asked.

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use medallion_crds::launch::LakeSettings;
use medallion_lake::{LakeError, S3Addressing};
use url::Url;

use crate::error::RunError;
use crate::protocol::Storage;

/// What `DuckDB` needs to read from S3 now: asked for before each step, so that temporary credentials do not grow old.
pub async fn storage(configuration: &SdkConfig, lake: &LakeSettings) -> Result<Storage, RunError> {
    let provider = configuration
        .credentials_provider()
        .ok_or_else(|| RunError::Credentials("the environment names no provider".to_owned()))?;
    let credentials = provider
        .provide_credentials()
        .await
        .map_err(|error| RunError::Credentials(error.to_string()))?;
    let addressing = S3Addressing::of(configuration);
    Ok(Storage {
        key_id: credentials.access_key_id().to_owned(),
        secret: credentials.secret_access_key().to_owned(),
        session_token: credentials.session_token().map(str::to_owned),
        region: addressing.region().to_owned(),
        endpoint: addressing.service_url()?,
        path_style: is_by_path(&addressing, lake)?,
    })
}

/// `DuckDB` has one style for all buckets: by path as soon as one of them needs it.
fn is_by_path(addressing: &S3Addressing, lake: &LakeSettings) -> Result<bool, LakeError> {
    let layers = [&lake.bronze_table, &lake.silver, &lake.gold];
    for url in layers.into_iter().filter_map(|layer| Url::parse(layer).ok()) {
        if addressing.is_by_path(url.host_str().unwrap_or_default())? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use aws_config::Region;

    use super::*;

    #[test]
    fn one_bucket_with_dots_puts_all_into_the_path() {
        let addressing = S3Addressing::of(&SdkConfig::builder().region(Region::new("eu-west-1")).build());
        let lake = |silver: &str| LakeSettings {
            bronze_table: "s3://shop-bronze/orders".to_owned(),
            silver: silver.to_owned(),
            gold: "s3://shop-gold".to_owned(),
        };
        assert!(!is_by_path(&addressing, &lake("s3://shop-silver")).expect("addresses"));
        assert!(is_by_path(&addressing, &lake("s3://silver.shop.example")).expect("addresses"));
    }
}
