//! A pipeline whose parts can be relied on: the wish as typed values, and what the user has to change. No network.

use jiff::Timestamp;
use medallion_crds::pipeline::{
    ConfigMapKeyRef, ContractSource, Flush, Glue, Kafka, Lake, Management, Provisioner, Redshift, RunsOn, SecretKeyRef,
    WarehouseTable,
};
use medallion_crds::{Reason, Stage};
use thiserror::Error;

use super::wish::StageWish;

/// A pipeline whose parts can be relied on by everything after validation.
#[derive(Clone, Debug)]
pub struct ValidatedPipeline {
    /// Namespace of the Pipeline and of all its children.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// When the object was made; runs that ended before it were another pipeline's of the name.
    pub created: Option<Timestamp>,
    /// Generation of the spec.
    pub generation: i64,
    /// Whether the object is being deleted.
    pub deleting: bool,
    /// Value of the annotation medallion.dev/requested-at.
    pub requested_at: Option<String>,
    /// What the pipeline may take over, each value once.
    pub adopt: Vec<String>,
    /// No new runs of any stage.
    pub suspend: bool,
    /// Who creates what the pipeline depends on.
    pub management: Management,
    /// Where an event's key, id and time stand.
    pub contract: ContractSource,
    /// The schema that admits new events.
    pub schema_ref: ConfigMapKeyRef,
    /// AWS region.
    pub region: String,
    /// Brokers and topics.
    pub kafka: Kafka,
    /// The DynamoDB table, and the Bronze table.
    pub table: String,
    /// Days after its record's time at which an item may be deleted; `None`: never.
    pub expire_after_days: Option<i32>,
    /// The buckets of the layers.
    pub lake: Lake,
    /// The warehouse; `None`: the pipeline ends at Gold.
    pub warehouse: Option<Warehouse>,
    /// Databases of the catalog; `None`: no table is registered.
    pub catalog: Option<Glue>,
    /// Image of the dbt project; `None` is a fault.
    pub dbt_image: Option<String>,
    /// Size and account of the provisioner.
    pub provisioner: Provisioner,
    /// The stages that the pipeline has, in the order of the table.
    pub stages: Vec<StageWish>,
    /// The gateway's bearer tokens; `None`: everybody may post.
    pub tokens: Option<SecretKeyRef>,
    /// Who writes Bronze.
    pub bronze_runs_on: RunsOn,
    /// When the exporter writes.
    pub flush: Flush,
    /// More dead letters than this make the pipeline unhealthy.
    pub dead_letter_budget: i64,
    /// How many succeeded runs of each batch stage are kept.
    pub successful_runs_history_limit: i32,
    /// How many failed runs of each batch stage are kept.
    pub failed_runs_history_limit: i32,
    /// What the user has to change.
    pub faults: Vec<Fault>,
}

/// Where Gold is loaded to, and what of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Warehouse {
    /// The database.
    pub redshift: Redshift,
    /// Tables and how each is loaded.
    pub tables: Vec<WarehouseTable>,
}

/// A reference that leads nowhere, or one that is not allowed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The stage that cannot work, while others are not affected; `None`: nothing of the pipeline is made or changed, but what is to
    /// pause or is no longer wanted ends.
    pub stage: Option<Stage>,
    /// The word for why.
    pub reason: Reason,
    /// What, where and what to do.
    pub message: String,
}

/// Why an object cannot be worked with at all; the API server lets none of these pass.
#[derive(Debug, Error)]
pub enum ValidateError {
    /// No namespace, name or UID.
    #[error("pipeline without {0}; the API server gives every stored object one")]
    Identity(&'static str),
    /// No warehouse.
    #[error("spec.warehouse.redshift: is required when type is Redshift")]
    Warehouse,
    /// No catalog.
    #[error("spec.catalog.glue: is required when type is Glue")]
    Catalog,
    /// No version of the contract.
    #[error("spec.contract.versions: holds no version")]
    Contract,
}

impl ValidatedPipeline {
    /// What the user wants of a stage; `None`: the pipeline does without it.
    pub fn wish(&self, stage: Stage) -> Option<&StageWish> {
        self.stages.iter().find(|wish| wish.stage == stage)
    }

    /// What keeps a stage from working until the user changes it.
    pub fn fault(&self, stage: Stage) -> Option<&Fault> {
        self.refusal()
            .or_else(|| self.faults.iter().find(|fault| fault.stage == Some(stage)))
    }

    /// What keeps the whole pipeline from being worked on until the user changes it.
    pub fn refusal(&self) -> Option<&Fault> {
        self.faults.iter().find(|fault| fault.stage.is_none())
    }
}
