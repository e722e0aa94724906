//! Parquet files on their way into a table: encoded, measured, uploaded, not yet committed. Uploads to object storage.

use std::fs::File;
use std::io::Cursor;
use std::path::Path as LocalPath;
use std::sync::Arc;
use std::time::SystemTime;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use bytes::Bytes;
use delta_kernel::expressions::ColumnName;
use delta_kernel_default_engine::stats::FileStatsAccumulator;
use object_store::{ObjectStoreExt, PutMode, PutMultipartOptions, PutPayload, WriteMultipart};
use parquet::arrow::{ArrowWriter, parquet_to_arrow_schema};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::LakeError;
use crate::partition::{PartitionValues, is_plain_name, normalised};
use crate::schema;
use crate::table::{Table, blocking};

/// A row group holds at most this many rows and about as many bytes: enough for a reader to skip by, little enough to
/// be written and read in bounded memory.
const ROW_GROUP_ROWS: usize = 131_072;
const ROW_GROUP_BYTES: usize = 64 * 1024 * 1024;

/// Up to this size a file goes up in one conditional request, and is held in memory for it.
const ONE_REQUEST_BYTES: u64 = 64 * 1024 * 1024;
const PART_BYTES: usize = 16 * 1024 * 1024;
const PARTS_IN_FLIGHT: usize = 2;

/// Delta's own default for how many columns have statistics.
const COLUMNS_WITH_STATISTICS: usize = 32;

/// A file that lies under the table's root and is not part of the table yet.
#[derive(Clone, Debug)]
pub struct NewFile {
    name: String,
    size: u64,
    rows: u64,
    modified_milliseconds: i64,
    partition: PartitionValues,
    schema: Arc<Schema>,
    statistics: StructArray,
}

impl NewFile {
    /// Name under the table's root.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Rows, as the file's footer counts them.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The partition all rows belong to.
    pub fn partition(&self) -> &PartitionValues {
        &self.partition
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(crate) fn statistics(&self) -> &StructArray {
        &self.statistics
    }

    pub(crate) fn modified_milliseconds(&self) -> i64 {
        self.modified_milliseconds
    }
}

impl Table {
    /// Encodes the batches into one Parquet file and uploads it. The batches may hold the partition columns; they are
    /// left out of the file. The name must be new: made of what is written and of who writes it.
    pub async fn write_file(
        &self,
        name: &str,
        partition: &PartitionValues,
        batches: Vec<RecordBatch>,
    ) -> Result<NewFile, LakeError> {
        check_name(name)?;
        let partition = normalised(partition);
        let (file, columns) = (name.to_owned(), partition.clone());
        let encoded = blocking(move || encode(&file, &columns, &batches)).await?;
        let size = encoded.bytes.len() as u64;
        if size <= ONE_REQUEST_BYTES {
            self.put_new(name, encoded.bytes.into()).await?;
        } else {
            let content = Cursor::new(encoded.bytes);
            self.put_in_parts(name, size, content, LocalPath::new(name)).await?;
        }
        Ok(NewFile {
            name: name.to_owned(),
            size,
            rows: encoded.rows,
            modified_milliseconds: now(),
            partition,
            schema: Arc::new(encoded.schema),
            statistics: encoded.statistics,
        })
    }

    /// Uploads a local Parquet file that another engine wrote, with statistics from its footer. The name must be new.
    pub async fn register_file(
        &self,
        local: &LocalPath,
        name: &str,
        partition: &PartitionValues,
    ) -> Result<NewFile, LakeError> {
        check_name(name)?;
        let path = local.to_owned();
        let (footer, size) = blocking(move || read_footer(&path)).await?;
        let rows = footer_rows(name, &footer)?;
        let schema = footer_schema(name, &footer)?;
        let statistics = footer_statistics(rows, &schema, &footer);
        if size <= ONE_REQUEST_BYTES {
            let bytes = tokio::fs::read(local)
                .await
                .map_err(|source| local_file(local, source))?;
            self.put_new(name, bytes.into()).await?;
        } else {
            let content = tokio::fs::File::open(local)
                .await
                .map_err(|source| local_file(local, source))?;
            self.put_in_parts(name, size, content, local).await?;
        }
        Ok(NewFile {
            name: name.to_owned(),
            size,
            rows,
            modified_milliseconds: now(),
            partition: normalised(partition),
            schema: Arc::new(schema),
            statistics,
        })
    }

    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<(), LakeError> {
        let size = bytes.len() as u64;
        let put = self
            .objects()
            .put_opts(&self.object(name), PutPayload::from(bytes), PutMode::Create.into())
            .await;
        let Err(source) = put else {
            return Ok(());
        };
        if matches!(source, object_store::Error::AlreadyExists { .. }) {
            // The client repeats a request whose answer was lost, and then meets what it wrote itself. No other process
            // uses this name, so the size says it. Nothing there: the requests got into each other's way, and none is done.
            match self.size_of(name).await? {
                Some(found) if found == size => return Ok(()),
                Some(_) => return Err(LakeError::FileExists(name.to_owned())),
                None => {}
            }
        }
        Err(LakeError::Store {
            what: format!("put {name}"),
            source,
        })
    }

