//! The objects of a manifest: the Pipeline, and what it names. No network; reads files.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use medallion_crds::{GROUP, Pipeline};
use serde_json::Value;

/// Objects, as they stand in YAML.
#[derive(Debug)]
pub(super) struct Manifest(Vec<Value>);

impl Manifest {
    /// The objects of some files; `-` is standard input.
    pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let texts: Vec<String> = paths.iter().map(|path| text(path)).collect::<anyhow::Result<_>>()?;
        Self::of(&texts)
    }

    /// The objects of some texts, those in lists among them.
    pub(super) fn of(texts: &[String]) -> anyhow::Result<Self> {
        let mut objects = Vec::new();
        for text in texts {
            let found: Vec<Value> = serde_saphyr::from_multiple(text).context("the manifest is not YAML")?;
            for mut object in found {
                match object.get_mut("items").map(Value::take) {
                    Some(Value::Array(items)) => objects.extend(items),
                    _ => objects.push(object),
                }
            }
        }
        Ok(Self(objects))
    }

    /// The only Pipeline, or the one of this name.
    pub(super) fn pipeline(&self, name: Option<&str>) -> anyhow::Result<Pipeline> {
        let is_ours = |object: &&Value| {
            let version = object["apiVersion"].as_str().unwrap_or_default();
            object["kind"] == "Pipeline" && version.starts_with(GROUP)
        };
        let is_named = |object: &&Value| name.is_none_or(|name| object["metadata"]["name"] == name);
        let mut found = self.0.iter().filter(is_ours).filter(is_named);
        match (found.next(), found.next()) {
            (Some(object), None) => serde_json::from_value(object.clone()).context("the Pipeline"),
            (None, _) => bail!("the manifest holds no Pipeline{}", named(name)),
            (Some(_), Some(_)) => bail!(
                "the manifest holds several Pipelines{}; name one by --pipeline",
                named(name)
            ),
        }
    }

    /// What a key of a `ConfigMap` holds. One that names no namespace is applied to that of the Pipeline.
    pub(super) fn config_map(&self, namespace: &str, name: &str, key: &str) -> anyhow::Result<&str> {
        let mut objects = self.0.iter();
        let found = objects.find(|object| {
            let metadata = &object["metadata"];
            let is_here = metadata["namespace"].as_str().is_none_or(|named| named == namespace);
            object["kind"] == "ConfigMap" && metadata["name"] == name && is_here
        });
        let text = found.and_then(|object| object["data"][key].as_str());
        text.with_context(|| {
            format!("the manifest holds no ConfigMap {name} with key {key} for namespace {namespace}, which the Pipeline names; add its file by another --manifest")
        })
    }
}

fn named(name: Option<&str>) -> String {
    name.map(|name| format!(" {name}")).unwrap_or_default()
}

fn text(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("reading standard input")?;
        return Ok(text);
    }
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: other}, data: {k: theirs}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: v}}
";

    #[test]
    fn objects_in_lists_are_found_and_what_is_missing_is_named() {
        let manifest = Manifest::of(&[LIST.to_owned()]).unwrap();
        assert_eq!(manifest.config_map("shop", "a", "k").unwrap(), "v");
        assert!(
            manifest
                .config_map("shop", "a", "other")
                .unwrap_err()
                .to_string()
                .contains("key other")
        );
        let error = manifest.pipeline(Some("shop")).unwrap_err().to_string();
        assert_eq!(error, "the manifest holds no Pipeline shop");
    }
}
