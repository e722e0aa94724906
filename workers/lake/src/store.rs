//! The object stores behind the tables, one client per bucket. Opens connections when used.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use delta_kernel_default_engine::DefaultEngineBuilder;
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use tokio::runtime::{Handle, RuntimeFlavor};
use url::Url;

use crate::bucket::Bucket;
use crate::credentials::SdkCredentials;
use crate::error::LakeError;
use crate::s3::S3Addressing;
use crate::table::Table;

/// Log entries and checkpoints read ahead while a snapshot is loaded. The default of a thousand would hold as many
/// files of the log in memory.
const READ_AHEAD: NonZero<usize> = NonZero::new(16).expect("not zero");

/// Where tables live: S3 or, for tests and trials, the local file system.
#[derive(Clone)]
pub struct LakeStore {
    inner: Arc<Inner>,
}

struct Inner {
    kind: Kind,
    runtime: Handle,
    buckets: Mutex<HashMap<String, Bucket>>,
}

enum Kind {
    S3(S3),
    Local,
    Given(Arc<dyn ObjectStore>),
}

struct S3 {
    addressing: S3Addressing,
    credentials: Arc<SdkCredentials>,
}

impl LakeStore {
    /// S3 as an SDK configuration describes it ([`S3Addressing`]).
    pub fn s3(configuration: &SdkConfig) -> Result<Self, LakeError> {
        let provider = configuration
            .credentials_provider()
            .ok_or_else(|| LakeError::Internal("the aws configuration has no credentials provider".to_owned()))?;
        Self::new(Kind::S3(S3 {
            addressing: S3Addressing::of(configuration),
            credentials: Arc::new(SdkCredentials::new(provider)),
        }))
    }

    /// The local file system, for `file://` tables.
    pub fn local() -> Result<Self, LakeError> {
        Self::new(Kind::Local)
    }

    /// A store of the caller's own, whatever the scheme of the tables' addresses.
    pub fn given(objects: Arc<dyn ObjectStore>) -> Result<Self, LakeError> {
        Self::new(Kind::Given(objects))
    }

    fn new(kind: Kind) -> Result<Self, LakeError> {
        let runtime = Handle::try_current().map_err(|error| LakeError::Internal(error.to_string()))?;
        // The log library blocks inside the runtime and would panic in a current-thread one.
        if runtime.runtime_flavor() != RuntimeFlavor::MultiThread {
            return Err(LakeError::Internal(
                "the lake needs a multi-thread Tokio runtime".to_owned(),
            ));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                kind,
                runtime,
                buckets: Mutex::default(),
            }),
        })
    }

    /// The table at an address such as `s3://shop-bronze/purchase_orders`. Does not look whether it exists.
    pub fn table(&self, address: &str) -> Result<Table, LakeError> {
        let bad = |reason: String| LakeError::BadAddress {
            address: address.to_owned(),
            reason,
        };
        let mut url = Url::parse(address).map_err(|error| bad(error.to_string()))?;
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        if url.path() == "/" {
            return Err(bad("a table needs a folder of its own".to_owned()));
        }
        let bucket = self.bucket(&url).map_err(|error| match error {
            LakeError::BadAddress { reason, .. } => bad(reason),
            other => other,
        })?;
        Table::new(bucket, url)
    }

    /// The folders of a layer that may hold a table, by name. For looking whose they are before anything is written; what
    /// is in a table its log alone says.
    pub async fn tables(&self, layer: &str) -> Result<Vec<(String, Table)>, LakeError> {
        let bad = |reason: String| LakeError::BadAddress {
            address: layer.to_owned(),
            reason,
        };
        let url = Url::parse(layer).map_err(|error| bad(error.to_string()))?;
        let prefix = Path::from_url_path(url.path()).map_err(|error| bad(error.to_string()))?;
        let objects = self.bucket(&url)?.objects;
        let listed = objects
            .list_with_delimiter(Some(&prefix))
            .await
            .map_err(LakeError::store(format!("list {layer}")))?;
        // Folders with an underscore hold what is kept beside the tables.
        let names = listed.common_prefixes.iter().filter_map(Path::filename);
        let names = names.filter(|name| !name.starts_with('_'));
        names
            .map(|name| {
                let table = self.table(&format!("{}/{name}", layer.trim_end_matches('/')))?;
                Ok((name.to_owned(), table))
            })
            .collect()
    }

    pub(crate) fn bucket(&self, url: &Url) -> Result<Bucket, LakeError> {
        let name = url.host_str().unwrap_or_default().to_owned();
        let mut buckets = self.inner.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(&name) {
            return Ok(bucket.clone());
        }
        let bad = |reason: &str| LakeError::BadAddress {
            address: url.to_string(),
            reason: reason.to_owned(),
        };
        let objects: Arc<dyn ObjectStore> = match &self.inner.kind {
            Kind::S3(s3) if url.scheme() == "s3" && !name.is_empty() => Arc::new(s3.client(&name)?),
            Kind::S3(_) => return Err(bad("this store wants s3://bucket/folder")),
            Kind::Local if url.scheme() == "file" => Arc::new(LocalFileSystem::new()),
            Kind::Local => return Err(bad("this store wants file:///folder")),
            Kind::Given(objects) => Arc::clone(objects),
        };
        let executor = Arc::new(TokioMultiThreadExecutor::new(self.inner.runtime.clone()));
        let engine = DefaultEngineBuilder::new(Arc::clone(&objects))
            .with_task_executor(executor)
            .with_buffer_size(READ_AHEAD)
            .build();
        let bucket = Bucket {
            objects,
            engine: Arc::new(engine),
        };
        buckets.insert(name, bucket.clone());
        Ok(bucket)
    }
}

