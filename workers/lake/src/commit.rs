//! The commit: checks, one conditional write of the log, and the truth about how it ended. Talks to object storage.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::Schema;
use delta_kernel::committer::FileSystemCommitter;
use delta_kernel::engine_data::FilteredEngineData;
use delta_kernel::expressions::Scalar;
use delta_kernel::schema::{DataType, StructField};
use delta_kernel::snapshot::SnapshotRef;
use delta_kernel::transaction::{BoundWriteContext, CommitResult, Transaction, UpdateTableOperation, WriteState};
use delta_kernel::{FileMeta, KernelError, KernelResult};
use delta_kernel_default_engine::build_add_file_metadata;
use delta_kernel_default_engine::parquet::DataFileMetadata;
use futures::{TryStreamExt, stream};
use object_store::ObjectStoreExt;

use crate::change::{Change, Remove};
use crate::checkpoint;
use crate::error::LakeError;
use crate::file::NewFile;
use crate::identity;
use crate::owned::OwnedTable;
use crate::partition::PartitionValues;
use crate::schema;
use crate::snapshot::{DataFile, Snapshot};
use crate::table::{ENGINE_INFO, Table, blocking};

/// An append meets at most this many commits that do not concern it (compaction, a column) before it gives up.
const REBASES: usize = 10;
const LOOKS_IN_FLIGHT: usize = 16;

/// How a commit ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is the version of this snapshot.
    Committed(Snapshot),
    /// An earlier try, whose answer was lost, had made it. The snapshot is the newest version.
    AlreadyCommitted(Snapshot),
    /// Somebody else's commit stands in its place: the newest version has other positions, or other files where this
    /// change wanted to replace some. Nothing was changed.
    Conflict(Snapshot),
}

enum Attempt {
    Committed {
        snapshot: Option<SnapshotRef>,
        since_checkpoint: u64,
        version: u64,
    },
    Unclear(LakeError),
}

impl OwnedTable {
    /// Makes the change on top of the given version, as one commit.
    ///
    /// An append is moved on top of commits that leave its positions alone; a replacement never is. An error means that
    /// the log still stands at the base, so far as could be seen: the same change, not another one, should be tried
    /// again, because a lost request may yet arrive.
    pub async fn commit(&self, base: &Snapshot, change: &Change) -> Result<Outcome, LakeError> {
        self.check_owner(base)?;
        change.check(base)?;
        self.check_base(base).await?;
        self.check_files(base, change).await?;
        let change = Arc::new(change.clone());
        let mut base = base.clone();
        for _ in 0..REBASES {
            let (on, wanted) = (base.clone(), Arc::clone(&change));
            match blocking(move || attempt(&on, &wanted)).await? {
                Attempt::Committed {
                    snapshot,
                    since_checkpoint,
                    version,
                } => {
                    return self
                        .committed(&base, &change, snapshot, since_checkpoint, version)
                        .await
                        .map(Outcome::Committed);
                }
                Attempt::Unclear(cause) => {
                    let found = self.existing().await?;
                    // Whoever took the table over has the last word, also on what an append could be moved on top of.
                    self.check_owner(&found)?;
                    if change.is_in(&found) {
                        return Ok(Outcome::AlreadyCommitted(found));
                    }
                    if found.table_id() != base.table_id() || found.version() < base.version() {
                        return Err(self.replaced(&base));
                    }
                    if found.version() == base.version() {
                        return Err(cause);
                    }
                    if change.remove != Remove::Nothing || !change.starts_alike(&base, &found) {
                        return Ok(Outcome::Conflict(found));
                    }
                    tracing::debug!(
                        table = self.address(),
                        from = base.version(),
                        to = found.version(),
                        "append moved"
                    );
                    base = found;
                    fits(&base, &change)?;
                }
            }
        }
        Err(LakeError::Internal(format!(
            "{} gets commits faster than an append can follow",
            self.address()
        )))
    }

    async fn committed(
        &self,
        base: &Snapshot,
        change: &Change,
        kernel: Option<SnapshotRef>,
        since_checkpoint: u64,
        version: u64,
    ) -> Result<Snapshot, LakeError> {
        let mut positions = base.positions().clone();
        positions.extend(change.positions.clone());
        positions.retain(|domain, _| !change.forget.contains(domain));
        // The library's own snapshot carries the whole tail of the log along. After a checkpoint it is read anew.
        let table: Table = (**self).clone();
        let snapshot = match kernel.filter(|_| !checkpoint::is_behind(since_checkpoint)) {
            Some(kernel) => Snapshot::with_positions(self, kernel, positions)?,
            None => blocking(move || table.load(Some(version))).await?,
        };
        if checkpoint::is_due(since_checkpoint) {
            self.start_checkpoint(&snapshot);
        }
        Ok(snapshot)
    }

