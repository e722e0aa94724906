//! Buckets: verified, or created in the pipeline's region. Talks to S3.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::create_bucket::CreateBucketError;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use medallion_crds::pipeline::Management;
use medallion_lake::S3Addressing;
use worker_kit::aws::said;

use crate::finding::{Finding, OR_MANAGED};

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
                     s3:ListBucket on the bucket {bucket}"
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

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::Credentials;
    use rstest::rstest;
    use wiremock::matchers::method;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    async fn checked(region: &'static str, status: u16) -> Finding {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status);
        Mock::given(method("HEAD")).respond_with(answer).mount(&server).await;
        let configuration = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
            .endpoint_url(server.uri())
            .load()
            .await;
        Buckets::new(&configuration, Management::External)
            .check("shop-bronze")
            .await
    }

    /// The partitions of AWS differ in how their resources are written, and a policy with those of another one grants nothing.
    #[rstest]
    #[tokio::test]
    async fn what_is_asked_for_holds_in_every_partition(
        #[values("eu-west-1", "cn-north-1", "us-gov-west-1")] region: &'static str,
    ) {
        let Finding::Differs(words) = checked(region, 403).await else {
            panic!("access is denied");
        };
        assert!(words.contains("s3:ListBucket on the bucket shop-bronze"), "{words}");
        let Finding::Missing(words) = checked(region, 404).await else {
            panic!("it is not there");
        };
        assert!(
            words.contains("--bucket shop-bronze") && words.contains(region),
            "{words}"
        );
        assert!(!words.contains("arn:"), "{words}");
    }
}
