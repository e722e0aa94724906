//! The Bronze table as the exporter's sink: a file per shard and date, one commit for all. Writes to S3.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::future::join_all;
use medallion_contract::{BronzeBatchBuilder, CONTRACT_DOMAIN, Contract, PARTITION_COLUMN, Rules};
use medallion_crds::Reason;
use medallion_lake::{Change, LakeError, NewFile, Outcome, OwnedTable, PartitionValues, Snapshot, partition_folder};
use uuid::Uuid;
use worker_kit::{ProgressHandle, WorkerError};

use crate::hold;
use crate::item::StreamRecord;
use crate::position::{Committed, Pending};
use crate::sequence::Sequence;
use crate::sink::{Flushed, Seen, Sink, SinkError};

/// Where a test can hold the exporter: its files are uploaded, its commit is not made.
pub const BETWEEN_PUT_AND_COMMIT: &str = "between-put-and-commit";

const UPLOADS_IN_FLIGHT: usize = 8;

/// Buffers rows per shard and commits them to the Bronze table.
pub struct BronzeSink {
    table: OwnedTable,
    contract: Arc<Contract>,
    schema: SchemaRef,
    /// Part of every file name and of every commit: no other process ever uses it.
    epoch: Uuid,
    base: Option<Snapshot>,
    has_rows: bool,
    shards: BTreeMap<String, Buffer>,
    unwritten: Vec<Unwritten>,
    written: Vec<NewFile>,
    /// Of the rows in the buffers.
    bytes: usize,
    /// Gets a beat after every round of uploads: a large commit takes long without being stuck.
    progress: Option<ProgressHandle>,
    /// Somebody else commits: that another version of the contract goes on here is theirs to note.
    observes: bool,
}

struct Buffer {
    rows: BronzeBatchBuilder,
    first: Sequence,
    last: Sequence,
}

struct Unwritten {
    name: String,
    partition: PartitionValues,
    batch: RecordBatch,
}

impl BronzeSink {
    /// A sink for a table that may not exist yet.
    pub fn new(table: OwnedTable, contract: Contract) -> Self {
        let schema = contract.bronze_table_schema();
        Self {
            table,
            contract: Arc::new(contract),
            schema,
            epoch: Uuid::new_v4(),
            base: None,
            has_rows: false,
            shards: BTreeMap::new(),
            unwritten: Vec::new(),
            written: Vec::new(),
            bytes: 0,
            progress: None,
            observes: false,
        }
    }

    /// The same sink, which shows in the process's progress that a large commit goes on.
    #[must_use]
    pub fn beating(mut self, progress: ProgressHandle) -> Self {
        self.progress = Some(progress);
        self
    }

    /// The same sink for a process that has handed the stream over: to begin, it commits nothing.
    #[must_use]
    pub fn observing(mut self) -> Self {
        self.observes = true;
        self
    }

    /// The table holds rows by earlier versions of the contract; this one may only add to them.
    fn goes_on_from(&self, table: &Snapshot) -> Result<(), SinkError> {
        let rules = rules_of(table);
        self.contract
            .adds_to(table.schema(), rules.as_ref())
            .map_err(|refused| {
                let message = format!(
                    "contract version {} does not go on from {}: {refused}",
                    self.contract.digest(),
                    self.table.address()
                );
                SinkError::End(WorkerError::settings(Reason::ContractNotAdditive, message))
            })
    }

    /// Writes down at once that another version of the contract goes on here, with the columns that it adds. Until its
    /// first rows came, a third version would otherwise be held against the one before it.
    async fn note_contract(&self, base: Snapshot) -> Result<Snapshot, SinkError> {
        let is_another = rules_of(&base).is_some_and(|rules| rules.digest() != self.contract.digest());
        if !is_another {
            return Ok(base);
        }
        let change = Change::append(Vec::new())
            .add_columns(base.missing_columns(&self.schema))
            .position(CONTRACT_DOMAIN, self.contract.rules().to_position());
        let outcome = self.table.commit(&base, &change).await;
        self.outcome(outcome)
    }

    /// The version that a commit has made.
    fn outcome(&self, outcome: Result<Outcome, LakeError>) -> Result<Snapshot, SinkError> {
        match outcome.map_err(|error| sink_error(&error))? {
            Outcome::Committed(snapshot) | Outcome::AlreadyCommitted(snapshot) => Ok(snapshot),
            Outcome::Conflict(found) => Err(SinkError::End(WorkerError::fenced(
                Reason::AnotherExporter,
                format!(
                    "another exporter has moved the positions of {} (version {}): this one ends without a commit",
                    self.table.address(),
                    found.version()
                ),
            ))),
        }
    }

