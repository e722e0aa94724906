//! Buckets: verified, or created in the pipeline's region. Talks to S3.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::create_bucket::CreateBucketError;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use medallion_crds::pipeline::Management;
use medallion_lake::S3Addressing;

use crate::finding::{Finding, OR_MANAGED, said};

/// The region that may not be named when a bucket is created.
const UNNAMED_REGION: &str = "us-east-1";

/// Buckets of one account and region.
pub struct Buckets {
    client: Client,
    region: String,
    management: Management,
}

impl Buckets {
    /// Buckets as the configuration reaches them.
    pub fn new(configuration: &SdkConfig, management: Management) -> Self {
        let region = configuration.region().map(ToString::to_string).unwrap_or_default();
        Self {
            client: S3Addressing::client(configuration),
            region,
            management,
        }
    }

    /// Verifies a bucket, or creates it.
    pub async fn check(&self, bucket: &str) -> Finding {
        match self.look(bucket).await {
            Finding::Missing(_) if self.management == Management::Managed => self.create(bucket).await,
            finding => finding,
        }
    }

    async fn look(&self, bucket: &str) -> Finding {
        match self.client.head_bucket().bucket(bucket).send().await {
            Ok(found) => match found.bucket_region() {
                Some(region) if region != self.region => self.elsewhere(region),
                _ => Finding::Exists,
            },
            Err(error) => match error.raw_response().map(|response| response.status().as_u16()) {
                Some(404) => Finding::Missing(self.missing(bucket)),
                Some(301) => self.elsewhere("another region"),
                Some(403) => Finding::Differs(format!(
                    "access is denied: the bucket belongs to another account, or the identity of the provisioner lacks \
                     s3:ListBucket on arn:aws:s3:::{bucket}"
                )),
                _ => unknown(&error),
            },
        }
    }

    fn elsewhere(&self, region: &str) -> Finding {
        Finding::Differs(format!(
            "it is in {region} instead of {}: COPY reads only buckets of its own region; use another bucket name",
            self.region
        ))
    }

    fn missing(&self, bucket: &str) -> String {
        let constraint = if self.region == UNNAMED_REGION {
            String::new()
        } else {
            format!(" --create-bucket-configuration LocationConstraint={}", self.region)
        };
        format!(
            "the bucket is not there: aws s3api create-bucket --bucket {bucket} --region {}{constraint}, {OR_MANAGED}",
            self.region
        )
    }

    async fn create(&self, bucket: &str) -> Finding {
        let location = (self.region != UNNAMED_REGION).then(|| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(self.region.as_str()))
                .build()
        });
        match self
            .client
            .create_bucket()
            .bucket(bucket)
            .set_create_bucket_configuration(location)
            .send()
            .await
        {
            Ok(_) => Finding::Created(format!("created in {}", self.region)),
            Err(error) => {
                let service = error.as_service_error();
                if service.is_some_and(CreateBucketError::is_bucket_already_owned_by_you) {
                    // Somebody was faster, or the answer to an earlier try was lost.
                    Finding::Exists
                } else if service.is_some_and(CreateBucketError::is_bucket_already_exists) {
                    Finding::Differs("the name is taken by another account: use another bucket name".to_owned())
                } else {
                    Finding::Missing(format!("it could not be created: {}", said(&error)))
                }
            }
        }
    }
}

fn unknown<E>(error: &SdkError<E, aws_sdk_s3::config::http::HttpResponse>) -> Finding
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    Finding::Unknown(format!("s3 did not answer as it should: {}", said(error)))
}
