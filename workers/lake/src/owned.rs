//! A table as its writer has it: judged before it is touched, created or taken over with the owner's name in the log. Talks to object storage.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::datatypes::Schema;
use delta_kernel::KernelError;
use delta_kernel::committer::FileSystemCommitter;
use delta_kernel::transaction::create_table::create_table;
use delta_kernel::transaction::data_layout::DataLayout;
use delta_kernel::transaction::{CommitResult, UpdateTableOperation};
use object_store::{PutMode, PutPayload};
use serde_json::json;

use crate::error::LakeError;
use crate::owner::{Claim, Step, with_owner};
use crate::schema;
use crate::snapshot::{OWNER_PROPERTY, Snapshot};
use crate::table::{ENGINE_INFO, Table, blocking};

/// Taking a table over meets at most this many commits of others before it gives up.
const TRIES: usize = 10;
/// A position that is never written, but must be one that the table could hold.
const TRIAL_DOMAIN: &str = "medallion.trial";
/// The log's own clock inside commits, which an entry made by hand does not have.
const COMMIT_TIMESTAMPS: &str = "delta.enableInCommitTimestamps";

/// A handle for a writer: only through it is a table created or committed to, and never to another's. Cheap to clone.
#[derive(Clone)]
pub struct OwnedTable {
    table: Table,
    claim: Arc<Claim>,
}

impl Table {
    /// The table for a writer with this claim.
    #[must_use]
    pub fn claimed(&self, claim: &Claim) -> OwnedTable {
        OwnedTable {
            table: self.clone(),
            claim: Arc::new(claim.clone()),
        }
    }
}