impl S3 {
    fn client(&self, bucket: &str) -> Result<AmazonS3, LakeError> {
        let retry = RetryConfig {
            max_retries: 4,
            retry_timeout: Duration::from_secs(30),
            ..RetryConfig::default()
        };
        let url = self.addressing.bucket_url(bucket)?;
        let client = ClientOptions::new()
            .with_connect_timeout(Duration::from_secs(3))
            .with_timeout(Duration::from_secs(30))
            .with_allow_http(url.starts_with("http://"));
        let builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(self.addressing.region())
            .with_credentials(Arc::clone(&self.credentials) as _)
            // What this calls virtual hosted is an endpoint that names the bucket already, be it by host or by path.
            .with_virtual_hosted_style_request(true)
            .with_endpoint(url)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_retry(retry)
            .with_client_options(client);
        builder
            .build()
            .map_err(LakeError::store(format!("cannot make a client for bucket {bucket}")))
    }
}

impl fmt::Debug for LakeStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.inner.kind {
            Kind::S3(_) => "s3",
            Kind::Local => "local",
            Kind::Given(_) => "given",
        };
        formatter
            .debug_struct("LakeStore")
            .field("kind", &kind)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use aws_config::Region;
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use object_store::signer::Signer;
    use rstest::rstest;

    use super::*;

    const OBJECT: &str = "orders/_delta_log/00000000000000000000.json";

    #[rstest]
    #[case::plain("eu-west-1", None, "shop-gold", "https://shop-gold.s3.eu-west-1.amazonaws.com/")]
    #[case::dotted(
        "eu-west-1",
        None,
        "gold.shop.example",
        "https://s3.eu-west-1.amazonaws.com/gold.shop.example/"
    )]
    #[case::china("cn-north-1", None, "shop-gold", "https://shop-gold.s3.cn-north-1.amazonaws.com.cn/")]
    #[case::dotted_in_china("cn-north-1", None, "shop.gold", "https://s3.cn-north-1.amazonaws.com.cn/shop.gold/")]
    #[case::own("eu-west-1", Some("http://s3:7070"), "shop-gold", "http://s3:7070/shop-gold/")]
    #[case::own_and_dotted("eu-west-1", Some("http://s3:7070"), "shop.gold", "http://s3:7070/shop.gold/")]
    #[tokio::test]
    async fn a_table_s_objects_have_the_url_of_their_bucket(
        #[case] region: &'static str,
        #[case] endpoint: Option<&str>,
        #[case] bucket: &str,
        #[case] expected: &str,
    ) {
        let provider = SharedCredentialsProvider::new(Credentials::new("key", "secret", None, None, "test"));
        let mut configuration = SdkConfig::builder().region(Region::new(region));
        configuration.set_endpoint_url(endpoint.map(str::to_owned));
        let s3 = S3 {
            addressing: S3Addressing::with(&configuration.build(), |_| None),
            credentials: Arc::new(SdkCredentials::new(provider)),
        };
        let client = s3.client(bucket).expect("a client");
        let lifetime = Duration::from_mins(1);
        let (method, path) = ("GET".parse().expect("a method"), Path::from(OBJECT));
        let mut url = client.signed_url(method, &path, lifetime).await.expect("a URL");
        url.set_query(None);
        assert_eq!(url.as_str(), format!("{expected}{OBJECT}"));
    }
}
