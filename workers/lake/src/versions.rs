//! Opens versions of a table. Reads object storage.

use delta_kernel::Snapshot as KernelSnapshot;
use futures::StreamExt;
use object_store::ObjectStoreExt;

use crate::error::LakeError;
use crate::snapshot::Snapshot;
use crate::table::{Table, blocking};

impl Table {
    /// The newest version, or `None` if there is no table.
    pub async fn snapshot(&self) -> Result<Option<Snapshot>, LakeError> {
        // Looked for first: the log library takes a log that is not there for an error, and logs it as one.
        if self.log_is_empty().await? {
            return Ok(None);
        }
        let table = self.clone();
        blocking(move || table.load(None)).await.map(Some)
    }

    /// The newest version of a table that must exist.
    pub async fn existing(&self) -> Result<Snapshot, LakeError> {
        self.snapshot()
            .await?
            .ok_or_else(|| LakeError::NoTable(self.address().to_owned()))
    }

    /// Whether no commit has been made behind a version. One request; nothing is read of a log that has not moved.
    pub async fn is_newest(&self, snapshot: &Snapshot) -> Result<bool, LakeError> {
        let next = self.log_entry(snapshot.version() + 1);
        match self.objects().head(&next).await {
            Ok(_) => Ok(false),
            Err(object_store::Error::NotFound { .. }) => Ok(true),
            Err(source) => Err(LakeError::Store {
                what: format!("head {next}"),
                source,
            }),
        }
    }

    /// A version of the past.
    pub async fn snapshot_at(&self, version: u64) -> Result<Snapshot, LakeError> {
        let table = self.clone();
        blocking(move || table.load(Some(version))).await
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
}
