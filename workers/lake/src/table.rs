//! A table: opened, created, read at a version. Talks to object storage.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use delta_kernel::Snapshot as KernelSnapshot;
use delta_kernel::committer::FileSystemCommitter;
use delta_kernel::transaction::CommitResult;
use delta_kernel::transaction::create_table::create_table;
use delta_kernel::transaction::data_layout::DataLayout;
use futures::StreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use url::Url;

use crate::checkpoint::Checkpoints;
use crate::error::LakeError;
use crate::schema;
use crate::snapshot::Snapshot;
use crate::store::{Bucket, Engine};

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
    checkpoints: Checkpoints,
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
                checkpoints: Checkpoints::default(),
            }),
        })
    }

    /// The table's address, with a slash at its end.
    pub fn address(&self) -> &str {
        self.inner.url.as_str()
    }

    /// The newest version, or `None` if there is no table.
    pub async fn snapshot(&self) -> Result<Option<Snapshot>, LakeError> {
        match self.newest().await {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(LakeError::Log { .. }) if self.log_is_empty().await? => Ok(None),
            // The table may have come into being between the two looks.
            Err(LakeError::Log { .. }) => self.newest().await.map(Some),
            Err(error) => Err(error),
        }
    }

    async fn newest(&self) -> Result<Snapshot, LakeError> {
        let table = self.clone();
        blocking(move || table.load(None)).await
    }

    /// The newest version of a table that must exist.
    pub async fn existing(&self) -> Result<Snapshot, LakeError> {
        self.snapshot()
            .await?
            .ok_or_else(|| LakeError::NoTable(self.address().to_owned()))
    }

    /// A version of the past.
    pub async fn snapshot_at(&self, version: u64) -> Result<Snapshot, LakeError> {
        let table = self.clone();
        blocking(move || table.load(Some(version))).await
    }

    /// Opens the table, and creates it if there is none. Whoever loses a race to create it opens the winner's.
    ///
    /// An existing table may have other columns beside the expected ones; columns that both have must have the same
    /// type, and the partition columns must be the same. Missing columns are added by the first commit that brings them
    /// ([`Snapshot::missing_columns`]).
    pub async fn open_or_create(&self, schema: &Schema, partition_columns: &[&str]) -> Result<Snapshot, LakeError> {
        let snapshot = match self.snapshot().await? {
            Some(snapshot) => snapshot,
            None => self.create(schema, partition_columns).await?,
        };
        let differs = |reason: String| LakeError::TableDiffers {
            table: self.address().to_owned(),
            reason,
        };
        if snapshot.partition_columns() != partition_columns {
            let found = snapshot.partition_columns();
            return Err(differs(format!(
                "it is partitioned by {found:?} instead of {partition_columns:?}"
            )));
        }
        schema::table_fits(schema, snapshot.schema()).map_err(differs)?;
        Ok(snapshot)
    }

    async fn create(&self, schema: &Schema, partition_columns: &[&str]) -> Result<Snapshot, LakeError> {
        let delta = schema::to_delta(schema).map_err(|reason| LakeError::TableDiffers {
            table: self.address().to_owned(),
            reason,
        })?;
        let layout = match partition_columns {
            [] => DataLayout::None,
            columns => DataLayout::partitioned(columns.iter().copied()),
        };
        let table = self.clone();
        let attempt = blocking(move || {
            table.make_folder()?;
            let engine = table.engine();
            let committed = create_table(table.address(), Arc::new(delta), ENGINE_INFO, false)
                .with_table_properties([("delta.feature.domainMetadata", "supported")])
                .with_data_layout(layout)
                .build(engine, Box::new(FileSystemCommitter::new()))
                .and_then(|transaction| transaction.commit(engine));
            Ok(committed.map(|result| matches!(result, CommitResult::Committed(_))))
        })
        .await?;
        // Created, lost the race, or lost the answer: the log knows.
        match (self.snapshot().await?, attempt) {
            (Some(snapshot), _) => Ok(snapshot),
            (None, Err(source)) => Err(LakeError::log(format!("create {}", self.address()))(source)),
            (None, Ok(_)) => Err(LakeError::NoTable(self.address().to_owned())),
        }
    }

    /// The log library wants a local table's folder to exist; a bucket has no folders.
    fn make_folder(&self) -> Result<(), LakeError> {
        let Ok(folder) = self.inner.url.to_file_path() else {
            return Ok(());
        };
        std::fs::create_dir_all(&folder).map_err(|source| LakeError::LocalFile {
            path: folder.display().to_string(),
            source,
        })
    }

    /// Loads the newest or a given version. Blocks.
    pub(crate) fn load(&self, version: Option<u64>) -> Result<Snapshot, LakeError> {
        let mut builder = KernelSnapshot::builder_for(self.address());
        if let Some(version) = version {
            builder = builder.at_version(version);
        }
        let what = version.map_or_else(|| "newest version".to_owned(), |version| format!("version {version}"));
        let kernel = builder
            .build(self.engine())
            .map_err(LakeError::log(format!("load {what} of {}", self.address())))?;
        Snapshot::load(self, kernel)
    }

    async fn log_is_empty(&self) -> Result<bool, LakeError> {
        let prefix = self.log();
        match self.objects().list(Some(&prefix)).next().await {
            None => Ok(true),
            Some(Ok(_)) => Ok(false),
            Some(Err(source)) => Err(LakeError::Store {
                what: format!("list {prefix}"),
                source,
            }),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.bucket.engine
    }

    pub(crate) fn objects(&self) -> &dyn ObjectStore {
        self.inner.bucket.objects.as_ref()
    }

    pub(crate) fn checkpoints(&self) -> &Checkpoints {
        &self.inner.checkpoints
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

impl Snapshot {
    /// The columns of a schema that this version of the table does not have yet.
    pub fn missing_columns(&self, schema: &Schema) -> Vec<Field> {
        let known = |field: &Field| self.schema().field_with_name(field.name()).is_ok();
        schema
            .fields()
            .iter()
            .filter(|field| !known(field))
            .map(|field| field.as_ref().clone())
            .collect()
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
