//! The examples are objects that the kinds take as they are written, and name nothing that no example makes or says how to make.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use medallion_crds::{Pipeline, StageRun};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A file of the folder, and what is in it.
struct Example {
    name: String,
    text: String,
    objects: Vec<Value>,
}

fn examples() -> Vec<Example> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let read = |path: &Path| {
        let text = fs::read_to_string(path).expect("a readable file");
        let name = path.display().to_string();
        let objects = serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Example { name, text, objects }
    };
    let files = fs::read_dir(folder).expect("the folder of the examples");
    files.map(|file| read(&file.expect("a file").path())).collect()
}

/// The objects of a kind, each with its file's name.
fn of_kind(examples: &[Example], kind: &str) -> Vec<(String, Value)> {
    let all = examples.iter().flat_map(|example| {
        example
            .objects
            .iter()
            .map(move |object| (example.name.clone(), object.clone()))
    });
    all.filter(|(_, object)| object["kind"] == kind).collect()
}

/// Reads an object. All that was written must have been understood: serde passes over what it does not know.
fn read<K: DeserializeOwned + Serialize>(name: &str, object: &Value) -> K {
    let read: K = serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let understood = serde_json::to_value(&read).expect("an object");
    let mut lost = Vec::new();
    compare("", object, &understood, &mut lost);
    assert!(lost.is_empty(), "{name}: no field is called {lost:?}");
    read
}

fn compare(path: &str, written: &Value, understood: &Value, lost: &mut Vec<String>) {
    match written {
        Value::Object(fields) => {
            for (name, value) in fields {
                compare(&format!("{path}.{name}"), value, &understood[name], lost);
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                compare(&format!("{path}[{number}]"), item, &understood[number], lost);
            }
        }
        value if value != understood => lost.push(path.to_owned()),
        _ => {}
    }
}

#[test]
fn every_example_is_taken_as_it_is_written() {
    let examples = examples();
    let pipelines = of_kind(&examples, "Pipeline");
    assert!(pipelines.len() >= 3, "{} pipelines", pipelines.len());
    for (name, object) in pipelines {
        let pipeline: Pipeline = read(&name, &object);
        pipeline
            .validate_cel()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let runs = of_kind(&examples, "StageRun");
    assert!(!runs.is_empty(), "no example of a run");
    for (name, object) in runs {
        let run: StageRun = read(&name, &object);
        run.validate_cel().unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// What `configMapKeyRef`, `schemaRef` and `secretKeyRef` of an object name.
fn references(object: &Value, found: &mut BTreeSet<String>) {
    match object {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(wanted) = value["name"].as_str()
                    && ["configMapKeyRef", "schemaRef", "secretKeyRef"].contains(&name.as_str())
                {
                    found.insert(wanted.to_owned());
                }
                references(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn what_an_example_names_is_made_by_one() {
    let examples = examples();
    let is_made = |name: &str| {
        let mut objects = examples.iter().flat_map(|example| &example.objects);
        let commands = ["create configmap", "create secret generic"].map(|verb| format!("kubectl {verb} {name} "));
        objects.any(|object| object["metadata"]["name"] == name)
            || examples
                .iter()
                .any(|example| commands.iter().any(|command| example.text.contains(command)))
    };
    let mut names = BTreeSet::new();
    for (_, pipeline) in of_kind(&examples, "Pipeline") {
        references(&pipeline["spec"], &mut names);
        names.extend(pipeline["metadata"]["namespace"].as_str().map(str::to_owned));
    }
    for (_, run) in of_kind(&examples, "StageRun") {
        names.extend(run["spec"]["pipelineRef"]["name"].as_str().map(str::to_owned));
    }
    let unmade: Vec<_> = names.iter().filter(|name| !is_made(name)).collect();
    assert!(unmade.is_empty(), "no example makes or says how to make {unmade:?}");
}
