//! The committed `CustomResourceDefinition`s are the generated ones, and say what users rely on.

use std::path::Path;

use medallion_crds::manifests::{FOLDERS, manifests};
use serde_json::Value;

/// Also those in the chart, which are files of their own: a link is gone after some ways of copying, and the chart with it.
#[test]
fn the_committed_files_are_the_generated_ones() {
    for (name, text) in manifests().unwrap() {
        for folder in FOLDERS {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
            let shown = path.display();
            let kind = std::fs::symlink_metadata(&path).unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert!(kind.is_file(), "{shown} is no file");
            assert!(
                std::fs::read_to_string(&path).unwrap() == text,
                "{shown} is out of date: run `cargo run --release -p medallion-crds --bin crdgen`"
            );
        }
    }
}

/// The operator tells by it that the installed kinds are not its own, and the chart adds its keep policy beside it.
#[test]
fn the_definitions_say_which_version_they_are_of() {
    for (name, text) in manifests().unwrap() {
        let definition: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(
            definition["metadata"]["annotations"]["medallion.dev/version"],
            env!("CARGO_PKG_VERSION"),
            "{name}"
        );
    }
}

/// Every field that `kubectl explain` shows has words, down to the last leaf.
#[test]
fn every_field_is_documented() {
    fn walk(path: &str, schema: &Value, missing: &mut Vec<String>) {
        if schema
            .get("description")
            .is_none_or(|text| text.as_str().is_none_or(str::is_empty))
        {
            missing.push(path.to_owned());
        }
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (name, child) in properties {
                walk(&format!("{path}.{name}"), child, missing);
            }
        }
        if let Some(properties) = schema
            .get("items")
            .and_then(|items| items.get("properties"))
            .and_then(Value::as_object)
        {
            for (name, child) in properties {
                walk(&format!("{path}[].{name}"), child, missing);
            }
        }
    }
    let mut missing = Vec::new();
    for (name, text) in manifests().unwrap() {
        let definition: Value = serde_saphyr::from_str(&text).unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        for part in ["spec", "status"] {
            walk(&format!("{name}:{part}"), &schema[part], &mut missing);
        }
    }
    assert!(missing.is_empty(), "no doc comment: {missing:#?}");
}

/// `kubectl explain` does not show a default, so the words do. That `true` is the other value of a switch they say already.
#[test]
fn every_default_of_a_spec_is_said() {
    fn walk(path: &str, schema: &Value, unsaid: &mut Vec<String>) {
        let description = schema["description"].as_str().unwrap_or_default();
        let said = match &schema["default"] {
            Value::Number(number) => description.contains(&format!("Default {number}")),
            Value::String(word) => description.contains(&format!("{word} (default)")),
            _ => true,
        };
        if !said {
            unsaid.push(format!("{path}: {}", schema["default"]));
        }
        for (name, child) in schema["properties"].as_object().into_iter().flatten() {
            walk(&format!("{path}.{name}"), child, unsaid);
        }
        if let Some(items) = schema.get("items") {
            walk(&format!("{path}[]"), items, unsaid);
        }
    }
    let mut unsaid = Vec::new();
    for (name, text) in manifests().unwrap() {
        let definition: Value = serde_saphyr::from_str(&text).unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        walk(name, &schema["properties"]["spec"], &mut unsaid);
    }
    assert!(unsaid.is_empty(), "no words about the default: {unsaid:#?}");
}

/// The API server warns about unsigned formats, refuses costly rules on unbounded lists, and would let a status grow.
#[test]
fn integers_are_signed_and_lists_bounded() {
    fn walk(path: &str, schema: &Value, bad: &mut Vec<String>) {
        if schema["format"]
            .as_str()
            .is_some_and(|format| format.starts_with("uint"))
        {
            bad.push(format!("{path}: unsigned"));
        }
        if schema["type"] == "array" && schema.get("maxItems").is_none() {
            bad.push(format!("{path}: no maxItems"));
        }
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (name, child) in properties {
                walk(&format!("{path}.{name}"), child, bad);
            }
        }
        if let Some(items) = schema.get("items") {
            walk(&format!("{path}[]"), items, bad);
        }
    }
    let mut bad = Vec::new();
    for (name, text) in manifests().unwrap() {
        let definition: Value = serde_saphyr::from_str(&text).unwrap();
        walk(
            name,
            &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
            &mut bad,
        );
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn the_definitions_stay_far_below_the_annotation_limit_of_kubectl_apply() {
    for (name, text) in manifests().unwrap() {
        assert!(text.len() < 200_000, "{name} has {} bytes", text.len());
    }
}
