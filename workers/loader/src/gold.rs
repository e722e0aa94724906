//! Gold as the loader reads it: a table's files at two versions, the ends of its files, manifests. Talks to object storage.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use futures::{StreamExt, TryStreamExt, stream};
use medallion_lake::{DataFile, LakeError, LakeStore, S3Addressing, Snapshot, Table};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use worker_kit::aws::said;

use crate::column::Column;
use crate::error::LoadError;
use crate::identifier::Identifier;
use crate::layout::{Footer, GoldFile};
use crate::ledger::Mark;
use crate::statistics;

const READS_IN_FLIGHT: usize = 16;
/// The end of a file is read in one request if it is no longer than this.
const FOOTER_BYTES: u64 = 64 * 1024;

/// The layer.
#[derive(Clone, Debug)]
pub struct Gold {
    lake: LakeStore,
    objects: Client,
    /// The layer's root, without a slash at the end.
    root: String,
}

/// One table at the version to load.
#[derive(Clone, Debug)]
pub struct Wanted {
    table: Table,
    snapshot: Snapshot,
}

impl Wanted {
    /// Names of its columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.snapshot
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().as_str())
    }

    /// What the ledger will say.
    pub fn mark(&self) -> Mark {
        Mark {
            table_id: Some(self.snapshot.table_id().to_owned()),
            version: i64::try_from(self.snapshot.version()).unwrap_or(i64::MAX),
        }
    }
}

/// One table at the versions a run is about.
#[derive(Clone, Debug)]
pub struct GoldTable {
    /// All columns, the partition columns included.
    pub columns: Vec<Column>,
    /// The partition columns.
    pub partition_columns: Vec<Identifier>,
    /// The files of the version to load.
    pub wanted: Vec<DataFile>,
    /// The version already loaded; `None` if there is none or the log has forgotten it.
    pub loaded: Option<Loaded>,
}

/// The version of a table that the warehouse holds.
#[derive(Clone, Debug)]
pub struct Loaded {
    columns: Vec<String>,
    /// Its files.
    pub files: Vec<DataFile>,
}

impl Loaded {
    /// Names of its columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(String::as_str)
    }
}

impl Gold {
    /// The layer at an address such as `s3://shop-gold`.
    pub fn new(configuration: &SdkConfig, root: &str) -> Result<Self, LoadError> {
        let lake = LakeStore::s3(configuration).map_err(LoadError::lake("*"))?;
        Ok(Self {
            lake,
            objects: S3Addressing::client(configuration),
            root: root.trim_end_matches('/').to_owned(),
        })
    }

    /// A table at a version.
    pub async fn open(&self, name: &Identifier, version: i64) -> Result<Wanted, LoadError> {
        let failed = || LoadError::lake(name.as_str());
        let address = format!("{}/{}", self.root, name.as_str());
        let table = self.lake.table(&address).map_err(failed())?;
        let snapshot = table.snapshot_at(unsigned(version)).await.map_err(failed())?;
        Ok(Wanted { table, snapshot })
    }

    /// The files of a table, and those of the version already loaded, if that is one of the same table.
    pub async fn table(&self, name: &Identifier, wanted: &Wanted, base: Option<&Mark>) -> Result<GoldTable, LoadError> {
        let failed = || LoadError::lake(name.as_str());
        let Wanted { table, snapshot } = wanted;
        let columns = snapshot
            .schema()
            .fields()
            .iter()
            .map(|field| Column::from_arrow(name.as_str(), field));
        let partition_columns = snapshot
            .partition_columns()
            .iter()
            .map(|column| Identifier::new(column));
        let loaded = match base.filter(|base| base.is_of_the_table_of(&wanted.mark())) {
            None => None,
            Some(Mark { version: base, .. }) => match table.snapshot_at(unsigned(*base)).await {
                Ok(snapshot) => Some(Loaded {
                    columns: snapshot
                        .schema()
                        .fields()
                        .iter()
                        .map(|field| field.name().clone())
                        .collect(),
                    files: snapshot.files().await.map_err(failed())?,
                }),
                // The newer version could be read, so the store works: what is missing is the old entry.
                Err(error @ (LakeError::Log { .. } | LakeError::LogGone { .. })) => {
                    tracing::warn!(table = name.as_str(), base, %error, "the loaded version is gone from the log, the whole table is loaded");
                    None
                }
                Err(error) => return Err(failed()(error)),
            },
        };
        Ok(GoldTable {
            columns: columns.collect::<Result<_, _>>()?,
            partition_columns: partition_columns.collect::<Result<_, _>>()?,
            wanted: snapshot.files().await.map_err(failed())?,
            loaded,
        })
    }

