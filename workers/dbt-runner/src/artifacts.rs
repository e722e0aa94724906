//! Keeps what is known of a run beside the tables: report, seconds of its parts, dbt's manifest, results and log. Writes to object storage.

use std::path::{Path, PathBuf};

use aws_config::SdkConfig;
use aws_sdk_s3::primitives::ByteStream;
use medallion_lake::S3Addressing;
use url::Url;

/// dbt's files in the scratch folder, and their names beside the tables.
const FILES: [(&str, &str); 3] = [
    ("target/manifest.json", "manifest.json"),
    ("target/run_results.json", "run_results.json"),
    ("logs/dbt.log", "dbt.log"),
];

/// Where artifacts go.
pub enum Keeper {
    /// Under a prefix of a bucket.
    S3 {
        /// Client.
        client: aws_sdk_s3::Client,
        /// Bucket.
        bucket: String,
        /// Prefix with a slash at its end.
        prefix: String,
    },
    /// Into a folder.
    Local(PathBuf),
}

impl Keeper {
    /// The place for an attempt's artifacts under a layer's address; `None` if the address is none.
    pub fn new(configuration: Option<&SdkConfig>, layer: &str, run_uid: &str, attempt: i32) -> Option<Self> {
        let url = Url::parse(layer).ok()?;
        let base = url.path().trim_matches('/');
        let folder = format!("_runs/{run_uid}/{attempt}/");
        let Some(configuration) = configuration else {
            return Some(Self::Local(url.to_file_path().ok()?.join(folder)));
        };
        Some(Self::S3 {
            client: S3Addressing::client(configuration),
            bucket: url.host_str()?.to_owned(),
            prefix: if base.is_empty() {
                folder
            } else {
                format!("{base}/{folder}")
            },
        })
    }

    /// Keeps the run's own files, and of dbt's what there is.
    pub async fn keep(&self, scratch: &Path, own: impl IntoIterator<Item = (&str, String)>) {
        for (name, text) in own {
            if let Err(reason) = self.put(name, text.into_bytes()).await {
                tracing::warn!(file = name, reason, "artifact not kept");
            }
        }
        for (path, name) in FILES {
            // A run that failed early has no results.
            let Ok(content) = tokio::fs::read(scratch.join(path)).await else {
                continue;
            };
            if let Err(reason) = self.put(name, content).await {
                tracing::warn!(file = name, reason, "artifact not kept");
            }
        }
    }

    async fn put(&self, name: &str, content: Vec<u8>) -> Result<(), String> {
        match self {
            Self::S3 { client, bucket, prefix } => {
                let request = client.put_object().bucket(bucket).key(format!("{prefix}{name}"));
                let sent = request.body(ByteStream::from(content)).send().await;
                sent.map(drop)
                    .map_err(|error| aws_sdk_s3::error::DisplayErrorContext(error).to_string())
            }
            Self::Local(folder) => {
                tokio::fs::create_dir_all(folder)
                    .await
                    .map_err(|error| error.to_string())?;
                tokio::fs::write(folder.join(name), content)
                    .await
                    .map_err(|error| error.to_string())
            }
        }
    }
}
