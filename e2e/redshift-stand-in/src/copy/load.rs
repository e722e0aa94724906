//! Carries out one COPY inside the session's open transaction; reads from S3, writes to PostgreSQL.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures::SinkExt;
use jiff::Timestamp;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::columns::{TableColumn, parquet_type};
use super::failure::CopyError;
use super::manifest::{self, Entry};
use super::objects::Objects;
use super::rows::write_batch;
use crate::sql::copy::{CopyCommand, ObjectAddress};
use crate::warehouse::session::Session;
use crate::warehouse::system::COPY_COUNT_SETTING;

const ROWS_AT_ONCE: usize = 8_192;

pub struct CopyRun<'a> {
    pub session: &'a Session,
    pub objects: &'a Objects,
    pub command: &'a CopyCommand,
    pub query_id: i64,
}

/// What the load history tells of a COPY.
#[derive(Default)]
struct Loaded {
    rows: u64,
    bytes: usize,
    files: i64,
}

/// Leaves the number of loaded rows where `pg_last_copy_count()` finds it.
pub async fn load(run: CopyRun<'_>) -> Result<(), CopyError> {
    let began = Timestamp::now();
    let columns = run.table_columns().await?;
    let entries = run.manifest().await?;
    let mut loaded = Loaded::default();
    for entry in &entries {
        let Some((address, file)) = run.file(entry).await? else {
            continue;
        };
        loaded.rows += run.load_file(&address, &file, &columns).await?;
        loaded.bytes += file.len();
        loaded.files += 1;
    }
    if loaded.files == 0 {
        return Err(CopyError::NoFiles {
            manifest: run.command.manifest.to_string(),
            query_id: run.query_id,
        });
    }
    run.record(&loaded, began).await
}