    fn positions(&self, table: &Snapshot) -> Result<Committed, SinkError> {
        Committed::from_positions(table.positions()).map_err(|reason| {
            SinkError::End(WorkerError::loss_risk(
                Reason::UnknownPosition,
                format!(
                    "the positions in the log of {} cannot be read: {reason}; put the log back as it was, then delete this pod",
                    self.table.address()
                ),
            ))
        })
    }

    /// Rows that were added between two versions.
    async fn rows_since(&mut self, base: &Snapshot, found: &Snapshot) -> Result<u64, SinkError> {
        if base.table_id() != found.table_id() || base.version() > found.version() {
            // Whoever goes on after that has another table before it.
            self.base = None;
            return Err(sink_error(&LakeError::TableReplaced {
                table: self.table.address().to_owned(),
                version: base.version(),
            }));
        }
        match self.table.changes(base.version(), found.version()).await {
            Ok(changes) => Ok(changes.added.iter().filter_map(|(_, file)| file.rows).sum()),
            // Nobody looked for so long that the log was cleaned meanwhile.
            Err(LakeError::LogGone { .. }) => Ok(0),
            Err(error) => Err(sink_error(&error)),
        }
    }

    /// Turns the buffers into files to write. After a failure there is nothing in the buffers, and the files wait.
    fn close_buffers(&mut self) -> Result<(), SinkError> {
        self.bytes = 0;
        for (shard, mut buffer) in std::mem::take(&mut self.shards) {
            let partitions = buffer.rows.finish().map_err(|error| {
                SinkError::End(WorkerError::record(
                    Reason::RowsNotEncodable,
                    format!("rows of shard {shard}: {error}"),
                ))
            })?;
            for rows in partitions {
                let partition = PartitionValues::from([(PARTITION_COLUMN.to_owned(), Some(rows.part_date))]);
                let folder = partition_folder(&partition);
                let name = format!(
                    "{folder}/{}.parquet",
                    range(&shard, &buffer.first, &buffer.last, self.epoch)
                );
                self.unwritten.push(Unwritten {
                    name,
                    partition,
                    batch: rows.batch,
                });
            }
        }
        Ok(())
    }

    /// Uploads what waits, several files at a time: a commit has one for every shard that had something.
    async fn write_files(&mut self) -> Result<(), SinkError> {
        while !self.unwritten.is_empty() {
            let next = self.unwritten.len().saturating_sub(UPLOADS_IN_FLIGHT);
            let uploads = self.unwritten[next..].iter().map(|file| {
                self.table
                    .write_file(&file.name, &file.partition, vec![file.batch.clone()])
            });
            let ended = join_all(uploads).await;
            if let Some(progress) = &self.progress {
                progress.beat();
            }
            let mut failed = None;
            for (file, ended) in self.unwritten.split_off(next).into_iter().zip(ended) {
                match ended {
                    Ok(written) => self.written.push(written),
                    Err(error) => {
                        self.unwritten.push(file);
                        failed = Some(error);
                    }
                }
            }
            if let Some(error) = failed {
                return Err(sink_error(&error));
            }
        }
        Ok(())
    }
}

impl Sink for BronzeSink {
    async fn load(&mut self) -> Result<Committed, SinkError> {
        let base = match self.table.open_or_create(&self.schema, &[PARTITION_COLUMN]).await {
            Ok(base) => base,
            // A type that differs is the contract's; only the table itself says all that differs.
            Err(differs @ LakeError::TableDiffers { .. }) => match self.table.existing().await {
                Ok(found) => {
                    self.goes_on_from(&found)?;
                    return Err(sink_error(&differs));
                }
                Err(error) => return Err(sink_error(&error)),
            },
            Err(error) => return Err(sink_error(&error)),
        };
        self.goes_on_from(&base)?;
        let base = if self.observes {
            base
        } else {
            self.note_contract(base).await?
        };
        let committed = self.positions(&base)?;
        let files = base.files().await.map_err(|error| sink_error(&error))?;
        self.has_rows = !files.is_empty();
        self.base = Some(base);
        Ok(committed)
    }

