//! A table's handle: where it lies, and what its parts are called there. Opens no connections of its own.

use std::fmt;
use std::sync::{Arc, Mutex};

use object_store::ObjectStore;
use object_store::path::Path;
use tokio::task::JoinHandle;
use url::Url;

use crate::bucket::{Bucket, Engine};
use crate::error::LakeError;

/// Written into the log as the engine of each commit.
pub(crate) const ENGINE_INFO: &str = concat!("medallion/", env!("CARGO_PKG_VERSION"));

/// A handle on a table, whether it exists yet or not. Cheap to clone.
#[derive(Clone)]
pub struct Table {
    inner: Arc<Inner>,
}

struct Inner {
    bucket: Bucket,
    url: Url,
    root: Path,
    checkpoint: Mutex<Option<JoinHandle<()>>>,
}

impl Table {
    pub(crate) fn new(bucket: Bucket, url: Url) -> Result<Self, LakeError> {
        let root = Path::from_url_path(url.path()).map_err(|error| LakeError::BadAddress {
            address: url.to_string(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                bucket,
                url,
                root,
                checkpoint: Mutex::default(),
            }),
        })
    }

    /// The table's address, with a slash at its end.
    pub fn address(&self) -> &str {
        self.inner.url.as_str()
    }

    /// The log library wants a local table's folder to exist; a bucket has no folders.
    pub(crate) fn make_folder(&self) -> Result<(), LakeError> {
        let Ok(folder) = self.inner.url.to_file_path() else {
            return Ok(());
        };
        std::fs::create_dir_all(&folder).map_err(|source| LakeError::LocalFile {
            path: folder.display().to_string(),
            source,
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.bucket.engine
    }

    pub(crate) fn objects(&self) -> &dyn ObjectStore {
        self.inner.bucket.objects.as_ref()
    }

    /// The checkpoint that this process has begun last.
    pub(crate) fn checkpoint(&self) -> &Mutex<Option<JoinHandle<()>>> {
        &self.inner.checkpoint
    }

    /// Key of an object under the table's root.
    pub(crate) fn object(&self, name: &str) -> Path {
        name.split('/').fold(self.inner.root.clone(), Path::join)
    }

    pub(crate) fn log(&self) -> Path {
        self.object("_delta_log")
    }

    /// Key of the log's entry for a version.
    pub(crate) fn log_entry(&self, version: u64) -> Path {
        self.log().join(format!("{version:020}.json"))
    }

    /// Address of a new file under the table's root.
    pub(crate) fn file_url(&self, name: &str) -> Result<Url, LakeError> {
        self.inner.url.join(name).map_err(|error| LakeError::BadAddress {
            address: name.to_owned(),
            reason: error.to_string(),
        })
    }

    /// Decodes a path of the log, once: the name under the root and the whole address.
    pub(crate) fn locate(&self, path: &str) -> Result<(String, String), LakeError> {
        let bad = |reason: String| LakeError::BadAddress {
            address: path.to_owned(),
            reason,
        };
        let url = self.inner.url.join(path).map_err(|error| bad(error.to_string()))?;
        let key = Path::from_url_path(url.path()).map_err(|error| bad(error.to_string()))?;
        let key = key.as_ref();
        let address = format!("{}://{}/{key}", url.scheme(), url.host_str().unwrap_or_default());
        let root = self.inner.root.as_ref();
        let name = key.strip_prefix(root).map_or(key, |rest| rest.trim_start_matches('/'));
        Ok((name.to_owned(), address))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Table").field(&self.address()).finish()
    }
}

/// Runs blocking work beside the runtime's workers: the log library blocks, encoding computes.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LakeError> + Send + 'static,
) -> Result<T, LakeError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| LakeError::Internal(error.to_string()))?
}
