//! Checks once what the schema cannot: references into the operator's own configuration. No network.

use std::collections::BTreeSet;

use kube::ResourceExt;
use medallion_crds::pipeline::{Glue, IngestAuthenticationType, IngestStage, PipelineSpec, SecretKeyRef};
use medallion_crds::{ADOPT_ANNOTATION, Pipeline, REQUESTED_AT_ANNOTATION};

use super::entry::StageEntry;
use super::{STAGES, faults};
use crate::build::settings::digest;
use crate::model::config::OperatorConfig;
use crate::model::pipeline::{ValidateError, ValidatedPipeline, Warehouse};
use crate::model::wish::StageWish;

/// The longest `requested-at`, as in the admission policy.
const REQUEST_BYTES: usize = 128;

impl ValidatedPipeline {
    /// Checks a pipeline against the operator's configuration.
    pub fn new(pipeline: &Pipeline, config: &OperatorConfig) -> Result<Self, ValidateError> {
        Self::with_stages(STAGES, pipeline, config)
    }

    /// The same, with another table of stages.
    pub fn with_stages(
        table: &[StageEntry],
        pipeline: &Pipeline,
        config: &OperatorConfig,
    ) -> Result<Self, ValidateError> {
        let spec = &pipeline.spec;
        let stages: Vec<StageWish> = table
            .iter()
            .filter_map(|entry| (entry.wish)(entry.stage, spec))
            .collect();
        let dbt_image = config.images.dbt_projects.get(&spec.dbt.project).cloned();
        let namespace = pipeline.namespace().ok_or(ValidateError::Identity("namespace"))?;
        let adopt = adopted(pipeline);
        let mut faults = faults::of_pipeline(spec, config, &namespace, &adopt);
        faults.extend(faults::of_stages(&stages, config));
        if dbt_image.is_none() {
            faults.extend(faults::of_dbt(table, &stages, spec, config));
        }
        let admitting = spec.contract.admitting().ok_or(ValidateError::Contract)?;
        Ok(Self {
            namespace,
            name: pipeline.metadata.name.clone().ok_or(ValidateError::Identity("name"))?,
            uid: pipeline.uid().ok_or(ValidateError::Identity("uid"))?,
            created: pipeline.creation_timestamp().map(|time| time.0),
            generation: pipeline.metadata.generation.unwrap_or_default(),
            deleting: pipeline.metadata.deletion_timestamp.is_some(),
            requested_at: pipeline
                .annotations()
                .get(REQUESTED_AT_ANNOTATION)
                .filter(|value| !value.is_empty())
                .map(|value| request(value)),
            adopt,
            suspend: spec.suspend,
            management: spec.management,
            schema_ref: admitting.schema_ref.clone(),
            contract: spec.contract.clone(),
            region: spec.aws.region.clone(),
            kafka: spec.kafka.clone(),
            table: spec.table.name.clone(),
            expire_after_days: spec.table.expire_after_days,
            lake: spec.lake.clone(),
            warehouse: warehouse(spec)?,
            catalog: catalog(spec)?,
            dbt_image,
            provisioner: spec.provisioner.clone(),
            tokens: spec.stages.ingest.as_ref().and_then(tokens),
            bronze_runs_on: spec.stages.bronze.runs_on,
            flush: spec.stages.bronze.flush.clone(),
            dead_letter_budget: spec.dead_letters.max_count,
            successful_runs_history_limit: spec.successful_runs_history_limit,
            failed_runs_history_limit: spec.failed_runs_history_limit,
            stages,
            faults,
        })
    }
}

/// A request goes into status and onto runs. Of a longer one, which stood before the admission policy, its digest does: it tells two
/// that differ only at their ends apart.
fn request(value: &str) -> String {
    if value.len() <= REQUEST_BYTES {
        value.to_owned()
    } else {
        digest(&[value])
    }
}

/// The values of the annotation, each once.
fn adopted(pipeline: &Pipeline) -> Vec<String> {
    let values = pipeline.annotations().get(ADOPT_ANNOTATION).into_iter();
    let all: BTreeSet<&str> = values
        .flat_map(|values| values.split(','))
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .collect();
    all.into_iter().map(str::to_owned).collect()
}

fn warehouse(spec: &PipelineSpec) -> Result<Option<Warehouse>, ValidateError> {
    let (Some(warehouse), Some(stage)) = (&spec.warehouse, &spec.stages.warehouse) else {
        return Ok(None);
    };
    Ok(Some(Warehouse {
        redshift: warehouse.redshift.clone().ok_or(ValidateError::Warehouse)?,
        tables: stage.tables.clone(),
    }))
}

fn catalog(spec: &PipelineSpec) -> Result<Option<Glue>, ValidateError> {
    let Some(catalog) = &spec.catalog else {
        return Ok(None);
    };
    catalog.glue.clone().ok_or(ValidateError::Catalog).map(Some)
}

fn tokens(ingest: &IngestStage) -> Option<SecretKeyRef> {
    let authentication = &ingest.authentication;
    let tokens = authentication.bearer_tokens.as_ref()?;
    (authentication.kind == IngestAuthenticationType::BearerTokens).then(|| tokens.secret_key_ref.clone())
}