    async fn look(&mut self) -> Result<Seen, SinkError> {
        let known = self.base.clone();
        if let Some(base) = &known
            && self.table.is_newest(base).await.map_err(|error| sink_error(&error))?
        {
            let committed = self.positions(base)?;
            return Ok(Seen { committed, news: None });
        }
        let found = self.table.snapshot().await.map_err(|error| sink_error(&error))?;
        let found = found.ok_or_else(|| SinkError::Retry(hold::nobodys(self.table.address())))?;
        let found = self.table.take(found).await.map_err(|error| sink_error(&error))?;
        self.goes_on_from(&found)?;
        let committed = self.positions(&found)?;
        let rows = match &known {
            Some(base) => self.rows_since(base, &found).await?,
            None => 0,
        };
        self.has_rows |= rows > 0;
        let version = found.version();
        self.base = Some(found);
        Ok(Seen {
            committed,
            news: (rows > 0).then_some(Flushed { version, rows }),
        })
    }

    fn discard(&mut self) {
        self.shards.clear();
        self.unwritten.clear();
        self.written.clear();
        self.bytes = 0;
        // What was uploaded stays where it is, and nothing that comes may be taken for it.
        self.epoch = Uuid::new_v4();
    }

    fn version(&self) -> Option<u64> {
        self.base.as_ref().filter(|_| self.has_rows).map(Snapshot::version)
    }

    fn append(&mut self, shard: &str, record: &StreamRecord) {
        let contract = &self.contract;
        let buffer = self.shards.entry(shard.to_owned()).or_insert_with(|| Buffer {
            rows: BronzeBatchBuilder::new(Arc::clone(contract)),
            first: record.sequence.clone(),
            last: record.sequence.clone(),
        });
        let before = buffer.rows.bytes();
        buffer.rows.append(&record.change(shard), record.payload.as_deref());
        self.bytes += buffer.rows.bytes() - before;
        buffer.last.clone_from(&record.sequence);
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    async fn commit(&mut self, pending: &Pending) -> Result<Flushed, SinkError> {
        let Some(base) = self.base.clone() else {
            return Err(SinkError::End(WorkerError::environment(
                Reason::LakeFailed,
                "internal: commit before load",
            )));
        };
        self.close_buffers()?;
        self.write_files().await?;
        if !self.written.is_empty() {
            worker_kit::hold_point(BETWEEN_PUT_AND_COMMIT).await;
        }
        let mut change = Change::append(self.written.clone()).add_columns(base.missing_columns(&self.schema));
        change.positions = pending.to_positions(&self.epoch.simple().to_string());
        change.forget = pending.to_forgotten().collect();
        let noted = rules_of(&base);
        if noted.is_none_or(|rules| rules.digest() != self.contract.digest()) {
            // Another process may have gone on by a newer version since this one looked.
            self.goes_on_from(&base)?;
            change = change.position(CONTRACT_DOMAIN, self.contract.rules().to_position());
        }
        let rows = change.rows();
        let outcome = self.table.commit(&base, &change).await;
        let snapshot = self.outcome(outcome)?;
        self.written.clear();
        let version = snapshot.version();
        self.has_rows |= rows > 0;
        self.base = Some(snapshot);
        Ok(Flushed { version, rows })
    }
}

/// The rules of the contract by which a table's rows are written; none before the first commit.
fn rules_of(table: &Snapshot) -> Option<Rules> {
    Rules::read(table.position(CONTRACT_DOMAIN))
}

/// Name of a file: the range it covers, and who wrote it.
fn range(shard: &str, first: &Sequence, last: &Sequence, epoch: Uuid) -> String {
    let plain: String = shard
        .chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character
            } else {
                '-'
            }
        })
        .collect();
    format!("{plain}-{first}-{last}-{}", epoch.simple())
}

fn sink_error(error: &LakeError) -> SinkError {
    let message = error.to_string();
    match error {
        LakeError::TableReplaced { .. } | LakeError::NoTable(_) => SinkError::End(WorkerError::loss_risk(
            Reason::BronzeTableReplaced,
            format!(
                "{message}. Put the table back as it was, then delete this pod; a pod that finds no table begins an empty one \
                 with what the stream still has"
            ),
        )),
        LakeError::TableDiffers { .. } => SinkError::End(WorkerError::settings(Reason::TableDiffers, message)),
        LakeError::OwnedByAnother { .. } => SinkError::End(WorkerError::record(Reason::OwnedByAnother, message)),
        LakeError::BadAddress { .. } => SinkError::End(WorkerError::settings(Reason::BadBronzeAddress, message)),
        _ if error.is_transient() => SinkError::Retry(WorkerError::environment(Reason::LakeUnavailable, message)),
        _ => SinkError::End(WorkerError::environment(Reason::LakeFailed, message)),
    }
}
