//! JSON Schemas of the pinned Kubernetes' kinds, one file per kind, out of the `OpenAPI` document that its Go module carries. Touches the network only through `go`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use tokio::process::Command;

use crate::cache;
use crate::commands::Context;
use crate::digest::Digester;
use crate::pins::{GO, GoModule};
use crate::run;

const REFERENCE: &str = "#/definitions/";

pub async fn make(context: &Context) -> Result<PathBuf> {
    let layout = &context.layout;
    let module = GoModule::read(layout, GO)?;
    let digest = Digester::default()
        .text(module.version("k8s.io/kubernetes")?)
        .text("2")
        .short();
    cache::once(layout, "schemas", &digest, |making| async move {
        context
            .progress
            .step("Kubernetes schemas", |_| async move {
                let mut go = Command::new("go");
                go.args(["mod", "download", "-json", "k8s.io/kubernetes"])
                    .current_dir(&module.folder);
                let answer: Value = serde_json::from_str(&run::output(&mut go).await?)?;
                let folder = answer["Dir"]
                    .as_str()
                    .context("go does not say where k8s.io/kubernetes lies")?;
                let document = fs::read(Path::new(folder).join("api/openapi-spec/swagger.json"))?;
                write(&serde_json::from_slice(&document)?, &making)
            })
            .await
    })
    .await
}

fn write(document: &Value, to: &Path) -> Result<()> {
    let definitions = document["definitions"]
        .as_object()
        .context("the document has no definitions")?;
    let definitions = definitions
        .iter()
        .map(|(name, schema)| (name.clone(), strict(schema.clone())))
        .collect::<BTreeMap<_, _>>();
    for (name, schema) in &definitions {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        for kind in kinds.into_iter().flatten() {
            let mut needed = Map::new();
            collect(name, &definitions, &mut needed);
            let standalone = json!({"$ref": format!("{REFERENCE}{name}"), "definitions": needed});
            fs::write(to.join(file_name(kind)), serde_json::to_vec(&standalone)?)?;
        }
    }
    Ok(())
}

/// As kubeconform names it: `deployment-apps-v1.json`, `service-v1.json`.
fn file_name(kind: &Value) -> String {
    let word = |field: &str| kind[field].as_str().unwrap_or_default().to_lowercase();
    let group = word("group").split('.').next().unwrap_or_default().to_owned();
    let group = if group.is_empty() { group } else { format!("-{group}") };
    format!("{}{group}-{}.json", word("kind"), word("version"))
}

/// Objects with named fields allow no others; what may be a number or a text says so.
fn strict(mut schema: Value) -> Value {
    if let Some(object) = schema.as_object_mut() {
        if object.contains_key("properties") && !object.contains_key("additionalProperties") {
            object.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
        if object.get("format").is_some_and(|format| format == "int-or-string") {
            object.insert("type".to_owned(), json!(["integer", "string"]));
        }
        for value in object.values_mut() {
            *value = strict(value.take());
        }
    }
    if let Some(list) = schema.as_array_mut() {
        for value in list {
            *value = strict(value.take());
        }
    }
    schema
}

fn collect(name: &str, definitions: &BTreeMap<String, Value>, into: &mut Map<String, Value>) {
    let Some(schema) = definitions.get(name).filter(|_| !into.contains_key(name)) else {
        return;
    };
    into.insert(name.to_owned(), schema.clone());
    references(schema, &mut |other| collect(other, definitions, into));
}

fn references(schema: &Value, found: &mut impl FnMut(&str)) {
    match schema {
        Value::Object(object) => {
            for (name, value) in object {
                match value
                    .as_str()
                    .and_then(|text| text.strip_prefix(REFERENCE))
                    .filter(|_| name == "$ref")
                {
                    Some(other) => found(other),
                    None => references(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_gets_a_file_with_all_it_refers_to() {
        let folder = tempfile::tempdir().unwrap();
        let document = json!({"definitions": {
            "apps.Deployment": {
                "type": "object",
                "properties": {"spec": {"$ref": "#/definitions/Spec"}},
                "x-kubernetes-group-version-kind": [{"group": "apps", "kind": "Deployment", "version": "v1"}],
            },
            "Spec": {"type": "object", "properties": {"port": {"format": "int-or-string"}, "self": {"$ref": "#/definitions/Spec"}}},
            "Other": {"type": "string"},
        }});
        write(&document, folder.path()).unwrap();
        let text = fs::read(folder.path().join("deployment-apps-v1.json")).unwrap();
        let schema: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(schema["definitions"]["apps.Deployment"]["additionalProperties"], false);
        assert_eq!(
            schema["definitions"]["Spec"]["properties"]["port"]["type"],
            json!(["integer", "string"])
        );
        assert!(schema["definitions"].get("Other").is_none());
    }
}