impl OwnedTable {
    /// Opens the table, and creates it if there is none. Another's is refused; one to be adopted, or without an owner but
    /// with our positions, is taken over. Whoever loses a race to create it opens the winner's, if that is of the same
    /// owner.
    ///
    /// An existing table may have other columns beside the expected ones; columns that both have must have the same
    /// type, and the partition columns must be the same. Missing columns are added by the first commit that brings them
    /// ([`Snapshot::missing_columns`]).
    pub async fn open_or_create(&self, schema: &Schema, partition_columns: &[&str]) -> Result<Snapshot, LakeError> {
        let snapshot = match self.table.snapshot().await? {
            Some(snapshot) => snapshot,
            None => self.create(schema, partition_columns).await?,
        };
        // Whose it is comes first: how another's table is laid out is none of our business.
        self.claim.check(&snapshot)?;
        let differs = |reason: String| LakeError::TableDiffers {
            table: self.address().to_owned(),
            reason,
        };
        if snapshot.partition_columns() != partition_columns {
            let found = snapshot.partition_columns();
            return Err(differs(format!(
                "it is partitioned by {} instead of {}",
                listed(found),
                listed(partition_columns)
            )));
        }
        schema::table_fits(schema, snapshot.schema()).map_err(differs)?;
        self.take(snapshot).await
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
        let (table, claim) = (self.table.clone(), Arc::clone(&self.claim));
        let attempt = blocking(move || {
            table.make_folder()?;
            let engine = table.engine();
            let committed = create_table(table.address(), Arc::new(delta), ENGINE_INFO, false)
                .with_table_properties([
                    ("delta.feature.domainMetadata", "supported"),
                    (OWNER_PROPERTY, claim.own()),
                ])
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

    /// Refuses a version that names another owner, or none.
    pub(crate) fn check_owner(&self, snapshot: &Snapshot) -> Result<(), LakeError> {
        match self.claim.step(snapshot)? {
            Step::Write => Ok(()),
            Step::Take => Err(LakeError::BadChange(
                "the table must be opened by its writer before it is committed to".to_owned(),
            )),
        }
    }

    /// Makes a table that was found the claim's where that is to be: a commit of its own, which has one winner as every
    /// commit has. Another's is refused. So a writer of several tables looks at all of them ([`Claim::check`]) before it takes the first.
    pub async fn take(&self, mut snapshot: Snapshot) -> Result<Snapshot, LakeError> {
        for _ in 0..TRIES {
            if self.claim.step(&snapshot)? == Step::Write {
                return Ok(snapshot);
            }
            let entry = self.ownership_entry(&snapshot).await?;
            let version = snapshot.version() + 1;
            let put = self
                .objects()
                .put_opts(
                    &self.log_entry(version),
                    PutPayload::from(entry),
                    PutMode::Create.into(),
                )
                .await;
            let before = snapshot.owner().map(str::to_owned);
            // Done, lost to somebody, or the answer lost: the log knows.
            snapshot = self.existing().await?;
            match put {
                Ok(_) => tracing::info!(
                    table = self.address(),
                    from = before.as_deref().unwrap_or("nobody"),
                    version,
                    "table taken over"
                ),
                Err(object_store::Error::AlreadyExists { .. }) => {}
                Err(source) if snapshot.owner() != Some(self.claim.own()) => {
                    return Err(LakeError::Store {
                        what: format!("put {}", self.log_entry(version)),
                        source,
                    });
                }
                Err(_) => {}
            }
        }
        Err(LakeError::Internal(format!(
            "{} gets commits faster than it can be taken over",
            self.address()
        )))
    }

    /// The log's next entry, which says whose the table is. The log library cannot make one.
    async fn ownership_entry(&self, snapshot: &Snapshot) -> Result<String, LakeError> {
        let metadata = snapshot.kernel().table_configuration().metadata();
        if metadata
            .configuration()
            .get(COMMIT_TIMESTAMPS)
            .is_some_and(|value| value == "true")
        {
            return Err(LakeError::Unsupported {
                table: self.address().to_owned(),
                feature: "timestamps inside of commits".to_owned(),
            });
        }
        self.check_writable(snapshot).await?;
        let mut fields = serde_json::to_value(metadata).map_err(|error| LakeError::Internal(error.to_string()))?;
        fields["configuration"] = json!(with_owner(metadata.configuration(), self.claim.own()));
        let properties = json!({OWNER_PROPERTY: self.claim.own()}).to_string();
        let info = json!({"commitInfo": {
            "timestamp": milliseconds(SystemTime::now()),
            "operation": "SET TBLPROPERTIES",
            "operationParameters": {"properties": properties},
            "engineInfo": ENGINE_INFO,
        }});
        Ok(format!("{info}\n{}\n", json!({"metaData": fields})))
    }

    /// A table that uses what we do not know, or can hold no positions, cannot be written to, whoever made it: the log library
    /// refuses it, and it must not be taken over in vain.
    async fn check_writable(&self, snapshot: &Snapshot) -> Result<(), LakeError> {
        let (table, kernel) = (self.table.clone(), Arc::clone(snapshot.kernel()));
        blocking(move || {
            let built = kernel
                .update_table(UpdateTableOperation::Write, ENGINE_INFO, false)
                .with_domain_metadata(TRIAL_DOMAIN, "{}")
                .build(table.engine(), Box::new(FileSystemCommitter::new()));
            match built {
                Ok(_) => Ok(()),
                Err(KernelError::Unsupported(feature)) => Err(LakeError::Unsupported {
                    table: table.address().to_owned(),
                    feature: format!("what these writers cannot go on from ({feature})"),
                }),
                Err(other) => Err(LakeError::log(format!("prepare to take over {}", table.address()))(
                    other,
                )),
            }
        })
        .await
    }
}

impl Deref for OwnedTable {
    type Target = Table;

    fn deref(&self) -> &Table {
        &self.table
    }
}

impl fmt::Debug for OwnedTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OwnedTable")
            .field("table", &self.address())
            .field("own", &self.claim.own())
            .finish()
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Columns in words.
fn listed(columns: &[impl AsRef<str>]) -> String {
    let all: Vec<_> = columns.iter().map(AsRef::as_ref).collect();
    if all.is_empty() {
        "nothing".to_owned()
    } else {
        all.join(", ")
    }
}