    /// A log that was deleted or made anew takes the next entry without a word, and no reader could make sense of it.
    async fn check_base(&self, base: &Snapshot) -> Result<(), LakeError> {
        let entry = self.log_entry(base.version());
        let failed = |source| LakeError::Store {
            what: format!("get {entry}"),
            source,
        };
        let found = match self.objects().get(&entry).await {
            Ok(found) => found.bytes().await.map_err(failed)?,
            Err(object_store::Error::NotFound { .. }) => return Err(self.replaced(base)),
            Err(source) => return Err(failed(source)),
        };
        if identity::is_of(&found, base.table_id(), base.positions()) {
            Ok(())
        } else {
            Err(self.replaced(base))
        }
    }

    fn replaced(&self, base: &Snapshot) -> LakeError {
        LakeError::TableReplaced {
            table: self.address().to_owned(),
            version: base.version(),
        }
    }

    /// The log accepts files of any schema, and files that do not exist. Readers do not.
    async fn check_files(&self, base: &Snapshot, change: &Change) -> Result<(), LakeError> {
        fits(base, change)?;
        stream::iter(change.add.iter().map(Ok))
            .try_for_each_concurrent(LOOKS_IN_FLIGHT, |file: &NewFile| async move {
                let missing = |reason: String| LakeError::MissingFile {
                    file: file.name().to_owned(),
                    reason,
                };
                match self.size_of(file.name()).await? {
                    Some(size) if size == file.size() => Ok(()),
                    Some(size) => Err(missing(format!("it has {size} bytes instead of {}", file.size()))),
                    None => Err(missing("it is not in the store".to_owned())),
                }
            })
            .await
    }
}

/// Checks each file's footer against the table as it will be after the change.
fn fits(base: &Snapshot, change: &Change) -> Result<(), LakeError> {
    let mut fields = base.schema().fields().to_vec();
    fields.extend(new_columns(base, change).map(|field| Arc::new(field.clone())));
    let table = Schema::new(fields);
    for file in &change.add {
        schema::file_fits(file.schema(), &table, base.partition_columns()).map_err(|reason| {
            LakeError::FileDiffers {
                file: file.name().to_owned(),
                reason,
            }
        })?;
    }
    Ok(())
}

/// The columns that the change wants and the table does not have yet; another commit may have brought some.
fn new_columns<'a>(base: &'a Snapshot, change: &'a Change) -> impl Iterator<Item = &'a arrow::datatypes::Field> {
    change
        .add_columns
        .iter()
        .filter(|field| base.schema().field_with_name(field.name()).is_err())
}

/// One try on one version. Blocks.
fn attempt(base: &Snapshot, change: &Change) -> Result<Attempt, LakeError> {
    let table = base.table();
    let failed = || LakeError::log(format!("prepare a commit to {}", table.address()));
    let removed = removed_files(base, change)?;
    let columns = new_columns(base, change)
        .map(schema::field_to_delta)
        .collect::<Result<Vec<_>, _>>()
        .map_err(LakeError::BadChange)?;
    let mut transaction = begin(base, change, columns).map_err(failed())?;
    if !change.add.is_empty() {
        let state = transaction.write_state().map_err(failed())?;
        for file in &change.add {
            add(&mut transaction, &state, base, file)?;
        }
    }
    for batch in removed {
        transaction.remove_files(batch);
    }
    Ok(match transaction.commit(table.engine()) {
        Ok(CommitResult::Committed(committed)) => Attempt::Committed {
            version: committed.commit_version(),
            since_checkpoint: committed.post_commit_stats().commits_since_checkpoint,
            snapshot: committed.post_commit_snapshot().cloned(),
        },
        Ok(CommitResult::Conflicted(conflicted)) => {
            let reason = format!("version {} exists already", conflicted.conflict_version());
            Attempt::Unclear(LakeError::log(format!("commit to {}", table.address()))(
                KernelError::generic(reason),
            ))
        }
        Ok(CommitResult::Retryable(retryable)) => Attempt::Unclear(LakeError::log(format!(
            "commit to {}",
            table.address()
        ))(retryable.error)),
        Err(error) => Attempt::Unclear(LakeError::log(format!("commit to {}", table.address()))(error)),
    })
}

