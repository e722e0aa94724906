//! Lends the worker's own identity to `DuckDB`. Resolves credentials over the network when asked.

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;

use crate::error::RunError;
use crate::protocol::Storage;

/// What `DuckDB` needs to read from S3 now: asked for before each step, so that temporary credentials do not grow old.
pub async fn storage(configuration: &SdkConfig) -> Result<Storage, RunError> {
    let provider = configuration
        .credentials_provider()
        .ok_or_else(|| RunError::Credentials("the environment names no provider".to_owned()))?;
    let credentials = provider
        .provide_credentials()
        .await
        .map_err(|error| RunError::Credentials(error.to_string()))?;
    let endpoint = std::env::var("AWS_ENDPOINT_URL_S3").ok().filter(|url| !url.is_empty());
    let endpoint = endpoint.or_else(|| configuration.endpoint_url().map(str::to_owned));
    Ok(Storage {
        key_id: credentials.access_key_id().to_owned(),
        secret: credentials.secret_access_key().to_owned(),
        session_token: credentials.session_token().map(str::to_owned),
        region: configuration.region().map(ToString::to_string).unwrap_or_default(),
        // An endpoint of one's own has no name per bucket.
        path_style: endpoint.is_some() || worker_kit::aws::s3_path_style(),
        endpoint,
    })
}
