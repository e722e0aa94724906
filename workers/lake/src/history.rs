//! What the commits between two versions added and removed. Reads the log's entries from object storage.

use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use serde::Deserialize;

use crate::error::LakeError;
use crate::partition::{PartitionValues, normalised};
use crate::snapshot::DataFile;
use crate::table::Table;

const ENTRIES_IN_FLIGHT: usize = 16;

/// Files added and removed between two versions, in the order of the commits.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// Added, with the version that did.
    pub added: Vec<(u64, DataFile)>,
    /// Names of the removed, with the version that did.
    pub removed: Vec<(u64, String)>,
}

impl Table {
    /// What happened after one version, up to and including another.
    ///
    /// Reads the log's JSON entries, which stay until the log is cleaned up. If one is gone the answer is
    /// [`LakeError::LogGone`]: then the reader takes the whole snapshot at `until` and compares for itself.
    pub async fn changes(&self, after: u64, until: u64) -> Result<Changes, LakeError> {
        let entries = stream::iter(after + 1..=until)
            .map(|version| self.entry(version))
            .buffered(ENTRIES_IN_FLIGHT);
        entries
            .try_fold(Changes::default(), |mut all, one| async move {
                all.added.extend(one.added);
                all.removed.extend(one.removed);
                Ok(all)
            })
            .await
    }

    async fn entry(&self, version: u64) -> Result<Changes, LakeError> {
        let path = self.log_entry(version);
        let gone = || LakeError::LogGone {
            table: self.address().to_owned(),
            version,
        };
        let failed = || LakeError::store(format!("get {path}"));
        let found = match self.objects().get(&path).await {
            Err(object_store::Error::NotFound { .. }) => return Err(gone()),
            other => other.map_err(failed())?,
        };
        let text = found.bytes().await.map_err(failed())?;
        let mut changes = Changes::default();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let action: Action = serde_json::from_slice(line).map_err(|error| LakeError::Unsupported {
                table: self.address().to_owned(),
                feature: format!("log entry {version} that cannot be read ({error})"),
            })?;
            if let Some(add) = action.add {
                changes.added.push((version, self.added(add)?));
            }
            if let Some(remove) = action.remove {
                changes.removed.push((version, self.locate(&remove.path)?.0));
            }
        }
        Ok(changes)
    }

    fn added(&self, add: Add) -> Result<DataFile, LakeError> {
        let (name, url) = self.locate(&add.path)?;
        let rows = add
            .stats
            .and_then(|text| serde_json::from_str::<Statistics>(&text).ok()?.num_records);
        Ok(DataFile {
            name,
            url,
            size: add.size,
            rows,
            partition: normalised(&add.partition_values),
        })
    }
}

#[derive(Deserialize)]
struct Action {
    add: Option<Add>,
    remove: Option<Removed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Add {
    path: String,
    size: u64,
    #[serde(default)]
    partition_values: PartitionValues,
    stats: Option<String>,
}

#[derive(Deserialize)]
struct Removed {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    num_records: Option<u64>,
}
