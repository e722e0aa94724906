//! Reads whole objects; talks to S3, path-style.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, ResponseChecksumValidation};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata};
use bytes::Bytes;
use thiserror::Error;

use crate::sql::copy::ObjectAddress;

#[derive(Debug, Clone)]
pub struct ObjectSettings {
    pub endpoint: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
}

#[derive(Debug, Error)]
#[error("{address}: {problem}")]
pub struct ObjectError {
    address: String,
    problem: String,
}

#[derive(Debug, Clone)]
pub struct Objects {
    client: Client,
    pub region: String,
}

impl Objects {
    pub fn new(settings: &ObjectSettings) -> Self {
        let credentials = Credentials::new(
            &settings.access_key_id,
            &settings.secret_access_key,
            None,
            None,
            "settings",
        );
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&settings.endpoint)
            .region(Region::new(settings.region.clone()))
            .credentials_provider(credentials)
            .force_path_style(true)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Self {
            client: Client::from_conf(config),
            region: settings.region.clone(),
        }
    }

    /// `None` when there is no such object.
    pub async fn read(&self, address: &ObjectAddress) -> Result<Option<Bytes>, ObjectError> {
        let problem = |problem: String| ObjectError {
            address: address.to_string(),
            problem,
        };
        // Boxed: the SDK's futures are nested deeper than the compiler follows inside ours.
        let call = Box::pin(
            self.client
                .get_object()
                .bucket(&address.bucket)
                .key(&address.key)
                .send(),
        );
        let answer = match call.await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) => {
                let text = match (error.code(), error.message()) {
                    (Some(code), message) => format!("{code} {}", message.unwrap_or_default()),
                    _ => DisplayErrorContext(&error).to_string(),
                };
                return Err(problem(text));
            }
        };
        let body = answer
            .body
            .collect()
            .await
            .map_err(|error| problem(error.to_string()))?;
        Ok(Some(body.into_bytes()))
    }

    /// How Redshift's messages name a file.
    pub fn public_url(&self, address: &ObjectAddress) -> String {
        format!(
            "https://s3.{}.amazonaws.com/{}/{}",
            self.region, address.bucket, address.key
        )
    }
}