impl CopyRun<'_> {
    /// The columns to fill, in the order of the file's columns.
    async fn table_columns(&self) -> Result<Vec<TableColumn>, CopyError> {
        const QUERY: &str = "SELECT attname::text, typname::text, atttypmod FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid \
                             WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
        let failed = |error| CopyError::Database(self.session.describe(&error));
        let mut all = Vec::new();
        for row in self
            .session
            .client
            .query(QUERY, &[&self.command.table])
            .await
            .map_err(failed)?
        {
            all.push(TableColumn {
                name: row.try_get(0).map_err(failed)?,
                type_name: row.try_get(1).map_err(failed)?,
                modifier: row.try_get(2).map_err(failed)?,
            });
        }
        if self.command.columns.is_empty() {
            return Ok(all);
        }
        let find = |name: &String| {
            all.iter()
                .find(|column| column.name == *name)
                .cloned()
                .ok_or_else(|| CopyError::UnknownColumn {
                    table: self.command.table.clone(),
                    column: name.clone(),
                })
        };
        self.command.columns.iter().map(find).collect()
    }

    async fn manifest(&self) -> Result<Vec<Entry>, CopyError> {
        let address = &self.command.manifest;
        let Some(bytes) = self.read(address).await? else {
            return Err(CopyError::NoManifest {
                key: address.key.clone(),
                query_id: self.query_id,
            });
        };
        let manifest = manifest::parse(&bytes).map_err(|error| CopyError::BadManifest {
            problem: format!("{address}: {error}"),
            query_id: self.query_id,
        })?;
        Ok(manifest.entries)
    }

    /// `None` for a missing file that is not mandatory.
    async fn file(&self, entry: &Entry) -> Result<Option<(ObjectAddress, Bytes)>, CopyError> {
        let query_id = self.query_id;
        let Some(meta) = entry.meta else {
            return Err(CopyError::NoContentLength {
                url: entry.url.clone(),
                query_id,
            });
        };
        let address = entry.address().ok_or_else(|| CopyError::BadManifest {
            problem: format!("'{}' is no s3:// address of an object", entry.url),
            query_id,
        })?;
        match self.read(&address).await? {
            None if entry.mandatory => Err(CopyError::MandatoryMissing {
                url: entry.url.clone(),
                query_id,
            }),
            None => Ok(None),
            Some(file) if u64::try_from(file.len()).is_ok_and(|length| length == meta.content_length) => {
                Ok(Some((address, file)))
            }
            Some(file) => Err(self.scan(
                15_001,
                format!(
                    "File '{}' has {} bytes, its manifest entry says content_length {}",
                    self.objects.public_url(&address),
                    file.len(),
                    meta.content_length
                ),
            )),
        }
    }

    async fn load_file(
        &self,
        address: &ObjectAddress,
        file: &Bytes,
        columns: &[TableColumn],
    ) -> Result<u64, CopyError> {
        let url = self.objects.public_url(address);
        let unreadable = |problem: &dyn std::fmt::Display| {
            self.scan(15_001, format!("File '{url}' cannot be read as Parquet: {problem}"))
        };
        // What the file's own schema says counts, not hints that an Arrow writer left in it.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file.clone(), options)
            .map_err(|error| unreadable(&error))?;
        self.check_columns(address, &builder, columns)?;
        let reader = builder
            .with_batch_size(ROWS_AT_ONCE)
            .build()
            .map_err(|error| unreadable(&error))?;

        let mut sink = pin!(
            self.session
                .client
                .copy_in::<_, Bytes>(&self.copy_statement(columns))
                .await
                .map_err(|error| self.database(&error))?
        );
        let mut output = BytesMut::new();
        for batch in reader {
            let batch = batch.map_err(|error| unreadable(&error))?;
            write_batch(&batch, columns, &mut output)
                .map_err(|error| self.scan(15_001, format!("{error}, File name: {url}")))?;
            if sink.send(output.split().freeze()).await.is_err() {
                // PostgreSQL has already refused the rows; the end of the copy tells why.
                break;
            }
        }
        sink.finish().await.map_err(|error| self.database(&error))
    }

    fn check_columns(
        &self,
        address: &ObjectAddress,
        file: &ParquetRecordBatchReaderBuilder<Bytes>,
        columns: &[TableColumn],
    ) -> Result<(), CopyError> {
        let url = self.objects.public_url(address);
        let found = file.schema().fields().len();
        let enough = found == columns.len() || (self.command.fill_record && found < columns.len());
        if !enough {
            let context = format!(
                "Unmatched number of columns between table and file. Table columns: {}, Data columns: {found}, File name: {url}",
                columns.len()
            );
            return Err(self.scan(15_007, context));
        }
        for (index, (field, column)) in file.schema().fields().iter().zip(columns).enumerate() {
            if !column.takes(field.data_type()) {
                let shown = if file.parquet_schema().num_columns() == found {
                    parquet_type(&file.parquet_schema().column(index), index)
                } else {
                    format!("nested {}", field.name())
                };
                let context = format!(
                    "File '{url}' has an incompatible Parquet schema for column '{address}.{}'. Column type: {}, Parquet schema:\n{shown}",
                    column.name,
                    column.redshift_type()
                );
                return Err(self.scan(15_007, context));
            }
        }
        Ok(())
    }

    fn copy_statement(&self, columns: &[TableColumn]) -> String {
        let names: Vec<_> = columns
            .iter()
            .map(|column| format!("\"{}\"", column.name.replace('"', "\"\"")))
            .collect();
        format!("COPY {} ({}) FROM STDIN", self.command.table, names.join(", "))
    }

    async fn record(&self, loaded: &Loaded, began: Timestamp) -> Result<(), CopyError> {
        const COUNT: &str = "SELECT set_config($1, $2, false)";
        const HISTORY: &str = "INSERT INTO redshift_stand_in.sys_load_history SELECT $1::bigint, $2::bigint, current_database(), 'completed', $3::text, \
                               $4::text::timestamp, $5::text::timestamp, $6::bigint, $7::text, 'parquet', $8::bigint, $9::bigint, $10::bigint, $9::bigint";
        let rows = i64::try_from(loaded.rows).unwrap_or(i64::MAX);
        let bytes = i64::try_from(loaded.bytes).unwrap_or(i64::MAX);
        let ended = Timestamp::now();
        let client = &self.session.client;
        client
            .execute(COUNT, &[&COPY_COUNT_SETTING, &rows.to_string()])
            .await
            .map_err(|error| self.database(&error))?;
        client
            .execute(
                HISTORY,
                &[
                    &self.query_id,
                    &self.session.process_id,
                    &self.command.table,
                    &began.to_string(),
                    &ended.to_string(),
                    &(ended.as_microsecond() - began.as_microsecond()),
                    &self.command.manifest.to_string(),
                    &rows,
                    &bytes,
                    &loaded.files,
                ],
            )
            .await
            .map_err(|error| self.database(&error))?;
        Ok(())
    }

    async fn read(&self, address: &ObjectAddress) -> Result<Option<Bytes>, CopyError> {
        self.objects.read(address).await.map_err(|error| CopyError::Storage {
            problem: error.to_string(),
            query_id: self.query_id,
        })
    }

    fn database(&self, error: &tokio_postgres::Error) -> CopyError {
        CopyError::Database(self.session.describe(error))
    }

    fn scan(&self, code: u32, context: String) -> CopyError {
        CopyError::Scan {
            code,
            context,
            query_id: self.query_id,
        }
    }
}