    /// Large files go up in parts, which the client cannot make conditional: their names are unique to this process, so
    /// looking first is enough.
    async fn put_in_parts(
        &self,
        name: &str,
        size: u64,
        content: impl AsyncRead + Unpin,
        from: &LocalPath,
    ) -> Result<(), LakeError> {
        match self.size_of(name).await? {
            Some(found) if found == size => return Ok(()),
            Some(_) => return Err(LakeError::FileExists(name.to_owned())),
            None => {}
        }
        let failed = || LakeError::store(format!("put {name} in parts"));
        let upload = self
            .objects()
            .put_multipart_opts(&self.object(name), PutMultipartOptions::default())
            .await
            .map_err(failed())?;
        let mut parts = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        match send(&mut parts, content, name, from).await {
            Ok(()) => parts.finish().await.map(drop).map_err(failed()),
            Err(error) => {
                // Parts that nobody completes or drops are kept, and paid for, for ever.
                if let Err(left) = parts.abort().await {
                    tracing::warn!(file = name, error = %left, "parts of a failed upload may be left in the bucket");
                }
                Err(error)
            }
        }
    }

    /// Size of an object under the table's root, if it is there.
    pub(crate) async fn size_of(&self, name: &str) -> Result<Option<u64>, LakeError> {
        match self.objects().head(&self.object(name)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(LakeError::Store {
                what: format!("head {name}"),
                source,
            }),
        }
    }
}

async fn send(
    parts: &mut WriteMultipart,
    mut content: impl AsyncRead + Unpin,
    name: &str,
    from: &LocalPath,
) -> Result<(), LakeError> {
    let mut buffer = vec![0_u8; 1024 * 1024];
    loop {
        let read = content
            .read(&mut buffer)
            .await
            .map_err(|source| local_file(from, source))?;
        if read == 0 {
            return Ok(());
        }
        parts
            .wait_for_capacity(PARTS_IN_FLIGHT)
            .await
            .map_err(LakeError::store(format!("put {name} in parts")))?;
        parts.write(&buffer[..read]);
    }
}

struct Encoded {
    bytes: Vec<u8>,
    rows: u64,
    schema: Schema,
    statistics: StructArray,
}

fn encode(name: &str, partition: &PartitionValues, batches: &[RecordBatch]) -> Result<Encoded, LakeError> {
    let broken = |reason: String| LakeError::Parquet {
        file: name.to_owned(),
        reason,
    };
    let Some(first) = batches.first() else {
        return Err(broken("there are no rows to write".to_owned()));
    };
    let full = first.schema();
    let kept: Vec<usize> = (0..full.fields().len())
        .filter(|index| !partition.contains_key(full.field(*index).name()))
        .collect();
    let written = full.project(&kept).map_err(|error| broken(error.to_string()))?;

    let delta = schema::to_delta(&written).map_err(broken)?;
    let columns: Vec<ColumnName> = written
        .fields()
        .iter()
        .take(COLUMNS_WITH_STATISTICS)
        .map(|field| ColumnName::new([field.name().as_str()]))
        .collect();
    let mut statistics = FileStatsAccumulator::new(&columns, &delta);

    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(
            ZstdLevel::try_new(1).map_err(|error| broken(error.to_string()))?,
        ))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, Arc::new(written), Some(properties))
        .map_err(|error| broken(error.to_string()))?;
    for batch in batches {
        let batch = batch.project(&kept).map_err(|error| broken(error.to_string()))?;
        statistics.merge(&batch).map_err(|error| broken(error.to_string()))?;
        writer.write(&batch).map_err(|error| broken(error.to_string()))?;
    }
    let footer = writer.close().map_err(|error| broken(error.to_string()))?;
    let statistics = statistics
        .finish()
        .map_err(|error| broken(error.to_string()))?
        .ok_or_else(|| broken("no statistics".to_owned()))?;
    let rows = footer_rows(name, &footer)?;
    let schema = footer_schema(name, &footer)?;
    Ok(Encoded {
        bytes,
        rows,
        schema,
        statistics,
    })
}