fn begin(base: &Snapshot, change: &Change, columns: Vec<StructField>) -> KernelResult<Transaction> {
    let kernel = Arc::clone(base.kernel());
    let mut builder = kernel.update_table(UpdateTableOperation::Write, ENGINE_INFO, change.changes_rows());
    for column in columns {
        builder = builder.add_column(column);
    }
    for (domain, value) in &change.positions {
        builder = builder.with_domain_metadata(domain, value.to_string());
    }
    for domain in &change.forget {
        builder = builder.with_domain_metadata_removed(domain);
    }
    builder
        .with_operation_metrics([
            ("numFiles", Some(change.add.len().to_string())),
            ("numOutputRows", Some(change.rows().to_string())),
        ])
        .build(base.table().engine(), Box::new(FileSystemCommitter::new()))
}

fn add(
    transaction: &mut Transaction,
    state: &Arc<WriteState>,
    base: &Snapshot,
    file: &NewFile,
) -> Result<(), LakeError> {
    let failed = || LakeError::log(format!("describe file {}", file.name()));
    let context = context(state, base, file.partition())?;
    let meta = FileMeta::new(
        base.table().file_url(file.name())?,
        file.modified_milliseconds(),
        file.size(),
    );
    let metadata = DataFileMetadata::new(meta, file.statistics().clone());
    transaction.add_files(build_add_file_metadata(metadata, &context).map_err(failed())?);
    Ok(())
}

fn context(
    state: &Arc<WriteState>,
    base: &Snapshot,
    partition: &PartitionValues,
) -> Result<BoundWriteContext, LakeError> {
    let mut builder = state.write_context_builder();
    if !base.partition_columns().is_empty() {
        let schema = base.kernel().schema();
        let values = partition.iter().map(|(column, value)| {
            let data_type = schema.field(column).map(|field| field.data_type().clone());
            let Some(DataType::Primitive(primitive)) = data_type else {
                return Err(LakeError::BadChange(format!("{column} cannot be a partition column")));
            };
            let scalar = match value {
                None => Scalar::Null(DataType::Primitive(primitive)),
                Some(text) => primitive
                    .parse_scalar(text)
                    .map_err(|error| LakeError::BadChange(format!("partition value {text:?} of {column}: {error}")))?,
            };
            Ok((column.clone(), scalar))
        });
        builder = builder.with_partition_values(values.collect::<Result<_, _>>()?);
    }
    builder.build().map_err(LakeError::log("bind partition values"))
}

/// The batches of the log that name the files to remove, narrowed to them.
fn removed_files(base: &Snapshot, change: &Change) -> Result<Vec<FilteredEngineData>, LakeError> {
    let goes = |file: &DataFile| match &change.remove {
        Remove::Nothing => false,
        Remove::Everything => true,
        Remove::Partitions(touched) => touched.contains(&file.partition),
    };
    if change.remove == Remove::Nothing {
        return Ok(Vec::new());
    }
    let added: BTreeSet<&str> = change.add.iter().map(NewFile::name).collect();
    let mut batches = Vec::new();
    let mut error = None;
    base.scan(|batch, files| {
        if let Some(file) = files.iter().find(|file| added.contains(file.name.as_str())) {
            error = Some(LakeError::BadChange(format!(
                "file {} is part of the table already",
                file.name
            )));
        }
        match narrow(batch, &files, &goes) {
            Ok(narrowed) => batches.extend(narrowed),
            Err(found) => error = Some(found),
        }
    })?;
    error.map_or(Ok(batches), Err)
}

fn narrow(
    batch: FilteredEngineData,
    files: &[DataFile],
    goes: &impl Fn(&DataFile) -> bool,
) -> Result<Option<FilteredEngineData>, LakeError> {
    let (data, present) = batch.into_parts();
    let mut selected = vec![false; data.len()];
    // A selection vector may be shorter than the batch: the rest is selected.
    let rows = (0..data.len()).filter(|row| present.get(*row).copied().unwrap_or(true));
    let mut named = files.iter();
    for row in rows {
        let Some(file) = named.next() else {
            return Err(LakeError::Internal("the log names fewer files than rows".to_owned()));
        };
        selected[row] = goes(file);
    }
    if named.next().is_some() {
        return Err(LakeError::Internal("the log names more files than rows".to_owned()));
    }
    if !selected.contains(&true) {
        return Ok(None);
    }
    FilteredEngineData::try_new(data, selected)
        .map(Some)
        .map_err(LakeError::log("select files to remove"))
}
