//! The objects of a manifest: the Pipeline, and what it names. No network; reads files.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use medallion_crds::{GROUP, Pipeline};
use serde_json::Value;

/// Objects, as they stand in YAML.
#[derive(Debug)]
pub(super) struct Manifest(Vec<Value>);

/// What tells a Pipeline from the others; what is left out fits any.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Which<'a> {
    pub namespace: Option<&'a str>,
    pub name: Option<&'a str>,
}

impl Which<'_> {
    fn fits(self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        self.name.is_none_or(|name| metadata["name"] == name)
            && self
                .namespace
                .is_none_or(|namespace| metadata["namespace"] == namespace)
    }
}

impl fmt::Display for Which<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name {
            write!(formatter, " {name}")?;
        }
        if let Some(namespace) = self.namespace {
            write!(formatter, " with metadata.namespace {namespace}")?;
        }
        Ok(())
    }
}

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

    /// The only Pipeline that is meant.
    pub(super) fn pipeline(&self, which: Which<'_>) -> anyhow::Result<Pipeline> {
        let is_ours = |object: &&Value| {
            let version = object["apiVersion"].as_str().unwrap_or_default();
            object["kind"] == "Pipeline" && version.starts_with(GROUP)
        };
        let found: Vec<_> = self
            .0
            .iter()
            .filter(is_ours)
            .filter(|object| which.fits(object))
            .collect();
        match found[..] {
            [] => bail!("the manifest holds no Pipeline{which}"),
            [object] => serde_json::from_value(object.clone()).context("the Pipeline"),
            _ => bail!("{}", several(&found)),
        }
    }

    /// What a key of a `ConfigMap` holds. One that names no namespace is applied to that of the Pipeline.
    pub(super) fn config_map(&self, namespace: &str, name: &str, key: &str) -> anyhow::Result<&str> {
        let is_named = |object: &&Value| {
            let metadata = &object["metadata"];
            let is_here = metadata["namespace"].as_str().is_none_or(|named| named == namespace);
            object["kind"] == "ConfigMap" && metadata["name"] == name && is_here
        };
        let found: Vec<_> = self.0.iter().filter(is_named).collect();
        ensure!(
            found.len() < 2,
            "the manifest holds ConfigMap {name} for namespace {namespace} {} times ({}): leave all but one out, or write into each \
             for which metadata.namespace it is",
            found.len(),
            addresses(&found)
        );
        let text = found.first().and_then(|object| object["data"][key].as_str());
        text.with_context(|| {
            format!("the manifest holds no ConfigMap {name} with key {key} for namespace {namespace}, which the Pipeline names; add its file by another --manifest")
        })
    }
}

/// What to do about several Pipelines: name one, by what tells it from the others, unless nothing does.
fn several(found: &[&Value]) -> String {
    let all = addresses(found);
    let field = |object: &Value, name: &str| object["metadata"][name].as_str().map(str::to_owned);
    let names: BTreeSet<_> = found.iter().map(|object| field(object, "name")).collect();
    let both: BTreeSet<_> = found
        .iter()
        .map(|object| (field(object, "namespace"), field(object, "name")))
        .collect();
    let cure = if both.len() < found.len() {
        "one of them stands there several times: leave all but one of it out"
    } else if names.len() == found.len() {
        "name one by --pipeline"
    } else {
        "name one by --pipeline and --namespace; one without a namespace must say its own first"
    };
    format!("the manifest holds several Pipelines ({all}); {cure}")
}

/// Where objects are applied to, in words.
fn addresses(objects: &[&Value]) -> String {
    let address = |object: &&Value| {
        let metadata = &object["metadata"];
        let name = metadata["name"].as_str().unwrap_or("without a name");
        match metadata["namespace"].as_str() {
            Some(namespace) => format!("{namespace}/{name}"),
            None => format!("{name} without a namespace"),
        }
    };
    objects.iter().map(address).collect::<Vec<_>>().join(", ")
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
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const SMALLEST: &str = include_str!("../../../crds/examples/smallest.yaml");
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
        let shop = Which {
            name: Some("shop"),
            namespace: None,
        };
        let error = manifest.pipeline(shop).unwrap_err().to_string();
        assert_eq!(error, "the manifest holds no Pipeline shop");
    }

    /// The smallest example under other addresses.
    fn pipelines(addresses: &[(Option<&str>, &str)]) -> Manifest {
        let texts = addresses.iter().map(|(namespace, name)| {
            let mut pipeline: Value = serde_saphyr::from_str(SMALLEST).unwrap();
            pipeline["metadata"] = json!({"name": name});
            if let Some(namespace) = namespace {
                pipeline["metadata"]["namespace"] = (*namespace).into();
            }
            pipeline.to_string()
        });
        Manifest::of(&texts.collect::<Vec<_>>()).unwrap()
    }

    #[rstest]
    #[case::names(&[(Some("shop"), "a"), (Some("shop"), "b")], "(shop/a, shop/b); name one by --pipeline")]
    #[case::namespaces(&[(Some("shop"), "a"), (Some("till"), "a")], "(shop/a, till/a); name one by --pipeline and --namespace")]
    #[case::one_of_any(&[(Some("shop"), "a"), (None, "a")], "a without a namespace); name one by --pipeline and --namespace")]
    #[case::twice(&[(Some("shop"), "a"), (Some("shop"), "a")], "leave all but one of it out")]
    #[case::twice_of_any(&[(None, "a"), (None, "a"), (None, "b")], "leave all but one of it out")]
    fn several_pipelines_are_told_apart(#[case] addresses: &[(Option<&str>, &str)], #[case] words: &str) {
        let error = pipelines(addresses).pipeline(Which::default()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn a_pipeline_is_named_by_what_tells_it_from_the_others() {
        let manifest = pipelines(&[(Some("shop"), "a"), (Some("till"), "a"), (Some("till"), "b")]);
        let found = |namespace, name| manifest.pipeline(Which { namespace, name });
        let address = |pipeline: Pipeline| (pipeline.metadata.namespace.unwrap(), pipeline.metadata.name.unwrap());
        let of = |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned());
        assert_eq!(address(found(Some("till"), Some("a")).unwrap()), of("till", "a"));
        assert_eq!(address(found(Some("shop"), None).unwrap()), of("shop", "a"));
        assert_eq!(address(found(None, Some("b")).unwrap()), of("till", "b"));
        let error = found(None, Some("a")).unwrap_err().to_string();
        assert!(error.contains("--namespace"), "{error}");
        let error = found(Some("shop"), Some("b")).unwrap_err().to_string();
        assert_eq!(error, "the manifest holds no Pipeline b with metadata.namespace shop");
    }

    #[test]
    fn a_config_map_that_stands_there_twice_is_not_chosen_from() {
        let twice = format!("{LIST}- {{kind: ConfigMap, metadata: {{name: a, namespace: shop}}, data: {{k: v}}}}\n");
        let manifest = Manifest::of(&[twice]).unwrap();
        let error = manifest.config_map("shop", "a", "k").unwrap_err().to_string();
        assert!(
            error.contains("2 times (a without a namespace, shop/a)") && error.contains("metadata.namespace"),
            "{error}"
        );
        let error = manifest.config_map("other", "a", "k").unwrap_err().to_string();
        assert!(error.contains("other/a, a without a namespace"), "{error}");
        assert_eq!(manifest.config_map("elsewhere", "a", "k").unwrap(), "v");
    }
}
