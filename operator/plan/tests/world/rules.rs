//! The rules of the definitions, compiled once for all lives: compiling them takes far longer than asking them. No network.

use std::sync::LazyLock;

use kube::CustomResourceExt;
use kube::core::cel::{CompiledSchema, ValidationErrors, Validator, compile_schema};
use medallion_crds::{Pipeline, StageRun};
use serde::Serialize;
use serde_json::{Value, to_value};

static PIPELINES: LazyLock<CompiledSchema> = LazyLock::new(compiled::<Pipeline>);
static RUNS: LazyLock<CompiledSchema> = LazyLock::new(compiled::<StageRun>);

/// Whether the API server takes a pipeline in the place of another, or as a new one.
pub fn of_pipelines(new: &Pipeline, old: Option<&Pipeline>) -> Result<(), ValidationErrors> {
    let old = old.map(json);
    Validator::new().validate_compiled(&PIPELINES, &json(new), old.as_ref())
}

/// Whether the API server takes a new run.
pub fn of_runs(run: &StageRun) -> Result<(), ValidationErrors> {
    Validator::new().validate_compiled(&RUNS, &json(run), None)
}

fn compiled<T: CustomResourceExt>() -> CompiledSchema {
    let definition = T::crd();
    let schema = definition.spec.versions[0].schema.as_ref();
    let schema = schema.and_then(|schema| schema.open_api_v3_schema.as_ref());
    compile_schema(&json(schema.expect("a schema")))
}

fn json(object: &impl Serialize) -> Value {
    to_value(object).expect("JSON")
}
