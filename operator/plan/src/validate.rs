//! Checks once what the schema cannot: references into the operator's own configuration. No network.

use kube::ResourceExt;
use medallion_crds::pipeline::Redshift;
use medallion_crds::{Pipeline, PipelineSpec, PipelineStatus, REQUESTED_AT_ANNOTATION, Stage, Worker};
use thiserror::Error;

use crate::config::OperatorConfig;
use crate::names;

/// A pipeline whose parts can be relied on by everything after this step.
#[derive(Clone, Debug)]
pub struct ValidatedPipeline {
    /// Namespace of the Pipeline and of all its children.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Generation of the spec.
    pub generation: i64,
    /// The wish.
    pub spec: PipelineSpec,
    /// What was true when the status was last written.
    pub status: PipelineStatus,
    /// Value of the annotation medallion.dev/requested-at.
    pub requested_at: Option<String>,
    /// Whether the object is being deleted.
    pub deleting: bool,
    /// The warehouse.
    pub redshift: Redshift,
    /// Image of the dbt project; `None` is a fault.
    pub dbt_image: Option<String>,
    /// What the user has to change.
    pub faults: Vec<Fault>,
}

/// A reference that leads nowhere: other stages are not affected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The stage that cannot work.
    pub stage: Stage,
    /// CamelCase word for why.
    pub reason: &'static str,
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
}

impl ValidatedPipeline {
    /// Checks a pipeline against the operator's configuration.
    pub fn new(pipeline: &Pipeline, config: &OperatorConfig) -> Result<Self, ValidateError> {
        let spec = pipeline.spec.clone();
        let dbt_image = config.images.dbt_projects.get(&spec.dbt.project).cloned();
        let mut faults = service_account_faults(&spec, &config.service_account_prefix);
        if dbt_image.is_none() {
            let allowed: Vec<_> = config.images.dbt_projects.keys().map(String::as_str).collect();
            let message = format!(
                "spec.dbt.project: no dbt project {} on the operator's list; use one of [{}] or have it added to the Helm value dbtProjects",
                spec.dbt.project,
                allowed.join(", "),
            );
            for stage in [Stage::Silver, Stage::Gold] {
                faults.push(Fault {
                    stage,
                    reason: "DbtProjectNotAllowed",
                    message: message.clone(),
                });
            }
        }
        Ok(Self {
            namespace: pipeline.namespace().ok_or(ValidateError::Identity("namespace"))?,
            name: pipeline.metadata.name.clone().ok_or(ValidateError::Identity("name"))?,
            uid: pipeline.uid().ok_or(ValidateError::Identity("uid"))?,
            generation: pipeline.metadata.generation.unwrap_or_default(),
            status: pipeline.status.clone().unwrap_or_default(),
            requested_at: pipeline
                .annotations()
                .get(REQUESTED_AT_ANNOTATION)
                .filter(|value| !value.is_empty())
                .cloned(),
            deleting: pipeline.metadata.deletion_timestamp.is_some(),
            redshift: spec.warehouse.redshift.clone().ok_or(ValidateError::Warehouse)?,
            spec,
            dbt_image,
            faults,
        })
    }

    /// What keeps a stage from working until the user changes it.
    pub fn fault(&self, stage: Stage) -> Option<&Fault> {
        self.faults.iter().find(|fault| fault.stage == stage)
    }

    /// Service account of a stage's pods: the named one, or the one made for the worker.
    pub fn service_account(&self, stage: Stage) -> String {
        named_service_account(&self.spec, stage).unwrap_or_else(|| names::child(&self.name, stage.worker()))
    }

    /// Whether the service account made for a worker is used by any of its stages.
    pub fn makes_service_account(&self, worker: Worker) -> bool {
        let mut stages = Stage::ALL
            .into_iter()
            .filter(|stage| stage.worker() == worker)
            .peekable();
        stages.peek().is_none() || stages.any(|stage| named_service_account(&self.spec, stage).is_none())
    }
}

fn named_service_account(spec: &PipelineSpec, stage: Stage) -> Option<String> {
    let stages = &spec.stages;
    match stage {
        Stage::Ingest => stages.ingest.service_account_name.clone(),
        Stage::Persist => stages.persist.service_account_name.clone(),
        Stage::Bronze => stages.bronze.service_account_name.clone(),
        Stage::Silver => stages.silver.service_account_name.clone(),
        Stage::Gold => stages.gold.service_account_name.clone(),
        Stage::Warehouse => stages.warehouse.service_account_name.clone(),
    }
}

fn service_account_faults(spec: &PipelineSpec, prefix: &str) -> Vec<Fault> {
    Stage::ALL
        .into_iter()
        .filter_map(|stage| {
            let name = named_service_account(spec, stage).filter(|name| !name.starts_with(prefix))?;
            Some(Fault {
                stage,
                reason: "ServiceAccountNotAllowed",
                message: format!(
                    "spec.stages.{stage}.serviceAccountName: {name} does not begin with {prefix}; name an account that does, or have the Helm value serviceAccountPrefix changed"
                ),
            })
        })
        .collect()
}