fn read_footer(path: &LocalPath) -> Result<(ParquetMetaData, u64), LakeError> {
    let file = File::open(path).map_err(|source| local_file(path, source))?;
    let size = file.metadata().map_err(|source| local_file(path, source))?.len();
    let footer = ParquetMetaDataReader::new()
        .parse_and_finish(&file)
        .map_err(|error| LakeError::Parquet {
            file: path.display().to_string(),
            reason: error.to_string(),
        })?;
    Ok((footer, size))
}

fn footer_rows(name: &str, footer: &ParquetMetaData) -> Result<u64, LakeError> {
    u64::try_from(footer.file_metadata().num_rows()).map_err(|_| LakeError::Parquet {
        file: name.to_owned(),
        reason: "the footer counts fewer than no rows".to_owned(),
    })
}

/// The schema as any reader sees it, without the hints that Arrow's own writers leave for Arrow's own readers.
fn footer_schema(name: &str, footer: &ParquetMetaData) -> Result<Schema, LakeError> {
    parquet_to_arrow_schema(footer.file_metadata().schema_descr(), None).map_err(|error| LakeError::Parquet {
        file: name.to_owned(),
        reason: error.to_string(),
    })
}

/// Row count and null counts. Bounds are left out: footers cut them in ways that Delta's rules do not know.
fn footer_statistics(rows: u64, schema: &Schema, footer: &ParquetMetaData) -> StructArray {
    let descriptor = footer.file_metadata().schema_descr();
    let mut fields = Vec::new();
    let mut counts: Vec<ArrayRef> = Vec::new();
    for field in schema.fields().iter().take(COLUMNS_WITH_STATISTICS) {
        let leaf = (0..descriptor.num_columns()).find(|index| {
            let path = descriptor.column(*index).path().parts().to_vec();
            path.len() == 1 && &path[0] == field.name()
        });
        let nulls = leaf.and_then(|leaf| {
            footer
                .row_groups()
                .iter()
                .map(|group| group.column(leaf).statistics().and_then(Statistics::null_count_opt))
                .sum::<Option<u64>>()
        });
        if let Some(nulls) = nulls.and_then(|nulls| i64::try_from(nulls).ok()) {
            fields.push(Field::new(field.name(), DataType::Int64, true));
            counts.push(Arc::new(Int64Array::from(vec![nulls])));
        }
    }
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    let mut columns: Vec<(Arc<Field>, ArrayRef)> = vec![(
        Arc::new(Field::new("numRecords", DataType::Int64, true)),
        Arc::new(Int64Array::from(vec![rows])),
    )];
    if !fields.is_empty() {
        let fields = Fields::from(fields);
        columns.push((
            Arc::new(Field::new("nullCount", DataType::Struct(fields.clone()), true)),
            Arc::new(StructArray::new(fields, counts, None)),
        ));
    }
    columns.push((
        Arc::new(Field::new("tightBounds", DataType::Boolean, true)),
        Arc::new(BooleanArray::from(vec![true])),
    ));
    StructArray::from(columns)
}

fn check_name(name: &str) -> Result<(), LakeError> {
    if is_plain_name(name) {
        return Ok(());
    }
    Err(LakeError::BadChange(format!(
        "file name {name:?} may hold only letters, digits, and -_=./ and must lie under the table's root"
    )))
}

fn local_file(path: &LocalPath, source: std::io::Error) -> LakeError {
    LakeError::LocalFile {
        path: path.display().to_string(),
        source,
    }
}

fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
