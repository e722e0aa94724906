//! Whether the API server and the operator would take a Pipeline: its schema, its rules, and what the Helm values allow. No network.

use anyhow::{Context as _, bail, ensure};
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use kube::CustomResourceExt as _;
use medallion_crds::{Pipeline, Reason};
use medallion_plan::{OperatorConfig, ValidatedPipeline};
use serde_json::{Value, json};

use super::values::Values;

/// Checks a Pipeline as it would be applied; `origin` names the manifest that it comes from.
pub(super) fn check(object: &Value, values: &Values, origin: &str) -> anyhow::Result<()> {
    let faults = schema_faults(object)?;
    ensure!(
        faults.is_empty(),
        "{origin}: {}; `kubectl explain pipeline.spec` says what a field holds",
        faults.join("; ")
    );
    let pipeline: Pipeline = serde_json::from_value(object.clone()).with_context(|| origin.to_owned())?;
    let mut unknown = Vec::new();
    find_unknown("", object, &serde_json::to_value(&pipeline)?, &mut unknown);
    ensure!(
        unknown.is_empty(),
        "{origin}: a Pipeline of this release has no {}; the API server would drop it without a word",
        unknown.join(", ")
    );
    if let Err(errors) = pipeline.validate_cel() {
        let rules: Vec<_> = errors.as_slice().iter().map(ToString::to_string).collect();
        bail!("{origin}: {}", rules.join("; "));
    }
    let faults = operator_faults(pipeline, values)?;
    ensure!(faults.is_empty(), "{origin}: {}", faults.join("; "));
    Ok(())
}

/// What the schema of the kind does not take.
fn schema_faults(object: &Value) -> anyhow::Result<Vec<String>> {
    let definition = serde_json::to_value(Pipeline::crd())?;
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let validator =
        jsonschema::validator_for(schema).map_err(|error| anyhow::anyhow!("the schema of the kind: {error}"))?;
    Ok(validator.iter_errors(object).map(|error| in_words(&error)).collect())
}

fn in_words(error: &ValidationError<'_>) -> String {
    let place = error.instance_path().as_str().trim_start_matches('/').replace('/', ".");
    if let ValidationErrorKind::Required { property } = error.kind() {
        let name = property.as_str().unwrap_or_default();
        return format!("{place}.{name} is missing").trim_start_matches('.').to_owned();
    }
    format!("{place}: {error}")
}

/// Fields that were written and not understood, which is nothing that serde or the API server complain of.
fn find_unknown(place: &str, written: &Value, understood: &Value, unknown: &mut Vec<String>) {
    match written {
        Value::Object(fields) if understood.is_object() => {
            for (name, value) in fields {
                let place = format!("{place}.{name}");
                find_unknown(&place, value, &understood[name], unknown);
            }
        }
        Value::Array(items) if understood.is_array() => {
            for (number, item) in items.iter().enumerate() {
                find_unknown(&format!("{place}[{number}]"), item, &understood[number], unknown);
            }
        }
        value if value != understood => unknown.push(place.trim_start_matches('.').to_owned()),
        _ => {}
    }
}

/// What the operator would refuse under these values. Which size classes there are it learns from values of the administrator's own.
fn operator_faults(mut pipeline: Pipeline, values: &Values) -> anyhow::Result<Vec<String>> {
    let config: OperatorConfig = serde_json::from_value(json!({
        "images": {"workers": "", "dbtProjects": values.dbt_projects},
        "limits": values.limits,
    }))?;
    // Every stored object has one.
    pipeline.metadata.uid = Some(String::new());
    let validated = ValidatedPipeline::new(&pipeline, &config)?;
    let faults = validated.faults.into_iter();
    Ok(faults
        .filter(|fault| fault.reason != Reason::SizeNotAllowed)
        .map(|fault| fault.message)
        .collect())
}