    /// Looks at the end of each file: its columns in order, its rows, what its statistics prove.
    pub async fn look_at(&self, table: &Identifier, files: Vec<DataFile>) -> Result<Vec<GoldFile>, LoadError> {
        stream::iter(files)
            .map(|file| async move {
                let footer = self.footer(table, &file).await?;
                Ok(GoldFile { file, footer })
            })
            .buffered(READS_IN_FLIGHT)
            .try_collect()
            .await
    }

    async fn footer(&self, table: &Identifier, file: &DataFile) -> Result<Footer, LoadError> {
        let lost = |reason: String| LoadError::FileLost {
            table: table.as_str().to_owned(),
            url: file.url.clone(),
            reason,
        };
        let mut reader = ParquetMetaDataReader::new();
        let mut length = FOOTER_BYTES.min(file.size);
        loop {
            let bytes = self.tail(table, file, length).await?;
            match reader.try_parse_sized(&bytes, file.size) {
                Ok(()) => break,
                // Only ever grows, and never beyond the file: the loop ends.
                Err(ParquetError::NeedMoreData(more)) if (length + 1..=file.size).contains(&(more as u64)) => {
                    length = more as u64;
                }
                Err(error) => return Err(lost(error.to_string())),
            }
        }
        let metadata = reader.finish().map_err(|error| lost(error.to_string()))?;
        read_footer(table, &metadata).map_err(|error| match error {
            FooterError::Parquet(error) => lost(error.to_string()),
            FooterError::Column(error) => error,
        })
    }

    async fn tail(&self, table: &Identifier, file: &DataFile, length: u64) -> Result<bytes::Bytes, LoadError> {
        let failed = |reason: String| LoadError::Store {
            what: format!("read the end of {}", file.url),
            reason,
        };
        let lost = |reason: &str| LoadError::FileLost {
            table: table.as_str().to_owned(),
            url: file.url.clone(),
            reason: reason.to_owned(),
        };
        let (bucket, key) = address(&file.url).ok_or_else(|| lost("it does not lie in a bucket"))?;
        let from = file.size.saturating_sub(length);
        let found = self
            .objects
            .get_object()
            .bucket(bucket)
            .key(key)
            .range(format!("bytes={from}-"))
            .send()
            .await;
        let found = match found {
            Ok(found) => found,
            Err(error) if is_gone(&error) => return Err(lost("it is not there")),
            Err(error) => return Err(failed(said(&error))),
        };
        let bytes = found
            .body
            .collect()
            .await
            .map_err(|error| failed(error.to_string()))?
            .into_bytes();
        if bytes.len() as u64 == length {
            Ok(bytes)
        } else {
            Err(lost(&format!(
                "it has {} bytes instead of {}",
                from + bytes.len() as u64,
                file.size
            )))
        }
    }

    /// Writes an object under the layer's root.
    pub async fn put(&self, address_text: &str, text: String) -> Result<(), LoadError> {
        let failed = |reason: String| LoadError::Store {
            what: format!("write {address_text}"),
            reason,
        };
        let (bucket, key) = address(address_text).ok_or_else(|| failed("it does not lie in a bucket".to_owned()))?;
        self.objects
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type("application/json")
            .body(ByteStream::from(text.into_bytes()))
            .send()
            .await
            .map_err(|error| failed(said(&error)))?;
        Ok(())
    }

    /// The layer's root.
    pub fn root(&self) -> &str {
        &self.root
    }
}

/// Versions are never negative; one that is could not be found in any log.
fn unsigned(version: i64) -> u64 {
    u64::try_from(version).unwrap_or(u64::MAX)
}

fn address(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("s3://")?.split_once('/')
}

fn is_gone<R>(error: &SdkError<GetObjectError, R>) -> bool {
    error
        .as_service_error()
        .is_some_and(|error| error.is_no_such_key() || error.code() == Some("InvalidRange"))
}

enum FooterError {
    Parquet(ParquetError),
    Column(LoadError),
}

fn read_footer(table: &Identifier, metadata: &ParquetMetaData) -> Result<Footer, FooterError> {
    let schema: Arc<Schema> =
        Arc::new(parquet_to_arrow_schema(metadata.file_metadata().schema_descr(), None).map_err(FooterError::Parquet)?);
    let columns: Vec<Column> = schema
        .fields()
        .iter()
        .map(|field| Column::from_arrow(table.as_str(), field))
        .collect::<Result<_, _>>()
        .map_err(FooterError::Column)?;
    let constants: BTreeMap<Identifier, String> = columns
        .iter()
        .enumerate()
        .filter_map(|(place, column)| Some((column.name.clone(), statistics::constant(metadata, place, column.kind)?)))
        .collect();
    let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default();
    Ok(Footer {
        rows,
        columns,
        constants,
    })
}
